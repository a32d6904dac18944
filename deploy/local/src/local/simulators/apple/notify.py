"""Calls the subscriber: best effort, three attempts, Apple's documentation "Subscribing to notifications"."""

import asyncio
import json
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2

from local.simulators.apple.assets import Asset, AssetKey
from local.simulators.apple.deliveries import Delivery, Notification
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


class Notifier:
    """Delivers each notification in a task of its own, a few of them at once; what is under way the world remembers."""

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
        """Leave what is under way as it is, and close."""
        await self.forget()
        await self._client.aclose()

    async def forget(self) -> None:
        """Leave what is under way as it is."""
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
            delivery = Delivery(notification, self._world.clock.seconds() + self._wait())
            self._world.deliveries[delivery] = None
            self._begin(delivery)

    def resume(self) -> None:
        """Go on with all that is under way and that nobody delivers."""
        for delivery in self._world.deliveries:
            self._begin(delivery)

    def _begin(self, delivery: Delivery) -> None:
        task = asyncio.create_task(self._deliver(delivery))
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

    async def _deliver(self, delivery: Delivery) -> None:
        clock = self._world.clock
        while True:
            await clock.sleep(delivery.due_at - clock.seconds())
            async with self._slots:
                heard = await self._call(delivery.notification)
            waits = self._world.knobs.notification_retry_seconds[delivery.failures :]
            if heard or not waits:
                break
            delivery.failures, delivery.due_at = delivery.failures + 1, clock.seconds() + waits[0]
        self._world.notifications["delivered" if heard else "abandoned"] += 1
        del self._world.deliveries[delivery]

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
