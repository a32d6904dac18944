"""Assignments asked for over HTTP: judged, stored, and expanded to their devices at once or slice by slice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from assignment.decide.entitlements import Said
from assignment.handlers.changes import Changes
from assignment.handlers.counting import finish
from assignment.handlers.opening import cover
from assignment.handlers.targets import Asked, Candidate, accepted, find, printable
from assignment.handlers.unfolding import expand_later
from assignment.model import Assignment, Device
from assignment.resolve import Outcome
from assignment.store import assets, assignments
from shared import metrics
from shared.database import Transaction
from shared.events.words import Refusal
from shared.ids import new_id


@dataclass(frozen=True, slots=True)
class Answer:
    """What one assignment came to: refused as a whole, or stored, with what became of its targets so far.

    `unfolding` says that a work row goes on to expand it; `targets` is the size of the group then.
    """

    asked: Asked
    assignment: Assignment | None
    refusal: Refusal | None
    targets: int = 0
    unfolding: bool = False
    outcome: Outcome | None = None


async def ask(
    tx: Transaction, asked: Sequence[Asked], *, request_id: UUID, caller: str, max_targets: int
) -> list[Answer]:
    """Store assignments and let them reach their devices; the answers stand in the order of the asked.

    Up to 10,000 targets are expanded here, in this transaction; what goes beyond is left to work rows.
    """
    known = await assets.read(tx, {one.asset_id for one in asked})
    candidates, locked = await find(tx, asked, known, max_targets=max_targets)
    refused = [_refused(candidate) for candidate in candidates if candidate.refusal]
    await assignments.insert_request(tx, request_id, caller=caller, refused=refused)
    stored = await _store(tx, accepted(candidates), request_id)
    outcomes = await _reach(tx, stored, locked)
    _count_refusals(tx, candidates)
    given = {id(candidate): assignment for candidate, assignment in stored}
    return [_answer(candidate, given.get(id(candidate)), outcomes) for candidate in candidates]


async def _store(
    tx: Transaction, candidates: Sequence[Candidate], request_id: UUID
) -> list[tuple[Candidate, Assignment]]:
    stored = [
        (candidate, _assignment(candidate, candidate.target_id, request_id))
        for candidate in candidates
        if candidate.target_id is not None
    ]
    if stored:
        unfolding = [candidate.unfolding for candidate, _ in stored]
        await assignments.insert(tx, [assignment for _, assignment in stored], unfolding)
        await expand_later(tx, [assignment for candidate, assignment in stored if candidate.unfolding])
    return stored


async def _reach(
    tx: Transaction, stored: Sequence[tuple[Candidate, Assignment]], locked: Mapping[UUID, Device]
) -> dict[UUID, Outcome]:
    """Let what is not left to work rows reach its devices."""
    reached = [
        (assignment, [locked[device_id] for device_id in candidate.device_ids])
        for candidate, assignment in stored
        if not candidate.unfolding
    ]
    if not reached:
        return {}
    changes = Changes(tx)
    changes.unfolded.update(assignment.id for assignment, _ in reached)
    opening = await cover(changes, reached, locked, Said("AssignmentRequested"))
    await finish(changes)
    return opening.outcomes


def _assignment(candidate: Candidate, target_id: UUID, request_id: UUID) -> Assignment:
    asked = candidate.asked
    return Assignment(new_id(), request_id, asked.asset_id, asked.target.type, target_id, asked.wish)


def _answer(candidate: Candidate, assignment: Assignment | None, outcomes: Mapping[UUID, Outcome]) -> Answer:
    if assignment is None:
        return Answer(candidate.asked, None, candidate.refusal)
    return Answer(
        candidate.asked,
        assignment,
        None,
        candidate.targets,
        candidate.unfolding,
        outcomes.get(assignment.id),
    )


def _refused(candidate: Candidate) -> dict[str, str | None]:
    """Return a refused assignment as the request remembers it."""
    target = candidate.asked.target
    return {
        "asset_id": str(candidate.asked.asset_id),
        "target_type": target.type,
        "target_id": str(target.id) if target.id else None,
        "serial_number": printable(target.serial_number),
        "refusal": candidate.refusal,
    }


def _count_refusals(tx: Transaction, candidates: Sequence[Candidate]) -> None:
    refusals = [candidate.refusal for candidate in candidates if candidate.refusal]

    def count() -> None:
        for refusal in refusals:
            metrics.ASSIGNMENTS_REFUSED.labels(refusal).inc()

    tx.after_commit(count)
