"""Lives opened and covered: what every way to an asset has in common. The devices are locked by the caller."""

from collections.abc import Iterator, Mapping, Sequence
from uuid import UUID

from assignment.decide.entitlements import Said, reopens
from assignment.decide.refusals import OWN_REFUSALS, judge_of
from assignment.handlers.changes import Changes, SaidOf
from assignment.model import Assignment, Cover, Device, Entitlement
from assignment.resolve import Ground, Opening, open_lives, reopen_lives
from assignment.store import assets, covers, entitlements
from shared.events.words import RevokeReason
from shared.ids import new_id

_GONE = {RevokeReason.UNENROLLED, RevokeReason.WIPED}


async def cover(
    changes: Changes,
    reached: Sequence[tuple[Assignment, Sequence[Device]]],
    devices: Mapping[UUID, Device],
    said: Said,
) -> Opening:
    """Let assignments cover locked devices; opens new lives where no living one is found."""
    tx = changes.tx
    assignments = [assignment for assignment, _ in reached]
    asset_ids = list({assignment.asset_id for assignment in assignments})
    standing = await covers.at(
        tx,
        device_ids=list(devices),
        asset_ids=asset_ids,
        assignment_ids=[assignment.id for assignment in assignments],
    )
    ground = await _ground(changes, devices, standing)
    judge = judge_of(await assets.read(tx, asset_ids))
    opening = open_lives(reached, ground, judge, _ids())
    await changes.save_opening(opening, lambda _: said)
    return opening


async def reopen(
    changes: Changes, devices: Mapping[UUID, Device], standing: Sequence[Cover], said_of: SaidOf
) -> None:
    """Open new lives for covers that stand on ended ones, on locked devices."""
    if not standing:
        return
    ground = await _ground(changes, devices, standing)
    judge = judge_of(await assets.read(changes.tx, {one.asset_id for one in standing}))
    await changes.save_opening(reopen_lives(ground, judge, _ids()), said_of)


def worth_reopening(
    standing: Sequence[Cover], lives: Mapping[UUID, Entitlement], returned: set[UUID]
) -> list[Cover]:
    """Return the covers whose ended life makes room for a new one; `returned` are devices enrolled anew."""
    return [
        one for one in standing if _reopens(lives[one.entitlement_id], returned=one.device_id in returned)
    ]


def _reopens(life: Entitlement, *, returned: bool) -> bool:
    return reopens(
        life.state,
        own_refusal=life.cause in OWN_REFUSALS,
        revoked_by_device=life.reason in _GONE,
        returned=returned,
    )


async def _ground(changes: Changes, devices: Mapping[UUID, Device], standing: Sequence[Cover]) -> Ground:
    """Lock the lives that these covers point to: all that matter here, for none lives without a cover."""
    missing = {one.entitlement_id for one in standing} - changes.lives.keys()
    if missing:
        changes.load(await entitlements.lock(changes.tx, missing))
    return Ground(devices, standing, changes.lives, changes.ask_again_at)


def _ids() -> Iterator[UUID]:
    while True:
        yield new_id()
