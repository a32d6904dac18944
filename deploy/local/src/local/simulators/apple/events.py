"""What a write leaves behind: an event, its tasks, and what became of them. No clock, no network."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from local.simulators.apple.errors import error_body
from local.simulators.apple.library import Asset, AssetKey, HolderKind, Holders

NOT_ENOUGH_LICENSES = 9709
TARGET_FIELDS = {HolderKind.SERIAL: "serialNumbers", HolderKind.USER: "clientUserIds"}


class EventType(StrEnum):
    """Which write it was."""

    ASSOCIATE = "ASSOCIATE"
    DISASSOCIATE = "DISASSOCIATE"


class EventStatus(StrEnum):
    """`FAILED` means finished with at least one failed task: the others are done."""

    PENDING = "PENDING"
    COMPLETE = "COMPLETE"
    FAILED = "FAILED"


class Slice(NamedTuple):
    """Some targets of one asset: what is worked, and told, at once."""

    asset: Asset
    kind: HolderKind
    targets: Sequence[str]


@dataclass(slots=True)
class Failure:
    """Who failed with one error number. Apple names targets and assets, never the pairs."""

    assets: dict[AssetKey, None] = field(default_factory=dict)
    targets: dict[HolderKind, Holders] = field(default_factory=lambda: {kind: {} for kind in HolderKind})

    def wire(self, number: int) -> dict[str, Any]:
        """Apple's `ErrorResponse`."""
        offenders: dict[str, Any] = {"assets": [key.wire() for key in self.assets]}
        offenders |= {TARGET_FIELDS[kind]: list(names) for kind, names in self.targets.items() if names}
        return error_body(number, offenders=offenders)


@dataclass(slots=True)
class Event:
    """The cross product of assets and targets, worked slice by slice."""

    event_id: str
    uid: str
    type: EventType
    assets: list[Asset]
    targets: dict[HolderKind, list[str]]
    requested: int = 0
    completed: int = 0
    status: EventStatus = EventStatus.PENDING
    failures: dict[int, Failure] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.requested = len(self.assets) * sum(len(names) for names in self.targets.values())

    def slices(self, size: int) -> Iterator[Slice]:
        """Cut all tasks, in order, asset by asset, at most `size` targets at a time."""
        for asset in self.assets:
            for kind, names in self.targets.items():
                for start in range(0, len(names), size):
                    yield Slice(asset, kind, names[start : start + size])

    def work(self, part: Slice) -> Sequence[str]:
        """Do these tasks now and answer the targets that failed, all with 9709."""
        refused: Sequence[str] = ()
        if self.type is EventType.ASSOCIATE:
            refused = part.asset.associate(part.kind, part.targets)
        else:
            part.asset.disassociate(part.kind, part.targets)
        self.completed += len(part.targets) - len(refused)
        if refused:
            failure = self.failures.setdefault(NOT_ENOUGH_LICENSES, Failure())
            failure.assets[part.asset.key] = None
            failure.targets[part.kind].update(dict.fromkeys(refused))
        return refused

    def finish(self) -> None:
        """All slices were worked; the targets need not be remembered any longer."""
        self.status = EventStatus.FAILED if self.failures else EventStatus.COMPLETE
        self.targets = {}

    def wire(self) -> dict[str, Any]:
        """Apple's answer to `status`."""
        body: dict[str, Any] = {
            "eventStatus": self.status,
            "eventType": self.type,
            "numCompleted": self.completed,
            "numRequested": self.requested,
        }
        if self.failures:
            body["failures"] = [failure.wire(number) for number, failure in self.failures.items()]
        return body
