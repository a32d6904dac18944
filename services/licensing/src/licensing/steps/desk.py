"""What every step works with: the database, the sealed tokens, and the paces that settings choose."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from licensing.model import Access, AppleFailure, AppleRefused, Pool, TokenRefused
from licensing.store import content_tokens, libraries, pools, takeover
from licensing.store.content_tokens import READ_ONLY, TokenInUse
from licensing.tokens_told import tell
from shared.database import Database, Transaction
from shared.errors import Unavailable
from shared.events.licensing import ContentTokenSuspended
from shared.vault import Vault

SUSPENDED_RETRY_SECONDS = 300.0
"""A suspended library is looked at this rarely; a new content token brings all its work forward."""

_CAUSES = {
    9601: "login_required",
    9621: "token_expired",
    9622: "token_invalid",
    9625: "token_revoked",
    9637: READ_ONLY,
    9647: "token_without_rights",
    9722: "token_malformed",
}


@dataclass(frozen=True, slots=True)
class Pace:
    """How soon the status of an event is read first, how often then, and when silence proves something.

    `part`: for how long a step reads a list before it leaves the rest to the next, well within its lease.
    """

    first_status: timedelta = timedelta(seconds=30)
    next_status: timedelta = timedelta(seconds=30)
    proof: timedelta = timedelta(minutes=10)
    next_list: timedelta = timedelta(seconds=30)
    part: timedelta = timedelta(seconds=30)


class Desk:
    """Shared by the steps of one process."""

    def __init__(self, database: Database, vault: Vault, pace: Pace) -> None:
        self.database = database
        self.pace = pace
        self.vault = vault

    async def access(self, library_id: str) -> Access:
        """Return the right to write to a library. Raises Unavailable while it is suspended or fenced."""
        async with self.database.reading() as tx:
            return await self.access_in(tx, library_id)

    async def access_in(self, tx: Transaction, library_id: str) -> Access:
        """Return it as this transaction sees it."""
        in_use = await content_tokens.in_use(tx, library_id)
        if in_use is None or not in_use.writes:
            raise Unavailable("library_suspended", retry_after_seconds=SUSPENDED_RETRY_SECONDS)
        return self.open(library_id, in_use)

    async def reading_access(self, library_id: str) -> Access:
        """Return the right to read a library, lists and the status of events alike.

        It goes on where only writing is stopped. Raises Unavailable while Apple refuses the content token.
        """
        async with self.database.reading() as tx:
            return await self.reading_access_in(tx, library_id)

    async def reading_access_in(self, tx: Transaction, library_id: str) -> Access:
        """Return it as this transaction sees it."""
        in_use = await content_tokens.in_use(tx, library_id)
        if in_use is None or not in_use.reads:
            raise Unavailable("library_suspended", retry_after_seconds=SUSPENDED_RETRY_SECONDS)
        return self.open(library_id, in_use)

    def open(self, library_id: str, in_use: TokenInUse) -> Access:
        """Open a sealed content token: it is in memory only while it is used.

        What is not ours to write to carries no claim that answers could be compared with.
        """
        token = self.vault.open(in_use.sealed, table="content_token", column="sealed", row_id=in_use.token_id)
        claim = str(in_use.mdm_id) if in_use.writes else None
        return Access(library_id, token, in_use.token_id, claim)

    async def pool(self, pool_id: UUID) -> Pool | None:
        """Return a pool as it stands."""
        async with self.database.reading() as tx:
            return await pools.read(tx, pool_id)

    def part(self) -> Callable[[], bool]:
        """Begin a part of something long; return what says whether it took as long as it may."""
        began = self.database.clock.monotonic()
        return lambda: self.database.clock.monotonic() - began >= self.pace.part.total_seconds()

    @asynccontextmanager
    async def suspending(self, access: Access) -> AsyncIterator[None]:
        """Suspend the library if Apple refuses its content token inside the block; raises Unavailable then.

        All that is sent stops, reservations go on, and work resumes where it stood with a new token. A late
        word about a token that was replaced meanwhile stops nothing: the stored one is tried at once. Any other
        refusal that the block left unheeded is Unavailable by its number.
        """
        try:
            yield
        except TokenRefused as refused:
            wait = SUSPENDED_RETRY_SECONDS if await self.suspend(access, refused.failure) else None
            raise Unavailable("library_suspended", retry_after_seconds=wait) from refused
        except AppleRefused as refused:
            wait = refused.retry_after_seconds
            raise Unavailable(f"apple_{refused.failure.number}", retry_after_seconds=wait) from refused

    async def suspend(self, access: Access, failure: AppleFailure) -> bool:
        """Suspend a library in its own transaction, and tell it; return whether this is its content token still."""
        cause = _CAUSES.get(failure.number, "token_refused")
        async with self.database.transaction() as tx:
            await takeover.lock(tx, access.library_id)  # a renewal that is being stored comes first
            in_use = await content_tokens.in_use(tx, access.library_id)
            if in_use is None or in_use.token_id != access.token_id:
                return False
            await libraries.suspend(tx, access.library_id, cause, failure.number)
            if (in_use.library_state, in_use.cause) != ("suspended", cause):
                event = ContentTokenSuspended(
                    library_id=access.library_id, cause=cause, error_number=failure.number
                )
                await tell(tx, [event])
        return True
