"""Looks at every answer for whom a library belongs to (Apple's only guard against two services on one library)."""

from collections.abc import Mapping
from typing import Any, Protocol

import structlog

from licensing.apple.answers import read_mdm_info
from licensing.model import Access, MdmIdentity
from shared.clock import Clock

MISSING_SECONDS = 300.0
"""How often at most the guard hears that a library's answers name nobody."""

_log = structlog.get_logger(__name__)


class Guard(Protocol):
    """Acts on what an answer says about whom a library belongs to."""

    async def saw(self, access: Access, holder: MdmIdentity | None) -> None:
        """Hear that a library we claimed belongs to `holder`, or is nobody's."""
        ...

    async def missing(self, access: Access) -> None:
        """Hear that an answer did not say whose the library is: only `client/config` would prove something."""
        ...


class Watch:
    """Compares answers with our claims, and tells the guard."""

    def __init__(self, guard: Guard, clock: Clock) -> None:
        self._guard = guard
        self._clock = clock
        self._missed_at: dict[str, float] = {}

    async def look(self, access: Access, body: Mapping[str, Any], *, tells_always: bool) -> None:
        """Compare an answer with our claim; only the id decides. `tells_always` is `client/config`.

        Raises nothing: the answer itself must not be lost, and the next one says the same.
        """
        if access.mdm_id is None:
            return
        holder = read_mdm_info(body.get("mdmInfo"))
        if holder is not None and holder.id == access.mdm_id:
            return
        try:
            if holder is not None or tells_always:
                await self._guard.saw(access, holder)
            elif self._is_news(access.library_id):
                await self._guard.missing(access)
        except Exception:  # noqa: BLE001 - a write's event id matters more, and the next answer tells it again
            _log.exception("apple: whose a library is could not be noted", library_id=access.library_id)

    def _is_news(self, library_id: str) -> bool:
        """Say whether it is worth telling again that an answer named nobody; Apple may never name anybody."""
        now = self._clock.monotonic()
        if now - self._missed_at.get(library_id, -MISSING_SECONDS) < MISSING_SECONDS:
            return False
        self._missed_at[library_id] = now
        return True
