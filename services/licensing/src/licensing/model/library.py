"""What an administrator may set for a library."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from shared.events.words import RevokeReason


@dataclass(frozen=True, slots=True)
class LibrarySettings:
    """What is to change; None stays as it is.

    Of several libraries that hold an asset the one with the lowest `preference` is asked first. `reclaim`:
    after how many seconds a licence goes back that was revoked for this reason; at once for a reason that is
    not named. `repairs`: the classes of difference from Apple that are repaired without a question.
    """

    preference: int | None = None
    reclaim: Mapping[RevokeReason, int] | None = None
    repairs: AbstractSet[str] | None = None
