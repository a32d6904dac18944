"""What a device shall do wrong, and how often; each time takes one away."""

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self, TypeVar

T = TypeVar("T")

ANY_COMMAND = "*"


class Mischief(StrEnum):
    """What can go wrong beside NotNow."""

    DUPLICATE_REPORT = "duplicate_report"  # a report is sent again, as if its answer had been lost
    HOLD_REPORT = "hold_report"  # the command is done, the connection lost, the report comes later
    LOSE_COMMAND = "lose_command"  # the connection is lost before the command is done: it must come again
    STRANGE_REPORT = "strange_report"  # a report on a command that nobody sent comes before the true one
    REJECT_INSTALL = "reject_install"  # the user says no to an app
    REJECT_UPDATE = "reject_update"  # the user says no to an update
    REJECT_MANAGEMENT = "reject_management"  # the user keeps an app of their own to themselves
    FAIL_INSTALL = "fail_install"  # the download breaks


@dataclass(frozen=True, slots=True)
class Script:
    """How often each mischief still happens, and NotNow per RequestType (or "*" for any)."""

    times: Counter[Mischief] = field(default_factory=Counter)
    not_now: Counter[str] = field(default_factory=Counter)

    def copy(self) -> Self:
        """Answer one with counters of its own."""
        return type(self)(self.times.copy(), self.not_now.copy())

    def takes(self, mischief: Mischief) -> bool:
        """Whether it happens now."""
        return _take_one(self.times, mischief)

    def refuses(self, request_type: str) -> bool:
        """Whether the answer to this command is NotNow."""
        return _take_one(self.not_now, request_type if request_type in self.not_now else ANY_COMMAND)


def _take_one(counts: Counter[T], key: T) -> bool:
    if counts[key] <= 0:
        return False
    counts[key] -= 1
    return True
