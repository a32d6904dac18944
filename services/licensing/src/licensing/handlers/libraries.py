"""What administrators decide about a library, and what the clock looks after: its token's end, and whose it is."""

from uuid import UUID

from licensing import work
from licensing.decide import RUNGS, next_rung
from licensing.model import LibrarySettings
from licensing.store import content_tokens, libraries, takeover
from licensing.tokens_told import tell
from shared.database import Transaction
from shared.errors import Conflict, NotFound
from shared.events.licensing import ContentTokenExpiring


async def change_settings(tx: Transaction, library_id: str, settings: LibrarySettings) -> None:
    """Set what is said of a library; it counts from the next decision on. Raises NotFound."""
    if not await libraries.change(tx, library_id, settings):
        raise _unknown()


async def take_over(tx: Transaction, library_id: str, correlation_id: UUID) -> None:
    """Have a fenced library claimed, whoever claims it now; all work resumes once Apple took the claim.

    Raises NotFound, and Conflict where it is not fenced or its content token cannot claim it.
    """
    standing = await takeover.lock(tx, library_id)
    if standing is None:
        raise _unknown()
    if not standing.fenced:
        raise Conflict("library_not_fenced", "No other service was seen to claim this library.")
    if standing.state == "suspended":
        raise Conflict(
            "library_suspended",
            "Apple refuses the content token of this library. Install a new one, with takeover: true.",
        )
    await work.want_takeover(tx, library_id, correlation_id)


async def tell_expiring(tx: Transaction) -> None:
    """Tell of each content token in use that ends soon: 60, 30, 15, 7 and 1 days before, each once."""
    due = {
        token: rung
        for token in await content_tokens.ending(tx, tx.now + RUNGS[-1])
        if (rung := next_rung(token.expires_at, tx.now, told=token.told_rung)) is not None
    }
    await content_tokens.mark_told(tx, {token.token_id: rung.days for token, rung in due.items()})
    await tell(
        tx,
        [
            ContentTokenExpiring(
                library_id=token.library_id, expires_at=token.expires_at, days_left=rung.days
            )
            for token, rung in due.items()
        ],
    )


async def check_libraries(tx: Transaction) -> None:
    """Have every library's client/config looked at."""
    for library_id in await libraries.every(tx):
        await work.want_check(tx, library_id, unless_since=tx.now)


def _unknown() -> NotFound:
    return NotFound("unknown_library", "there is no library by this id")
