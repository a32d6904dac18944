"""The end of every transaction that moved something: totals, rounds, and then the outbox."""

from uuid import UUID

from assignment.handlers.changes import Changes
from assignment.model import SETTLED, State
from assignment.resolve import Counts
from assignment.store import assets, assignments
from assignment.store.assignments import Tally
from shared import metrics, outbox
from shared.events import Outgoing
from shared.events.assignment import AssignmentCompleted, Totals
from shared.locks import Rung


async def finish(changes: Changes) -> None:
    """Write everything gathered, count it, and append what has to be told, in the one order of locks."""
    await changes.save_moves()
    await changes.save_deliveries()
    await changes.save_steps()
    asset_ids = changes.telling.asset_ids()
    known = await assets.read(changes.tx, asset_ids) if asset_ids else {}
    completed = await _count(changes)
    await outbox.append(changes.tx, [*changes.telling.events(known), *completed])
    changes.tx.after_commit(lambda: _measure(changes))


def _measure(changes: Changes) -> None:
    for (state, cause), count in changes.reached.items():
        metrics.ENTITLEMENTS_MOVED.labels(state, cause or "").inc(count)


async def _count(changes: Changes) -> list[Outgoing]:
    """Add to the totals; return what to tell of assignments of which nothing is under way any more."""
    touched = {assignment_id for (assignment_id, _), count in changes.counts.items() if count}
    touched |= changes.begun | changes.unfolded | changes.ended.keys()
    if not touched:
        return []
    changes.tx.reach(Rung.COUNTERS)
    tallies = await assignments.lock_tallies(changes.tx, touched)
    later = {tally.assignment_id: _added(tally, changes.counts) for tally in tallies}
    await _save(changes, later)
    completed = [
        tally
        for tally in tallies
        if _completes(tally, later[tally.assignment_id], unfolded=tally.assignment_id in changes.unfolded)
    ]
    if completed:
        rounds = {tally.assignment_id: tally.round + 1 for tally in completed}
        await assignments.put_rounds(changes.tx, rounds)
    return [_completed(tally, later[tally.assignment_id]) for tally in completed]


async def _save(changes: Changes, later: dict[UUID, dict[State, int]]) -> None:
    totals = [
        (assignment_id, state, later[assignment_id][state])
        for (assignment_id, state), count in changes.counts.items()
        if count
    ]
    if totals:
        await assignments.put_totals(changes.tx, totals)
    if changes.begun:
        await assignments.begun(changes.tx, changes.begun)
    if changes.unfolded:
        await assignments.unfolded(changes.tx, changes.unfolded)
    for assignment_id, ended in changes.ended.items():
        await assignments.end(changes.tx, assignment_id, reason=ended.reason, unfolding=ended.unfolding)


def _added(tally: Tally, counts: Counts) -> dict[State, int]:
    """Return the totals as they are after this transaction."""
    return {
        state: tally.states.get(state, 0) + counts[tally.assignment_id, state]
        for state in State
        if state in tally.states or counts[tally.assignment_id, state]
    }


def _completes(tally: Tally, states: dict[State, int], *, unfolded: bool) -> bool:
    """Say whether the unsettled fell to 0; not while another work row still writes the set."""
    if _unsettled(states) or tally.unfolding > int(unfolded):
        return False
    return unfolded or _unsettled(tally.states) > 0


def _unsettled(states: dict[State, int]) -> int:
    return sum(count for state, count in states.items() if state not in SETTLED)


def _completed(tally: Tally, states: dict[State, int]) -> Outgoing:
    standing = {state.value: count for state, count in states.items() if count}
    return Outgoing(
        AssignmentCompleted(
            assignment_id=tally.assignment_id,
            request_id=tally.request_id,
            asset_id=tally.asset_id,
            round=tally.round + 1,
            totals=Totals(targets=sum(standing.values()), states=standing),
        ),
        tally.request_id,
    )
