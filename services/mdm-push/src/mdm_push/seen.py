"""When each device was last seen: gathered in memory and written every few seconds, never one write per request."""

import asyncio
from datetime import datetime
from uuid import UUID

import structlog

from mdm_push.handlers.sightings import store_sightings
from shared.database import Database, unavailable

_log = structlog.get_logger(__name__)

_GATHER_SECONDS = 5.0


class LastSeen:
    """A figure for people: what is gathered when the process ends is lost, and the next visit makes up for it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seen: dict[UUID, datetime] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Task[None] | None = None

    def note(self, channel_id: UUID) -> None:
        """Remember that this channel called just now."""
        self._seen[channel_id] = self._database.clock.now()
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_GATHER_SECONDS, self._begin)

    async def write(self) -> None:
        """Store what was gathered."""
        seen, self._seen = self._seen, {}
        try:
            await store_sightings(self._database, seen)
        except Exception as error:
            if not unavailable(error):
                raise
            _log.info("sightings are lost", count=len(seen), cause=type(error).__name__)

    def _begin(self) -> None:
        self._timer = None
        self._writing = asyncio.get_running_loop().create_task(self.write())
