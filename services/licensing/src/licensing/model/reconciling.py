"""The words of a reconciliation: how our ledger and Apple's lists can differ, and what became of a difference."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from licensing.model.ledger import State


class DifferenceClass(StrEnum):
    """Every way in which we and Apple can differ: a closed list."""

    FOREIGN = "foreign"
    TAKEN = "taken"
    LOST_MESSAGE = "lost_message"
    OUR_FAULT = "our_fault"
    COUNTS = "counts"


class DifferenceState(StrEnum):
    """What became of a difference.

    `gone`: it was not there any more when it should be repaired. `ignored`: nobody acted on it, for it cannot be
    repaired from here, or a later reconciliation looked anew.
    """

    OPEN = "open"
    APPLIED = "applied"
    GONE = "gone"
    IGNORED = "ignored"


class RepairKind(StrEnum):
    """What is done about a class of differences."""

    RECLAIM = "reclaim"
    END = "end"
    READ_LIST = "read_list"
    READ_COUNTS = "read_counts"


@dataclass(frozen=True, slots=True)
class Standing:
    """One holder in one pool, as our ledger and Apple's list show them.

    `state` is the stored one of the living life, else of the last that ended; None where there never was one.
    `asked`: that life was part of a request to Apple whose outcome is known. `overdue`: it is part of one that
    was sent longer ago than the proof time, and is not settled. `moved`: something happened to the holder's
    licences since the reading began. `exact`: the list did not change while it was read.
    """

    listed: bool
    exact: bool
    state: State | None = None
    asked: bool = False
    overdue: bool = False
    moved: bool = False


@dataclass(frozen=True, slots=True)
class Candidate:
    """A holder who may be a difference, by Apple's name: a serial number, or a client user id."""

    holder: str
    of_people: bool
    entitlement_id: UUID | None
    standing: Standing


@dataclass(frozen=True, slots=True)
class Found:
    """A difference that a reading found. `pool_id` is None where the library had no pool of the asset yet."""

    kind: DifferenceClass
    asset_id: UUID
    pool_id: UUID | None
    found_at: datetime
    ours: dict[str, object]
    apples: dict[str, object]
    holder: str | None = None
    of_people: bool = False
    entitlement_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class OpenDifference:
    """A difference that is to be repaired."""

    difference_id: UUID
    kind: DifferenceClass
    holder: str
    of_people: bool
    entitlement_id: UUID | None
    found_at: datetime
