"""Calls the subscriber: best effort, three attempts, Apple's documentation "Subscribing to notifications"."""

import asyncio
import json
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from local.simulators.apple.events import Event, Slice
from local.simulators.apple.library import AssetKey, Library, Subscription
from local.simulators.apple.world import World

TYPES = ("ASSET_MANAGEMENT", "ASSET_COUNT", "TEST_NOTIFICATION")
MAX_ELEMENTS = 100  # per notification
CALLS_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Notification:
    """One call to come. Its content is built when it is sent: thousands may wait for a slow receiver."""

    notification_id: str
    type: str
    uid: str
    subscription: Subscription
    content: Callable[[], Mapping[str, Any]]


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
            Notification(self._world.new_id(), "TEST_NOTIFICATION", uid, subscription, dict)
        )

    def tell_counts(self, library: Library, key: AssetKey, delta: int) -> None:
        """Tell how many more (or fewer) licenses of an asset are owned now."""
        self._send(library, "ASSET_COUNT", lambda: {**key.wire(), "countDelta": delta})

    def tell_slice(
        self, library: Library, event: Event, part: Slice, *, error: Mapping[str, Any] | None
    ) -> None:
        """Tell what became of at most 100 targets of an event: one result for all of them."""

        def content() -> Mapping[str, Any]:
            row = part.asset.key.wire()
            body = {
                "type": event.type,
                "result": "FAILURE" if error else "SUCCESS",
                "eventId": event.event_id,
                "assignments": [{**row, part.kind: target} for target in part.targets],
            }
            return {**body, "error": error} if error else body

        self._send(library, "ASSET_MANAGEMENT", content)

    def _send(self, library: Library, kind: str, content: Callable[[], Mapping[str, Any]]) -> None:
        subscription = library.subscription
        if not subscription.url or kind not in subscription.types:
            return
        notification = Notification(self._world.new_id(), kind, library.uid, subscription, content)
        task = asyncio.create_task(self._deliver(notification))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, notification: Notification) -> None:
        for wait in (0.0, *self._world.knobs.notification_retry_seconds):
            await asyncio.sleep(wait)
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
            "notification": notification.content(),
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
