"""The wishes, and what is known of the apps on each enrollment."""

from collections.abc import Iterable, Sequence
from uuid import UUID

import asyncpg

from mdm_push.model import App, Intent, Wish, WishState
from shared.database import Transaction
from shared.events.words import AssetKind, NothingRemoved

_COLUMNS = """
w.id, w.delivery_id, w.intent, w.entitlement_id, w.version, w.enrollment_id, w.generation, w.asset_id, w.kind,
w.adam_id, w.state, w.correlation_id, w.causation_id, w.owed, w.tries, w.checks, w.verify_until, w.cause,
w.error_domain, w.error_code, w.was
"""
_NAMES = tuple(name.strip().removeprefix("w.") for name in _COLUMNS.split(","))
_TYPES = {
    **dict.fromkeys(("intent", "kind", "adam_id", "state", "cause", "error_domain", "was"), "text"),
    **dict.fromkeys(("version", "error_code"), "bigint"),
    **dict.fromkeys(("generation", "tries", "checks"), "int"),
    "owed": "bool",
    "verify_until": "timestamptz",
}
_ARRAYS = ", ".join(f"${place}::{_TYPES.get(name, 'uuid')}[]" for place, name in enumerate(_NAMES, start=2))
_SET = ", ".join(f"{name} = excluded.{name}" for name in _NAMES if name != "id")

_SAVE = f"""
INSERT INTO wishes ({", ".join(_NAMES)}, asked_at, changed_at)
SELECT {", ".join(_NAMES)}, $1, $1
FROM unnest({_ARRAYS}) WITH ORDINALITY AS row ({", ".join(_NAMES)}, place) ORDER BY place
ON CONFLICT (id) DO UPDATE SET {_SET}, changed_at = excluded.changed_at,
    asked_at = CASE WHEN wishes.causation_id = excluded.causation_id THEN wishes.asked_at
                    ELSE excluded.asked_at END
"""
_TOUCHED = f"""
SELECT {_COLUMNS} FROM wishes w WHERE w.delivery_id = ANY ($1::uuid[])
UNION
SELECT {_COLUMNS} FROM unnest($2::uuid[], $3::uuid[]) AS pair (enrollment_id, asset_id)
JOIN wishes w ON w.enrollment_id = pair.enrollment_id AND w.asset_id = pair.asset_id
WHERE w.state IN ('commanded', 'verifying')
UNION
SELECT {_COLUMNS} FROM unnest($2::uuid[], $3::uuid[]) AS pair (enrollment_id, asset_id)
JOIN wishes w ON w.enrollment_id = pair.enrollment_id AND w.asset_id = pair.asset_id
WHERE w.state = 'waiting'
"""
_OPEN = f"""
SELECT {_COLUMNS} FROM wishes w
WHERE w.enrollment_id = ANY ($1::uuid[]) AND w.state IN ('waiting', 'commanded', 'verifying')
ORDER BY w.id
"""
_NEWEST = """
SELECT pair.enrollment_id, pair.asset_id,
       (SELECT w.delivery_id FROM wishes w
        WHERE w.enrollment_id = pair.enrollment_id AND w.asset_id = pair.asset_id
        ORDER BY w.delivery_id DESC LIMIT 1) AS delivery_id
FROM unnest($1::uuid[], $2::uuid[]) AS pair (enrollment_id, asset_id)
"""
_APPS_OF_PAIRS = """
SELECT a.enrollment_id, a.asset_id, a.present, a.identifier, a.status FROM apps a
JOIN unnest($1::uuid[], $2::uuid[]) AS pair (enrollment_id, asset_id)
  ON a.enrollment_id = pair.enrollment_id AND a.asset_id = pair.asset_id
"""
_APPS_OF = "SELECT enrollment_id, asset_id, present, identifier, status FROM apps WHERE enrollment_id = $1"
_IDENTIFIERS = """
SELECT asset.id, (SELECT identifier FROM apps a WHERE a.asset_id = asset.id AND identifier IS NOT NULL LIMIT 1)
FROM unnest($1::uuid[]) AS asset (id)
"""
_SAVE_APPS = """
INSERT INTO apps (enrollment_id, asset_id, present, identifier, status, changed_at)
SELECT *, $1 FROM unnest($2::uuid[], $3::uuid[], $4::bool[], $5::text[], $6::text[])
ON CONFLICT (enrollment_id, asset_id) DO UPDATE
SET present = excluded.present, identifier = excluded.identifier, status = excluded.status,
    changed_at = excluded.changed_at
"""


