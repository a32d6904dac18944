"""From what was decided to the events that tell of it: gathered by what they share, split at 1,000 targets."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from uuid import UUID

from assignment.model import Asset, Delivery, Entitlement, Wish
from shared.events import Outgoing, Principal, split
from shared.events.assignment import (
    AssignmentRequested,
    AssignmentRevoked,
    DeliveryTarget,
    InstallRequested,
    RemovalRequested,
)
from shared.events.words import AssignmentMode, RevokeReason

_Thread = tuple[UUID, UUID]
"""The request and the asset: what the targets of one event have in common."""


class Telling:
    """Gathers targets; the events of one asset come out in the order revoke, removal, request, install.

    Where several events led to one set, the first of them stands as its cause.
    """

    def __init__(self) -> None:
        self._causes: dict[object, UUID | None] = {}
        self._requested: defaultdict[tuple[_Thread, Wish], list[Principal]] = defaultdict(list)
        self._revoked: defaultdict[tuple[_Thread, RevokeReason | None], list[Principal]] = defaultdict(list)
        self._installs: defaultdict[tuple[_Thread, AssignmentMode], list[DeliveryTarget]] = defaultdict(list)
        self._removals: defaultdict[_Thread, list[DeliveryTarget]] = defaultdict(list)

    def requested(self, life: Entitlement, event_id: UUID | None) -> None:
        """Tell that a licence is wanted for this life, or wanted otherwise than before."""
        key = (_thread(life), life.wish)
        self._causes.setdefault(key, event_id)
        self._requested[key].append(_principal(life))

    def revoked(self, life: Entitlement, event_id: UUID | None) -> None:
        """Tell that this life is to give its licence back."""
        key = (_thread(life), life.reason)
        self._causes.setdefault(key, event_id)
        self._revoked[key].append(_principal(life))

    def install(self, delivery: Delivery, life: Entitlement, event_id: UUID | None) -> None:
        """Tell that this delivery is to be installed."""
        key = (_thread(life), life.wish.assignment_mode)
        self._causes.setdefault(key, event_id)
        self._installs[key].append(_delivery_target(delivery, life))

    def removal(self, delivery: Delivery, life: Entitlement, event_id: UUID | None) -> None:
        """Tell that this delivery is to be withdrawn or removed."""
        key = _thread(life)
        self._causes.setdefault(key, event_id)
        self._removals[key].append(_delivery_target(delivery, life))

    def asset_ids(self) -> set[UUID]:
        """Return the assets that something is told of."""
        threads = [
            *(thread for thread, _ in self._requested),
            *(thread for thread, _ in self._revoked),
            *(thread for thread, _ in self._installs),
            *self._removals,
        ]
        return {asset_id for _, asset_id in threads}

    def events(self, assets: Mapping[UUID, Asset]) -> list[Outgoing]:
        """Return everything gathered as events."""
        return [
            *self._revokes(assets),
            *self._removes(assets),
            *self._requests(assets),
            *self._install_requests(assets),
        ]

    def _revokes(self, assets: Mapping[UUID, Asset]) -> Iterator[Outgoing]:
        for key, targets in self._revoked.items():
            (request_id, asset_id), reason = key
            for part in split(targets):
                event = AssignmentRevoked(
                    targets=part,
                    asset_id=asset_id,
                    kind=assets[asset_id].kind,
                    reason=reason or RevokeReason.ENDED,
                )
                yield Outgoing(event, request_id, self._causes[key])

    def _removes(self, assets: Mapping[UUID, Asset]) -> Iterator[Outgoing]:
        for key, targets in self._removals.items():
            request_id, asset_id = key
            asset = assets[asset_id]
            for part in split(targets):
                event = RemovalRequested(
                    targets=part, asset_id=asset_id, kind=asset.kind, adam_id=asset.adam_id
                )
                yield Outgoing(event, request_id, self._causes[key])

    def _requests(self, assets: Mapping[UUID, Asset]) -> Iterator[Outgoing]:
        for key, targets in self._requested.items():
            (request_id, asset_id), wish = key
            for part in split(targets):
                event = AssignmentRequested(
                    targets=part,
                    asset_id=asset_id,
                    kind=assets[asset_id].kind,
                    assignment_mode=wish.assignment_mode,
                    install_mode=wish.install_mode,
                    priority=wish.priority,
                    expires_at=wish.expires_at,
                    no_wait=wish.no_wait,
                    library_id=wish.library_id,
                )
                yield Outgoing(event, request_id, self._causes[key])

    def _install_requests(self, assets: Mapping[UUID, Asset]) -> Iterator[Outgoing]:
        for key, targets in self._installs.items():
            (request_id, asset_id), mode = key
            asset = assets[asset_id]
            for part in split(targets):
                event = InstallRequested(
                    targets=part,
                    asset_id=asset_id,
                    kind=asset.kind,
                    assignment_mode=mode,
                    adam_id=asset.adam_id,
                )
                yield Outgoing(event, request_id, self._causes[key])


def _thread(life: Entitlement) -> _Thread:
    return life.request_id, life.asset_id


def _principal(life: Entitlement) -> Principal:
    return Principal(entitlement_id=life.id, version=life.version, serial_number=life.serial_number)


def _delivery_target(delivery: Delivery, life: Entitlement) -> DeliveryTarget:
    return DeliveryTarget(
        entitlement_id=life.id,
        version=life.version,
        delivery_id=delivery.id,
        enrollment_id=delivery.enrollment_id,
    )
