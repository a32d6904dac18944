"""What every event is: frozen data with a topic, a key and a version."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Generic, Self, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from shared.events.envelope import Envelope
from shared.topics import Topic

MAX_TARGETS_PER_EVENT = 1000
"""Apple's own limit of serial numbers per request."""

SerialNumber = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{1,64}$")]
AdamId = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,20}$")]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
"""A cause in one word: nothing that names a person fits into it (promise 8)."""


class Told(BaseModel):
    """Data inside an event. Unknown fields are ignored: within a version fields are only added."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Event(Told):
    """One kind of event; the class name is its `ce_type`."""

    topic: ClassVar[Topic]
    version: ClassVar[int] = 1
    tombstone: ClassVar[bool] = False
    """True where the record has no value, so that compaction forgets the key; `from_key` reads it back."""

    def key(self) -> str:
        """Return the record's key: events of one key keep their order."""
        raise NotImplementedError

    @classmethod
    def from_key(cls, key: str) -> "Event":
        """Return a tombstone's event. Raises ValueError where the key cannot be one of its kind."""
        raise ValueError(f"{cls.__name__} carries its data in the value, {key!r} has none")

    def subject(self) -> str:
        """Return `ce_subject`: what the event is about."""
        return self.key()

    def entitlement_ids(self) -> tuple[UUID, ...]:
        """Return whose turn a parked copy of this event holds up."""
        return ()


class Target(Told):
    """One target of an event about many. `version` is the entitlement's, as told by assignment."""

    entitlement_id: UUID
    version: Annotated[int, Field(ge=0)] = 0


class Principal(Target):
    """A target and whose licence it is about: a device's serial number, or a user's id.

    `person_version` is the version of the person that the asker knew; a hearer whose copy is older waits.
    """

    serial_number: SerialNumber | None = None
    user_id: UUID | None = None
    person_version: int | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.serial_number is None) == (self.user_id is None):
            raise ValueError("a target has either a serial_number or a user_id")
        return self


T = TypeVar("T", bound=Target)


class EventAboutMany(Event, Generic[T]):
    """An event about up to 1,000 targets, all of one request."""

    targets: Annotated[tuple[T, ...], Field(max_length=MAX_TARGETS_PER_EVENT)]

    def entitlement_ids(self) -> tuple[UUID, ...]:
        """Return the entitlements told of."""
        return tuple(target.entitlement_id for target in self.targets)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A target that could not be read, among others that could; without an id nobody can be answered."""

    entitlement_id: UUID | None
    detail: str


E_co = TypeVar("E_co", bound=Event, covariant=True)


@dataclass(frozen=True, slots=True)
class Heard(Generic[E_co]):
    """An event as a handler gets it."""

    envelope: Envelope
    event: E_co
    unreadable: tuple[Unreadable, ...] = ()


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An event on its way to the outbox.

    `sequence` is the version of the person, asset or enrollment told. `event_id` is given only where
    something sealed inside the event is bound to it.
    """

    event: Event
    correlation_id: UUID
    causation_id: UUID | None = None
    sequence: int | None = None
    event_id: UUID | None = None


def split(targets: Sequence[T], size: int = MAX_TARGETS_PER_EVENT) -> list[tuple[T, ...]]:
    """Cut targets into sets that one event may carry."""
    return [tuple(targets[start : start + size]) for start in range(0, len(targets), size)]
