"""What others ask of this service: one function per question, each in one reading transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa

from invitation import store
from invitation.model import Cause, Invitation, State, Step, StepKind
from invitation.tables import INVITATION, INVITATION_STEP, WORK
from shared.database import Database
from shared.filters import where


@dataclass(frozen=True, slots=True)
class Filter:
    """Which invitations a list holds; None means any."""

    user_id: UUID | None = None
    library_id: str | None = None
    state: State | None = None


@dataclass(frozen=True, slots=True)
class LetterUnderWay:
    """The work of sending a letter: how often it was tried, what hindered it, when it is tried next."""

    attempts: int
    problem: str | None
    due_at: datetime


@dataclass(frozen=True, slots=True)
class Story:
    """One invitation, what happened to it so far, and its letter if one is under way."""

    invitation: Invitation
    steps: Sequence[Step]
    letter: LetterUnderWay | None


async def list_invitations(
    database: Database, wanted: Filter, *, limit: int, after: UUID | None
) -> list[Invitation]:
    """Return invitations in the order in which they were made, those behind `after` only."""
    question = sa.select(INVITATION).order_by(INVITATION.c.id).limit(limit)
    if after is not None:
        question = question.where(INVITATION.c.id > after)
    question = where(
        question,
        {
            INVITATION.c.user_id: wanted.user_id,
            INVITATION.c.library_id: wanted.library_id,
            INVITATION.c.state: wanted.state,
        },
    )
    async with database.reading() as tx:
        found = await tx.sql.execute(question)
        return [store.to_invitation(dict(row)) for row in found.mappings()]


async def tell_story(database: Database, invitation_id: UUID) -> Story | None:
    """Return one invitation with its steps, None where there is none by this id."""
    steps = (
        sa.select(INVITATION_STEP)
        .where(INVITATION_STEP.c.invitation_id == invitation_id)
        .order_by(INVITATION_STEP.c.id)
    )
    letters = sa.select(WORK.c.attempts, WORK.c.problem, WORK.c.due_at).where(
        WORK.c.payload["invitation_id"].astext == str(invitation_id)
    )
    async with database.reading() as tx:
        invitation = await store.find_invitation(tx, invitation_id)
        if invitation is None:
            return None
        told = [_step(row) for row in (await tx.sql.execute(steps)).mappings()]
        letter = (await tx.sql.execute(letters)).first()
    return Story(invitation, told, None if letter is None else LetterUnderWay(*letter))


def _step(said: sa.RowMapping) -> Step:
    return Step(
        said["invitation_id"],
        said["at"],
        StepKind(said["kind"]),
        State(said["state"]),
        None if said["cause"] is None else Cause(said["cause"]),
        said["status_code"],
    )
