"""Looks at what Apple keeps for a library in `client/config`: whose it is, and whether it still calls our door.

Apple recommends to look regularly, for it tells nobody of a change.
"""

from licensing import work
from licensing.model import AppleRefused, ClientConfig, TokenRefused
from licensing.steps.claim import Claims
from licensing.steps.desk import Desk
from licensing.steps.outside import Claimer
from licensing.store import content_tokens, takeover
from licensing.store.content_tokens import TokenInUse
from licensing.takeover import fence, is_ours
from shared import worker
from shared.database import Transaction
from shared.errors import Unavailable
from shared.ids import new_id
from shared.worker import WorkRow


class CheckStep:
    """Checks libraries."""

    def __init__(self, desk: Desk, apple: Claimer, claims: Claims) -> None:
        self._desk = desk
        self._database = desk.database
        self._apple = apple
        self._claims = claims

    async def do(self, row: WorkRow) -> None:
        """Check one library. A content token that Apple refuses suspends it; else the answer is acted upon."""
        library_id = row.payload["library_id"]
        async with self._database.reading() as tx:
            in_use = await content_tokens.in_use(tx, library_id)
        config = None if in_use is None else await self._ask(library_id, in_use)
        async with self._database.transaction() as tx:
            await worker.finish(tx, row)
            await takeover.checked(tx, library_id)
            if in_use is not None and config is not None:
                await self._act(tx, library_id, in_use, config)

    async def _ask(self, library_id: str, in_use: TokenInUse) -> ClientConfig | None:
        access = self._desk.open(library_id, in_use)
        try:
            return await self._apple.client_config(access)
        except TokenRefused as refused:
            await self._desk.suspend(access, refused.failure)
            return None
        except AppleRefused as refused:
            raise Unavailable(f"apple_{refused.failure.number}") from refused

    async def _act(self, tx: Transaction, library_id: str, asked: TokenInUse, config: ClientConfig) -> None:
        """Draw the consequences, unless the library was claimed anew since Apple was asked.

        A suspended library whose token Apple takes again is claimed: so a right that was given later, or an
        account that was unlocked, needs no new token.
        """
        standing = await takeover.lock(tx, library_id)
        if standing is None or standing.claimed_at != asked.claimed_at:
            return
        await content_tokens.correct_expiry(tx, asked.token_id, config.token_expires_at)
        holder = config.mdm_info
        match standing.state:
            case "active" if not is_ours(holder, mdm_id=str(asked.mdm_id), claimed=True):
                await fence(tx, library_id, holder)
            case "active" if standing.notified and config.notification_url != self._claims.door(library_id):
                await work.want_claim(tx, library_id, new_id())
            case "fenced" if holder is not None and holder.id != str(asked.mdm_id):
                await fence(tx, library_id, holder)
            case "suspended":
                await work.want_claim(tx, library_id, new_id())
