"""Commands: what stands in the queue of a channel, and what becomes of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID


class CommandState(StrEnum):
    """Where a command stands; the first three are open, `refused` is a NotNow."""

    QUEUED = "queued"
    HANDED_OUT = "handed_out"
    REFUSED = "refused"
    ACKNOWLEDGED = "acknowledged"
    ERROR = "error"
    FORMAT_ERROR = "format_error"
    WITHDRAWN = "withdrawn"
    CLEARED = "cleared"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCommand:
    """A command to be queued; its UUID is given when it is stored. It is handed out from `due_at` on."""

    enrollment_id: UUID
    generation: int
    request_type: str
    arguments: Mapping[str, Any]
    due_at: datetime
    correlation_id: UUID
    wish_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Handout:
    """A command on its way into the answer of a connect."""

    id: UUID
    request_type: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class FinishedCommand:
    """A command whose final report has just been stored."""

    id: UUID
    request_type: str
    correlation_id: UUID
    wish_id: UUID | None
