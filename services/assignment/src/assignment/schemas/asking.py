"""Assignments as they are asked for, and the answer to a request."""

from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from assignment.model import TargetType
from assignment.schemas.assignments import TargetBody
from assignment.schemas.words import (
    ASSET_ID,
    ASSIGNMENT_ID,
    GROUP_ID,
    REQUEST_ID,
    LibraryId,
    Moment,
    Said,
    SerialAsSaid,
)
from shared.events.words import AssignmentMode, InstallMode, Refusal

MOST_ASSIGNMENTS = 1000
"""Assignments in one request."""


class TargetSaid(Said):
    """Who it is for: by id, or a device by its serial number."""

    type: TargetType
    id: UUID | None = None
    serial_number: SerialAsSaid | None = None

    @model_validator(mode="after")
    def _named_once(self) -> Self:
        if (self.id is None) == (self.serial_number is None):
            raise ValueError("a target has either an id or a serial_number")
        if self.serial_number is not None and self.type is not TargetType.DEVICE:
            raise ValueError("only a device has a serial_number")
        return self


class AssignmentSaid(Said):
    """One asset for one target. Without `assignment_mode`, devices get device licences and people their own."""

    asset_id: UUID
    target: TargetSaid
    assignment_mode: AssignmentMode | None = None
    install_mode: InstallMode = InstallMode.AUTOMATIC
    priority: Annotated[int, Field(ge=-1000, le=1000, description="higher ones wait less")] = 0
    expires_at: Moment | None = None
    no_wait: Annotated[bool, Field(description="refuse rather than wait for a licence")] = False
    library_id: LibraryId | None = None
    acknowledge_no_catalogue: Annotated[
        bool, Field(description="a manual device licence shows in nobody's Purchased list: I know")
    ] = False


class NewAssignments(Said):
    """Assignments to be made in one request."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "assignments": [
                        {"asset_id": ASSET_ID, "target": {"type": "device_group", "id": GROUP_ID}},
                        {
                            "asset_id": ASSET_ID,
                            "target": {"type": "device", "serial_number": "C02X1234"},
                            "priority": 10,
                            "no_wait": True,
                        },
                    ]
                }
            ]
        }
    )

    assignments: Annotated[list[AssignmentSaid], Field(min_length=1, max_length=MOST_ASSIGNMENTS)]


class Counts(BaseModel):
    """How many targets were reached: newly requested, covered by a life that was there, refused by slug."""

    targets: int = 0
    requested: int = 0
    covered: int = 0
    refused: dict[Refusal, int] = {}


class RefusedTarget(BaseModel):
    """One target that was refused, and why; `assignment` is the place of its assignment in the request."""

    assignment: int
    target: TargetBody
    refusal: Refusal
    explanation: str


class AssignmentAnswer(BaseModel):
    """What one assignment came to: an id, or the refusal of it all. `unfolding`: more targets follow."""

    id: UUID | None = None
    refusal: Refusal | None = None
    explanation: str | None = None
    asset_id: UUID
    target: TargetBody
    counts: Counts
    unfolding: bool = False
    links: dict[str, str] = {}


class RequestAnswer(BaseModel):
    """What a request came to; its id is the correlation id of all that follows. Refusals: the first hundred."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "request_id": REQUEST_ID,
                    "counts": {
                        "targets": 41,
                        "requested": 39,
                        "covered": 0,
                        "refused": {"os_too_old": 1, "not_enrolled": 1},
                    },
                    "assignments": [
                        {
                            "id": ASSIGNMENT_ID,
                            "refusal": None,
                            "explanation": None,
                            "asset_id": ASSET_ID,
                            "target": {"type": "device_group", "id": GROUP_ID, "serial_number": None},
                            "counts": {
                                "targets": 40,
                                "requested": 39,
                                "covered": 0,
                                "refused": {"os_too_old": 1},
                            },
                            "unfolding": False,
                            "links": {"progress": f"/v1/assignments/{ASSIGNMENT_ID}/progress"},
                        }
                    ],
                    "refusals": [
                        {
                            "assignment": 0,
                            "target": {"type": "device", "id": None, "serial_number": "C02X1235"},
                            "refusal": "os_too_old",
                            "explanation": "the device's system is older than this kind of asset allows",
                        }
                    ],
                    "links": {"request": f"/v1/requests/{REQUEST_ID}"},
                }
            ]
        }
    )

    request_id: UUID
    counts: Counts
    assignments: list[AssignmentAnswer]
    refusals: list[RefusedTarget]
    links: dict[str, str]