async def touched(
    tx: Transaction, delivery_ids: Iterable[UUID], pairs: Sequence[tuple[UUID, UUID]]
) -> list[Wish]:
    """Return all wishes of these deliveries, and the open ones of these (enrollment, asset)."""
    rows = await tx.raw.fetch(_TOUCHED, list(delivery_ids), [p[0] for p in pairs], [p[1] for p in pairs])
    return [_to_wish(row) for row in rows]


async def newest_deliveries(
    tx: Transaction, pairs: Sequence[tuple[UUID, UUID]]
) -> dict[tuple[UUID, UUID], UUID]:
    """Return the newest delivery heard of for each of these (enrollment, asset)."""
    rows = await tx.raw.fetch(_NEWEST, [p[0] for p in pairs], [p[1] for p in pairs])
    return {(row["enrollment_id"], row["asset_id"]): row["delivery_id"] for row in rows if row["delivery_id"]}


async def open_of(tx: Transaction, enrollment_ids: Iterable[UUID]) -> list[Wish]:
    """Return the open wishes of these channels."""
    return [_to_wish(row) for row in await tx.raw.fetch(_OPEN, list(enrollment_ids))]


async def save(tx: Transaction, wishes: Iterable[Wish]) -> None:
    """Store wishes as they are now; of several copies of one the last counts."""
    last = {wish.id: wish for wish in wishes}
    if not last:
        return
    # What ends leaves its place before what begins takes it: the unique indexes look at each row.
    rows = sorted(last.values(), key=lambda wish: (wish.state.open, wish.state is WishState.WAITING))
    columns = ([getattr(wish, name) for wish in rows] for name in _NAMES)
    await tx.raw.execute(_SAVE, tx.now, *columns)


async def apps_of_pairs(tx: Transaction, pairs: Sequence[tuple[UUID, UUID]]) -> dict[tuple[UUID, UUID], App]:
    """Return what is known of these assets on these enrollments."""
    rows = await tx.raw.fetch(_APPS_OF_PAIRS, [p[0] for p in pairs], [p[1] for p in pairs])
    return {(row["enrollment_id"], row["asset_id"]): _to_app(row) for row in rows}


async def apps_of(tx: Transaction, enrollment_id: UUID) -> dict[UUID, App]:
    """Return what is known of the apps on one enrollment, by asset."""
    rows = await tx.raw.fetch(_APPS_OF, enrollment_id)
    return {row["asset_id"]: _to_app(row) for row in rows}


async def identifiers(tx: Transaction, asset_ids: Iterable[UUID]) -> dict[UUID, str]:
    """Return the bundle ids of these assets, as any device told them."""
    rows = await tx.raw.fetch(_IDENTIFIERS, list(asset_ids))
    return {row["id"]: row["identifier"] for row in rows if row["identifier"] is not None}


async def save_apps(tx: Transaction, apps: Iterable[App]) -> None:
    """Store what is known of apps; of several copies of one the last counts."""
    last = {(app.enrollment_id, app.asset_id): app for app in apps}
    if not last:
        return
    rows = list(last.values())
    columns = ([getattr(app, name) for app in rows] for name in _APP_NAMES)
    await tx.raw.execute(_SAVE_APPS, tx.now, *columns)


async def forget_apps(tx: Transaction, enrollment_ids: Iterable[UUID]) -> None:
    """No app is on these enrollments any more; their bundle ids stay known."""
    await tx.raw.execute(
        "UPDATE apps SET present = false, changed_at = $2 WHERE enrollment_id = ANY ($1::uuid[]) AND present",
        list(enrollment_ids),
        tx.now,
    )


_APP_NAMES = ("enrollment_id", "asset_id", "present", "identifier", "status")


def _to_app(row: asyncpg.Record) -> App:
    return App(**{name: row[name] for name in _APP_NAMES})


def _to_wish(row: asyncpg.Record) -> Wish:
    values = dict(row)
    values["intent"] = Intent(values["intent"])
    values["state"] = WishState(values["state"])
    values["kind"] = AssetKind(values["kind"])
    values["was"] = values["was"] and NothingRemoved(values["was"])
    return Wish(**values)
