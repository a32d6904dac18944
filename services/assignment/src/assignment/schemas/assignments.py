"""Assignments and requests as they stand, and how far they have come."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from assignment.model import TargetType
from assignment.queries.assignments import Progress
from assignment.queries.pages import Row
from assignment.schemas.words import ASSET_ID, ASSIGNMENT_ID, GROUP_ID, REQUEST_ID, TIME
from shared.events.words import AssignmentMode, InstallMode

_PROGRESS: dict[str, Any] = {
    "assignment_id": ASSIGNMENT_ID,
    "round": 1,
    "targets": 40,
    "settled": 38,
    "unsettled": 2,
    "unfolding": False,
    "completed": False,
    "states": {"installed": 38, "delivering": 2},
}
_ASSIGNMENT: dict[str, Any] = {
    "id": ASSIGNMENT_ID,
    "request_id": REQUEST_ID,
    "asset_id": ASSET_ID,
    "target": {"type": "device_group", "id": GROUP_ID, "serial_number": None},
    "state": "standing",
    "assignment_mode": "device",
    "install_mode": "automatic",
    "priority": 0,
    "expires_at": None,
    "no_wait": False,
    "library_id": None,
    "created_at": TIME,
    "ended_at": None,
    "end_reason": None,
    "progress": _PROGRESS,
    "links": {"progress": f"/v1/assignments/{ASSIGNMENT_ID}/progress"},
}
_REQUEST: dict[str, Any] = {
    "id": REQUEST_ID,
    "caller": "portal",
    "created_at": TIME,
    "refused": [
        {
            "asset_id": ASSET_ID,
            "target_type": "device",
            "target_id": None,
            "serial_number": "NOBODYS",
            "refusal": "unknown_target",
        }
    ],
}


class TargetBody(BaseModel):
    """A target as it was named."""

    type: TargetType
    id: UUID | None = None
    serial_number: str | None = None


class ProgressBody(BaseModel):
    """How far an assignment has come; `completed` when nothing is under way, until a member joins or leaves."""

    model_config = ConfigDict(json_schema_extra={"examples": [_PROGRESS]})

    assignment_id: UUID
    round: int
    targets: int
    settled: int
    unsettled: int
    unfolding: bool
    completed: bool
    states: dict[str, int]

    @classmethod
    def of(cls, progress: Progress) -> Self:
        """Return the body of an assignment's progress."""
        unsettled = progress.targets - progress.settled
        return cls(
            assignment_id=progress.assignment_id,
            round=progress.round,
            targets=progress.targets,
            settled=progress.settled,
            unsettled=unsettled,
            unfolding=progress.unfolding,
            completed=unsettled == 0 and not progress.unfolding,
            states=progress.states,
        )


class AssignmentBody(BaseModel):
    """An assignment and how far it has come."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ASSIGNMENT]})

    id: UUID
    request_id: UUID
    asset_id: UUID
    target: TargetBody
    state: Literal["standing", "ended"]
    assignment_mode: AssignmentMode
    install_mode: InstallMode
    priority: int
    expires_at: datetime | None
    no_wait: bool
    library_id: str | None
    created_at: datetime
    ended_at: datetime | None
    end_reason: str | None
    progress: ProgressBody
    links: dict[str, str]

    @classmethod
    def of(cls, row: Row, progress: Progress) -> Self:
        """Return the body of an assignment's row."""
        return cls(
            **{name: row[name] for name in cls.model_fields if name in row},
            target=TargetBody(type=row["target_type"], id=row["target_id"]),
            state="standing" if row["ended_at"] is None else "ended",
            progress=ProgressBody.of(progress),
            links=assignment_links(row["id"]),
        )


class RequestBody(BaseModel):
    """What one request became; `refused` are its assignments that were refused as a whole."""

    model_config = ConfigDict(json_schema_extra={"examples": [{**_REQUEST, "assignments": [_ASSIGNMENT]}]})

    id: UUID
    caller: str
    created_at: datetime
    assignments: list[AssignmentBody]
    refused: list[dict[str, Any]]

    @classmethod
    def of(cls, row: Row, assignments: Sequence[AssignmentBody]) -> Self:
        """Return the body of a request's row."""
        return cls(
            id=row["id"],
            caller=row["caller"],
            created_at=row["created_at"],
            refused=row["refused"],
            assignments=list(assignments),
        )


class RequestLine(BaseModel):
    """A request in a list."""

    model_config = ConfigDict(json_schema_extra={"examples": [_REQUEST]})

    id: UUID
    caller: str
    created_at: datetime
    refused: list[dict[str, Any]]


def assignment_links(assignment_id: UUID) -> dict[str, str]:
    """Return where to look for more of an assignment."""
    here = f"/v1/assignments/{assignment_id}"
    return {"self": here, "entitlements": f"{here}/entitlements", "progress": f"{here}/progress"}
