"""Assets, as licensing told them last."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from asyncpg import Record

from assignment.model import Asset
from shared.database import Transaction
from shared.events.words import AssetKind, Platform

_READ = """
SELECT id, kind, adam_id, device_assignable, platforms,
    ARRAY(SELECT pool ->> 'library_id' FROM jsonb_array_elements(pools) AS pool) AS library_ids
FROM assets WHERE id = ANY ($1::uuid[])
"""
_PUT = """
INSERT INTO assets (id, kind, adam_id, pricing_param, device_assignable, revocable, platforms, unlimited, pools,
    sequence, changed_at)
SELECT (told ->> 'asset_id')::uuid, told ->> 'kind', told ->> 'adam_id', told ->> 'pricing_param',
    (told ->> 'device_assignable')::boolean, (told ->> 'revocable')::boolean,
    ARRAY(SELECT jsonb_array_elements_text(told -> 'platforms')), (told ->> 'unlimited')::boolean, told -> 'pools',
    sequence, $3
FROM unnest($1::text[], $2::bigint[]) AS row (text, sequence), LATERAL (SELECT row.text::jsonb AS told) AS parsed
ON CONFLICT (id) DO UPDATE
SET kind = excluded.kind, adam_id = excluded.adam_id, pricing_param = excluded.pricing_param,
    device_assignable = excluded.device_assignable, revocable = excluded.revocable,
    platforms = excluded.platforms, unlimited = excluded.unlimited, pools = excluded.pools,
    sequence = excluded.sequence, changed_at = excluded.changed_at
WHERE assets.sequence < excluded.sequence
"""


@dataclass(frozen=True, slots=True)
class Told:
    """An asset as one event tells it: the event's fields, and its sequence."""

    fields: dict[str, Any]
    sequence: int


async def read(tx: Transaction, ids: Iterable[UUID]) -> dict[UUID, Asset]:
    """Return these assets; unknown ids are absent from the answer."""
    return {row["id"]: _asset(row) for row in await tx.raw.fetch(_READ, list(ids))}


async def put(tx: Transaction, told: Sequence[Told]) -> None:
    """Store assets, each told once at most; whatever was told with a higher sequence stays."""
    await tx.raw.execute(
        _PUT, [json.dumps(each.fields) for each in told], [each.sequence for each in told], tx.now
    )


def _asset(row: Record) -> Asset:
    return Asset(
        id=row["id"],
        kind=AssetKind(row["kind"]),
        adam_id=row["adam_id"],
        device_assignable=row["device_assignable"],
        platforms=frozenset(Platform(platform) for platform in row["platforms"]),
        library_ids=frozenset(row["library_ids"]),
    )
