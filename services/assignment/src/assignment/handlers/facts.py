"""Events read as facts: what an answer of licensing or of mdm-push says about one entitlement or delivery."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from assignment.decide.deliveries import DeliveryFact
from assignment.decide.entitlements import Fact, Said
from assignment.model import Delivery
from shared.events import Heard
from shared.events.licensing import (
    FailedTarget,
    LicenseAssigned,
    LicenseFailed,
    LicenseRefused,
    LicenseReleased,
    LicenseReserved,
    LicenseWaitlisted,
    RefusedTarget,
    ReleasedTarget,
    ReservedTarget,
    WaitingTarget,
)
from shared.events.mdm_push import InstallCompleted, InstallFailed, RemovalCompleted, RemovalFailed
from shared.events.words import Awaits

LicenseAnswer = (
    LicenseReserved | LicenseWaitlisted | LicenseRefused | LicenseAssigned | LicenseReleased | LicenseFailed
)
DeviceAnswer = InstallCompleted | InstallFailed | RemovalCompleted | RemovalFailed


@dataclass(frozen=True, slots=True)
class Patience:
    """How often something is tried again by itself: lost licences, failed installs, and after how long."""

    lives: int = 3
    installs: int = 3
    retry_seconds: float = 3600.0


def license_facts(one: Heard[LicenseAnswer]) -> Iterator[tuple[UUID, Fact, Said]]:
    """Read an answer of licensing, target by target."""
    plain = Said(type(one.event).__name__, one.envelope.event_id)
    read = _LICENSE_FACTS[type(one.event)]
    for target in one.event.targets:
        fact, said = read(target, plain)
        if isinstance(one.event, LicenseWaitlisted):
            said = replace(said, position_at=one.event.as_of)
        yield target.entitlement_id, fact, said


def delivery_fact(
    one: Heard[DeviceAnswer], delivery: Delivery, patience: Patience, now: datetime
) -> tuple[DeliveryFact, Said]:
    """Read an answer of mdm-push; a failed install says when it is tried again, each time after twice the wait."""
    event = one.event
    said = Said(type(event).__name__, one.envelope.event_id)
    if isinstance(event, InstallFailed):
        seconds = patience.retry_seconds * 2 ** (delivery.attempt - 1)
        retry_at = now + timedelta(seconds=seconds) if delivery.attempt < patience.installs else None
        said = replace(said, cause=event.cause, retry_at=retry_at)
    elif isinstance(event, RemovalFailed):
        said = replace(said, cause=event.cause)
    elif isinstance(event, RemovalCompleted):
        said = replace(said, cause=event.was)
    return _DELIVERY_FACTS[type(event)], said


def entitlement_fact(fact: DeliveryFact, said: Said) -> Fact | None:
    """Return what a delivery's fact is to its entitlement; a removal is nothing to it: that does not hold it open."""
    if fact is DeliveryFact.INSTALLED:
        return Fact.INSTALLED
    if fact is DeliveryFact.INSTALL_FAILED:
        return Fact.INSTALL_FAILED if said.retry_at else Fact.GIVEN_UP
    return None


def _reserved(target: ReservedTarget, plain: Said) -> tuple[Fact, Said]:
    waits = target.awaits is Awaits.ACCEPTANCE
    return (Fact.HELD_FOR_ACCEPTANCE if waits else Fact.RESERVED), plain


def _waitlisted(target: WaitingTarget, plain: Said) -> tuple[Fact, Said]:
    return Fact.WAITLISTED, replace(plain, position=target.position)


def _refused(target: RefusedTarget, plain: Said) -> tuple[Fact, Said]:
    return Fact.REFUSED, replace(plain, cause=target.refusal, error_number=target.error_number)


def _assigned(_: Any, plain: Said) -> tuple[Fact, Said]:
    return Fact.ASSIGNED, plain


def _released(target: ReleasedTarget, plain: Said) -> tuple[Fact, Said]:
    return (Fact.RELEASED if target.asked else Fact.TAKEN), plain


def _failed(target: FailedTarget, plain: Said) -> tuple[Fact, Said]:
    return Fact.FAILED, replace(plain, cause=target.cause, error_number=target.error_number)


_LICENSE_FACTS: Mapping[type, Callable[[Any, Said], tuple[Fact, Said]]] = {
    LicenseReserved: _reserved,
    LicenseWaitlisted: _waitlisted,
    LicenseRefused: _refused,
    LicenseAssigned: _assigned,
    LicenseReleased: _released,
    LicenseFailed: _failed,
}
_DELIVERY_FACTS: Mapping[type, DeliveryFact] = {
    InstallCompleted: DeliveryFact.INSTALLED,
    InstallFailed: DeliveryFact.INSTALL_FAILED,
    RemovalCompleted: DeliveryFact.REMOVED,
    RemovalFailed: DeliveryFact.REMOVAL_FAILED,
}
