"""What a write leaves behind: an event, its tasks, and what became of them. No clock, no network."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from local.simulators.apple.assets import AssetKey, HolderKind
from local.simulators.apple.errors import error_body

TARGET_FIELDS = {HolderKind.SERIAL: "serialNumbers", HolderKind.USER: "clientUserIds"}

Targets = dict[HolderKind, list[str]]


class EventType(StrEnum):
    """Which write it was."""

    ASSOCIATE = "ASSOCIATE"
    DISASSOCIATE = "DISASSOCIATE"
    REVOKE = "REVOKE"
    CREATE = "CREATE"
    UPDATE = "UPDATE"
    RETIRE = "RETIRE"


ASSET_EVENTS = frozenset({EventType.ASSOCIATE, EventType.DISASSOCIATE, EventType.REVOKE})


class EventStatus(StrEnum):
    """`FAILED` means finished with at least one failed task: the others are done."""

    PENDING = "PENDING"
    PROCESSING = "PROCESSING"
    COMPLETE = "COMPLETE"
    FAILED = "FAILED"


class UserWish(NamedTuple):
    """What a request says of one user."""

    client_user_id: str
    email: str | None = None
    managed_apple_id: str | None = None


class Slice(NamedTuple):
    """Some targets of one asset, or of none in particular: what is worked, and told, at once."""

    asset: AssetKey | None
    kind: HolderKind
    targets: Sequence[str]


class Doom(NamedTuple):
    """A scripted failure of an event's tasks; without targets it is that of all."""

    number: int
    targets: frozenset[str] = frozenset()

    def meets(self, target: str) -> bool:
        """Tell whether this target's tasks fail."""
        return not self.targets or target in self.targets


@dataclass(slots=True)
class Failure:
    """Who failed with one error number. Apple names targets and assets, never the pairs."""

    assets: dict[AssetKey, None] = field(default_factory=dict)
    targets: dict[HolderKind, dict[str, None]] = field(
        default_factory=lambda: {kind: {} for kind in HolderKind}
    )

    def add(self, part: Slice, targets: Sequence[str]) -> None:
        """Name more that failed."""
        if part.asset is not None:
            self.assets[part.asset] = None
        self.targets[part.kind].update(dict.fromkeys(targets))

    def wire(self, number: int, *, names_targets: bool = True) -> dict[str, Any]:
        """Apple's `ErrorResponse`."""
        offenders: dict[str, Any] = {"assets": [key.wire() for key in self.assets]} if self.assets else {}
        if names_targets or not self.assets:
            offenders |= {TARGET_FIELDS[kind]: list(names) for kind, names in self.targets.items() if names}
        return error_body(number, offenders=offenders)


@dataclass(slots=True)
class Event:
    """The tasks of one write, worked slice by slice.

    Of associate and disassociate they are the cross product of assets and targets, of revoke the targets, of
    a write of users the users; `wishes` says by client user id what is to become of those.
    """

    event_id: str
    uid: str
    type: EventType
    assets: list[AssetKey]
    targets: Targets
    wishes: dict[str, UserWish] = field(default_factory=dict)
    requested: int = 0
    worked: int = 0
    completed: int = 0
    status: EventStatus = EventStatus.PENDING
    failures: dict[int, Failure] = field(default_factory=dict)
    short: set[AssetKey] = field(default_factory=set)  # too few of them for all: nobody gets one
    stuck: bool = False
    doom: Doom | None = None
    begins_at: float = 0.0  # UNIX time of its first task; 0 until it is accepted
    ended_at: float | None = None  # UNIX time
    told: int = 0  # of the tasks worked; what became of the others:
    untold_failures: dict[int, list[str]] = field(default_factory=dict)
    untold_rows: list[dict[str, str]] = field(default_factory=list)  # what a revoke took

    def __post_init__(self) -> None:
        targets = sum(len(names) for names in self.targets.values())
        self.requested = self.requested or targets * max(1, len(self.assets))

    @property
    def open(self) -> bool:
        """Tell whether tasks are left."""
        return self.ended_at is None

    def slices(self, size: int) -> Iterator[Slice]:
        """Cut the tasks not told yet, in order, asset by asset, at most `size` targets at a time."""
        skip = self.told
        assets: Sequence[AssetKey | None] = self.assets or [None]
        for asset in assets:
            for kind, names in self.targets.items():
                first = min(skip, len(names))
                skip -= first
                for start in range(first, len(names), size):
                    yield Slice(asset, kind, names[start : start + size])

    def note(self, part: Slice, failed: dict[int, list[str]], taken: list[dict[str, str]]) -> None:
        """Count tasks that were worked, and remember by error number who failed, and what a revoke took."""
        self.worked += len(part.targets)
        self.untold_rows += taken
        self.completed += len(part.targets) - sum(map(len, failed.values()))
        for number, targets in failed.items():
            self.failures.setdefault(number, Failure()).add(part, targets)
            self.untold_failures.setdefault(number, []).extend(targets)

    def note_told(self, part: Slice) -> None:
        """Forget what became of the tasks of a whole slice: all has been told."""
        self.told += len(part.targets)
        self.untold_failures, self.untold_rows = {}, []

    def finish(self, moment: float) -> None:
        """All slices were worked; the targets need not be remembered any longer."""
        self.status = EventStatus.FAILED if self.failures else EventStatus.COMPLETE
        self.ended_at = moment
        self.targets, self.wishes = {}, {}

    def wire(self, *, shortage_names: str = "targets") -> dict[str, Any]:
        """Apple's answer to `status`."""
        body: dict[str, Any] = {
            "eventStatus": self.status,
            "eventType": self.type,
            "numCompleted": self.completed,
            "numRequested": self.requested,
        }
        if self.failures:
            body["failures"] = [
                failure.wire(number, names_targets=number != 9709 or shortage_names == "targets")
                for number, failure in self.failures.items()
            ]
        return body
