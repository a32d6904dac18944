"""From a request's body to what is asked, and from what it came to the answer."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from assignment.decide.refusals import EXPLANATIONS
from assignment.handlers.asking import Answer
from assignment.handlers.targets import Asked, TargetNamed, printable
from assignment.model import PEOPLE, TargetType, Wish
from assignment.schemas.asking import (
    AssignmentAnswer,
    AssignmentSaid,
    Counts,
    NewAssignments,
    RefusedTarget,
    RequestAnswer,
)
from assignment.schemas.assignments import TargetBody, assignment_links
from assignment.schemas.words import MOST_LISTED
from shared.errors import Invalid
from shared.events.words import AssignmentMode, Refusal


def check_expiries(new: NewAssignments, now: datetime) -> None:
    """Raise Invalid, naming the field, where an assignment would expire before it begins."""
    past = {
        f"assignments.{place}.expires_at": "lies in the past"
        for place, said in enumerate(new.assignments)
        if said.expires_at is not None and said.expires_at <= now
    }
    if past:
        raise Invalid("invalid", f"cannot be read: {', '.join(past)}", fields=past)


def asked_of(said: AssignmentSaid) -> Asked:
    """Return what a body asks for; whoever names no mode wants the one that fits the target."""
    to_people = said.target.type in PEOPLE
    return Asked(
        asset_id=said.asset_id,
        target=TargetNamed(said.target.type, said.target.id, said.target.serial_number),
        wish=Wish(
            assignment_mode=said.assignment_mode
            or (AssignmentMode.APPLE_ID if to_people else AssignmentMode.DEVICE),
            install_mode=said.install_mode,
            priority=said.priority,
            expires_at=said.expires_at,
            no_wait=said.no_wait,
            library_id=said.library_id,
        ),
        acknowledge_no_catalogue=said.acknowledge_no_catalogue,
    )


def request_answer(request_id: UUID, answers: Sequence[Answer]) -> RequestAnswer:
    """Return the body of the answer."""
    told = [_assignment(answer) for answer in answers]
    return RequestAnswer(
        request_id=request_id,
        counts=_sum(one.counts for one in told),
        assignments=told,
        refusals=_refusals(answers),
        links={"request": f"/v1/requests/{request_id}"},
    )


def _assignment(answer: Answer) -> AssignmentAnswer:
    target = answer.asked.target
    named = TargetBody(type=target.type, id=target.id, serial_number=printable(target.serial_number))
    if answer.assignment is None:
        refusal = answer.refusal or Refusal.UNKNOWN_TARGET
        return AssignmentAnswer(
            refusal=refusal,
            explanation=EXPLANATIONS.get(refusal),
            asset_id=answer.asked.asset_id,
            target=named,
            counts=Counts(targets=1, refused={refusal: 1}),
        )
    return AssignmentAnswer(
        id=answer.assignment.id,
        asset_id=answer.asked.asset_id,
        target=named,
        counts=_counts(answer),
        unfolding=answer.unfolding,
        links=assignment_links(answer.assignment.id),
    )


def _counts(answer: Answer) -> Counts:
    outcome = answer.outcome
    if outcome is None:
        return Counts(targets=answer.targets)
    return Counts(
        targets=answer.targets,
        requested=outcome.requested,
        covered=outcome.covered,
        refused=Counter(refusal for _, refusal in outcome.refused),
    )


def _sum(counts: Iterable[Counts]) -> Counts:
    total, refused = Counts(), Counter[Refusal]()
    for each in counts:
        total.targets += each.targets
        total.requested += each.requested
        total.covered += each.covered
        refused.update(each.refused)
    total.refused = dict(refused)
    return total


def _refusals(answers: Sequence[Answer]) -> list[RefusedTarget]:
    """Return the first refusals, each with its target: assignments on one device, and members of groups."""
    shown: list[RefusedTarget] = []
    for place, answer in enumerate(answers):
        if answer.refusal is not None:
            target = answer.asked.target
            named = TargetBody(type=target.type, id=target.id, serial_number=printable(target.serial_number))
            shown.append(_refused(place, named, answer.refusal))
        for device, refusal in answer.outcome.refused[:MOST_LISTED] if answer.outcome else ():
            named = TargetBody(type=TargetType.DEVICE, id=device.id, serial_number=device.serial_number)
            shown.append(_refused(place, named, refusal))
        if len(shown) >= MOST_LISTED:
            break
    return shown[:MOST_LISTED]


def _refused(place: int, target: TargetBody, refusal: Refusal) -> RefusedTarget:
    return RefusedTarget(
        assignment=place, target=target, refusal=refusal, explanation=EXPLANATIONS.get(refusal, refusal)
    )
