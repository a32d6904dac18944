"""The takeover guard: two services on one library give its licences unpredictably, and Apple's only lock is `mdmInfo`.

Apple's words are "Protecting Your VPP Account" and "Managing assets": one service per organizational unit, and
only the id of `mdmInfo` decides. Whoever finds another id there, or none where ours was, stops all writes;
reading goes on, and only an administrator's explicit act lets the writes go on.
"""

from licensing import work
from licensing.model import Access, MdmIdentity
from licensing.store import takeover
from licensing.store.takeover import LOOKED_AT_MOST
from licensing.tokens_told import tell
from shared.database import Database, Transaction
from shared.events.licensing import ContentTokenSuspended

TAKEN_OVER = "library_taken_over"


def is_ours(holder: MdmIdentity | None, *, mdm_id: str, claimed: bool) -> bool:
    """Say whether we may write to a library: it names us, or it names nobody and we never claimed it before."""
    return not claimed if holder is None else holder.id == mdm_id


async def fence(tx: Transaction, library_id: str, other: MdmIdentity | None) -> None:
    """Stop all writes for a library, and tell it once; `other` is whom it names instead of us, if anybody."""
    if await takeover.fence(tx, library_id, other, cause=TAKEN_OVER):
        await tell(tx, [ContentTokenSuspended(library_id=library_id, cause=TAKEN_OVER)])


class TakeoverGuard:
    """Hears of every answer of Apple's that does not name us."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def saw(self, access: Access, holder: MdmIdentity | None) -> None:
        """Fence the library at once, for another party than `access.mdm_id` claims it, or nobody any more.

        An answer that was on its way since before a takeover may fence it once more: better that than two hands.
        """
        async with self._database.transaction() as tx:
            standing = await takeover.lock(tx, access.library_id)
            if standing is not None and standing.state == "active":
                await fence(tx, access.library_id, holder)

    async def missing(self, access: Access) -> None:
        """Have client/config looked at: an answer without `mdmInfo` proves nothing, for it only may carry it."""
        async with self._database.transaction() as tx:
            await work.want_check(tx, access.library_id, unless_since=tx.now - LOOKED_AT_MOST)
