"""What every step works with: the database, the sealed tokens, and the paces that settings choose."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol
from uuid import UUID

from licensing.model import Access, Pool, TokenRefused
from licensing.store import libraries, pools
from shared import outbox
from shared.database import Database, Transaction
from shared.errors import Unavailable
from shared.events import Outgoing
from shared.events.licensing import ContentTokenSuspended
from shared.ids import new_id
from shared.vault import Secret

SUSPENDED_RETRY_SECONDS = 300.0
"""A suspended library is looked at this rarely; a new content token brings all its work forward."""

_CAUSES = {
    9601: "login_required",
    9621: "token_expired",
    9622: "token_invalid",
    9625: "token_revoked",
    9637: "token_without_rights",
    9647: "token_without_rights",
    9722: "token_malformed",
}


class Opener(Protocol):
    """Opens what was sealed for one column of one row (shared.vault)."""

    def open(self, sealed: bytes, *, table: str, column: str, row_id: UUID | str) -> Secret:
        """Return what was sealed."""
        ...


@dataclass(frozen=True, slots=True)
class Pace:
    """How soon the status of an event is read first, how often then, and when silence proves something."""

    first_status: timedelta = timedelta(seconds=30)
    next_status: timedelta = timedelta(seconds=30)
    proof: timedelta = timedelta(minutes=10)
    next_list: timedelta = timedelta(seconds=30)


class Desk:
    """Shared by the steps of one process."""

    def __init__(self, database: Database, opener: Opener, pace: Pace) -> None:
        self.database = database
        self.pace = pace
        self._opener = opener

    async def access(self, library_id: str) -> Access:
        """Return the right to speak for a library. Raises Unavailable while it is suspended."""
        async with self.database.reading() as tx:
            return await self.access_in(tx, library_id)

    async def access_in(self, tx: Transaction, library_id: str) -> Access:
        """Return it as this transaction sees it."""
        in_use = await libraries.in_use(tx, library_id)
        if in_use is None or in_use.library_state == "suspended":
            raise Unavailable("library_suspended", retry_after_seconds=SUSPENDED_RETRY_SECONDS)
        return self.open(library_id, in_use)

    def open(self, library_id: str, in_use: libraries.TokenInUse) -> Access:
        """Open a sealed content token: it is in memory only while it is used."""
        token = self._opener.open(
            in_use.sealed, table="content_token", column="sealed", row_id=in_use.token_id
        )
        return Access(library_id, token, in_use.token_id)

    async def pool(self, pool_id: UUID) -> Pool | None:
        """Return a pool as it stands."""
        async with self.database.reading() as tx:
            return await pools.read(tx, pool_id)

    @asynccontextmanager
    async def suspending(self, access: Access) -> AsyncIterator[None]:
        """Suspend the library if Apple refuses its content token inside the block; raises Unavailable then.

        All that is sent stops, reservations go on, and work resumes where it stood with a new token. A late
        word about a token that was replaced meanwhile stops nothing.
        """
        try:
            yield
        except TokenRefused as refused:
            await self._suspend(access, refused.failure.number)
            raise Unavailable("library_suspended", retry_after_seconds=SUSPENDED_RETRY_SECONDS) from refused

    async def _suspend(self, access: Access, number: int) -> None:
        cause = _CAUSES.get(number, "token_refused")
        async with self.database.transaction() as tx:
            if await libraries.suspend(tx, access, cause, number):
                event = ContentTokenSuspended(library_id=access.library_id, cause=cause, error_number=number)
                await outbox.append(tx, [Outgoing(event, correlation_id=new_id())])
