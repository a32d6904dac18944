"""The state of the simulated Apple as one JSON document, for assertions. It holds no secret."""

from typing import Any

from local.simulators.apple.assets import Asset
from local.simulators.apple.events import TARGET_FIELDS
from local.simulators.apple.library import Library
from local.simulators.apple.world import World


def describe(world: World, *, holders: bool) -> dict[str, Any]:
    """Libraries with their counts, events, what is still to go wrong, and what was asked and told.

    `holders` adds to each asset who holds its licenses.
    """
    return {
        "now": world.clock.now().isoformat(),
        "libraries": {uid: _library(library, holders=holders) for uid, library in world.libraries.items()},
        "events": [
            {"eventId": event.event_id, "uId": event.uid, **event.wire()} for event in world.events.values()
        ],
        "faults": world.faults.remaining(),
        "notifications": {**world.notifications, "underWay": len(world.deliveries)},
        "requests": dict(world.requests),
        "log": [request._asdict() for request in world.log],
    }


def _library(library: Library, *, holders: bool) -> dict[str, Any]:
    users = [user.wire() for user in library.users]
    for user in users:
        user.pop("inviteCode", None)
    return {
        "assets": [_asset(asset, holders=holders) for asset in library.assets.values()],
        "users": users,
        "mdmInfo": library.mdm_info,
        "notificationUrl": library.subscription.url,
        "notificationTypes": library.subscription.types,
        "versionId": library.version_id,
    }


def _asset(asset: Asset, *, holders: bool) -> dict[str, Any]:
    if not holders:
        return asset.wire()
    return asset.wire() | {TARGET_FIELDS[kind]: list(names) for kind, names in asset.holders.items()}
