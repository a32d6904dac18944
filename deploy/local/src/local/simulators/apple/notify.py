"""Calls the subscriber: best effort, three attempts, Apple's documentation "Subscribing to notifications"."""

import asyncio
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from local.simulators.apple.assets import Asset, AssetKey
from local.simulators.apple.library import Library, Subscription
from local.simulators.apple.users import User
from local.simulators.apple.world import World

TYPES = (
    "ASSET_MANAGEMENT",
    "ASSET_COUNT",
    "SUBSCRIPTION_MANAGEMENT",
    "SUBSCRIPTION_COUNT",
    "TEST_NOTIFICATION",
    "UNLIMITED_ASSET",
    "USER_ASSOCIATED",
    "USER_MANAGEMENT",
)
MAX_ELEMENTS = 100  # per notification
CALLS_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Notification:
    """One call to come."""

    notification_id: str
    type: str
    uid: str
    subscription: Subscription
    content: Mapping[str, Any]


class Notifier:
    """Sends each notification in a task of its own, a few of them at once."""

    def __init__(self, world: World, *, trust_ca_file: Path | None) -> None:
        self._world = world
        self._trust_ca_file = trust_ca_file
        self._slots = asyncio.Semaphore(CALLS_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Open the client."""
        trust = ssl.create_default_context()
        if self._trust_ca_file is not None:
            trust.load_verify_locations(cafile=self._trust_ca_file)
        self._client = httpx2.AsyncClient(verify=trust, trust_env=False)

    async def stop(self) -> None:
        """Give up what was not sent yet and close."""
        await self.forget()
        await self._client.aclose()

    async def forget(self) -> None:
        """Give up what was not sent yet."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def test(self, uid: str, subscription: Subscription) -> bool:
        """Call a subscriber to be and tell whether it answered with a 2xx."""
        return await self._call(
            Notification(self._world.new_id(), "TEST_NOTIFICATION", uid, subscription, {})
        )

    def wanted(self, library: Library, kind: str) -> bool:
        """Tell whether anybody subscribed to this type."""
        return bool(library.subscription.url) and kind in library.subscription.types

    def tell_counts(self, library: Library, key: AssetKey, delta: int) -> None:
        """Tell how many more (or fewer) licenses of an asset are owned now."""
        self.tell(library, "ASSET_COUNT", {**key.wire(), "countDelta": delta})

    def tell_unlimited(self, library: Library, asset: Asset) -> None:
        """Tell that an asset became unlimited, or ceased to be. Apple does not document what is told."""
        told = {**asset.key.wire(), "unlimited": asset.unlimited}
        self.tell(library, "UNLIMITED_ASSET", told if self._world.knobs.unlimited_payload == "asset" else {})

    def tell_associated(self, library: Library, user: User) -> None:
        """Tell that somebody accepted an invitation."""
        row = {**user.wire(), "inviteCode": user.invite_code}
        self.tell(library, "USER_ASSOCIATED", {"associatedUsers": [row]})

    def tell(self, library: Library, kind: str, content: Mapping[str, Any]) -> None:
        """Tell a library's subscriber, if it wants to know, and unless the dice lose it."""
        if not self.wanted(library, kind):
            return
        notification = Notification(self._world.new_id(), kind, library.uid, library.subscription, content)
        for _ in range(self._copies()):
            task = asyncio.create_task(self._deliver(notification, self._wait()))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _copies(self) -> int:
        knobs, dice = self._world.knobs, self._world.dice
        if knobs.notification_loss and dice.chance() < knobs.notification_loss:
            self._world.notifications["lost"] += 1
            return 0
        if knobs.notification_doubling and dice.chance() < knobs.notification_doubling:
            self._world.notifications["doubled"] += 1
            return 2
        return 1

    def _wait(self) -> float:
        knobs = self._world.knobs
        disorder = knobs.notification_disorder_seconds
        return knobs.notification_delay_seconds + (disorder and disorder * self._world.dice.chance())

    async def _deliver(self, notification: Notification, first_wait: float) -> None:
        for wait in (first_wait, *self._world.knobs.notification_retry_seconds):
            await self._world.clock.sleep(wait)
            async with self._slots:
                if await self._call(notification):
                    self._world.notifications["delivered"] += 1
                    return
        self._world.notifications["abandoned"] += 1

    async def _call(self, notification: Notification) -> bool:
        self._world.notifications["attempts"] += 1
        body = {
            "notificationId": notification.notification_id,
            "notificationType": notification.type,
            "uId": notification.uid,
            "notification": notification.content,
        }
        try:
            response = await self._client.post(
                notification.subscription.url,
                content=json.dumps(body, separators=(",", ":")),
                headers={
                    b"Authorization": f"Bearer {notification.subscription.auth_token}".encode(),
                    b"Content-Type": b"application/json",
                },
                timeout=self._world.knobs.notification_timeout_seconds,
            )
        except (httpx2.HTTPError, httpx2.InvalidURL):
            return False
        return response.is_success
