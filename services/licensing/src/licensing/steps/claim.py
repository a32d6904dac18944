"""Makes a library ours: tells Apple who manages it, and where its notifications go."""

from dataclasses import dataclass

from licensing import work
from licensing.model import Access, AppleRefused, ClientConfig, MdmIdentity, Subscription, TokenRefused
from licensing.notification_secret import new_secret, secret_hash
from licensing.steps.desk import Desk
from licensing.steps.outside import Claimer
from licensing.store import content_tokens, libraries, pools, takeover
from licensing.store.content_tokens import TokenInUse
from licensing.takeover import fence, is_ours
from licensing.tokens_told import tell
from shared import worker
from shared.database import Transaction
from shared.errors import Unavailable
from shared.events.licensing import ContentTokenResumed
from shared.worker import WorkRow

_NOT_CALLABLE = frozenset({9710, 9711, 9712, 9728})
"""Apple does not reach our door, or does not like its address: everything goes on without notifications."""
_REPLACED = "content_token_replaced"
_STOPPED = frozenset({"suspended", "fenced"})
"""The states of a library in which its work is put off."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What we say of ourselves: a name for people, and the public https address of our notification door."""

    name: str
    notification_base_url: str

    def door(self, library_id: str) -> str:
        """Return where Apple sends the notifications of a library."""
        return f"{self.notification_base_url.rstrip('/')}/apple/notifications/{library_id}"


class ClaimStep:
    """Claims libraries: those that nobody else claims, and where an administrator said so, whoever does."""

    def __init__(self, desk: Desk, apple: Claimer, claims: Claims) -> None:
        self._desk = desk
        self._database = desk.database
        self._apple = apple
        self._claims = claims

    async def do(self, row: WorkRow) -> None:
        """Claim one library; its assets are read next.

        A content token that Apple refuses ends the errand: the next one comes with another.
        """
        library_id = row.payload["library_id"]
        async with self._database.reading() as tx:
            in_use = await content_tokens.in_use(tx, library_id)
        if in_use is None:
            raise Unavailable("no_content_token")
        access = self._desk.open(library_id, in_use)
        try:
            await self._claim(row, access, in_use)
        except TokenRefused as refused:
            await self._token_refused(row, access, refused)
        except AppleRefused as refused:
            await self._note(library_id, f"apple_{refused.failure.number}", refused.failure.number)
            raise Unavailable(f"apple_{refused.failure.number}") from refused

    async def _claim(self, row: WorkRow, access: Access, in_use: TokenInUse) -> None:
        """Claim the library, unless it is another party's and nobody said that it is to be taken over."""
        if not row.payload.get("takeover", False):
            holder = (await self._apple.client_config(access)).mdm_info
            ours = is_ours(holder, mdm_id=str(in_use.mdm_id), claimed=in_use.claimed_at is not None)
            if not ours or in_use.fenced:
                await self._fence(row, access, in_use, holder)
                return
        config, subscribed = await self._post(access, in_use)
        await self._write(row, in_use, config, subscribed)

    async def _post(self, access: Access, in_use: TokenInUse) -> tuple[ClientConfig, bytes | None]:
        """Claim with a subscription, else without; return the hash of the secret that Apple shows from now on.

        Apple calls our door while it has our request: the new secret must be good before.
        """
        mdm_info = MdmIdentity(str(in_use.mdm_id), self._claims.name, self._claims.notification_base_url)
        secret = new_secret()
        offered = secret_hash(secret.reveal())
        async with self._database.transaction() as tx:
            await libraries.offer(tx, access.library_id, offered)
        subscription = Subscription(self._claims.door(access.library_id), secret)
        try:
            return await self._apple.claim(access, mdm_info, subscription), offered
        except TokenRefused:
            raise
        except AppleRefused as refused:
            if refused.failure.number not in _NOT_CALLABLE:
                raise
        return await self._apple.claim(access, mdm_info, None), None

    async def _write(
        self, row: WorkRow, used: TokenInUse, config: ClientConfig, subscribed: bytes | None
    ) -> None:
        """Write that the library is ours. Raises Unavailable where its token was replaced meanwhile."""
        library_id = config.library_id
        async with self._database.transaction() as tx:
            await worker.finish(tx, row)
            if used.library_state in _STOPPED:
                await worker.resume(tx)  # before the library: work rows are locked first, as everywhere
            await takeover.lock(tx, library_id)
            in_use = await content_tokens.in_use(tx, library_id)
            if in_use is None or in_use.token_id != used.token_id:
                raise Unavailable(_REPLACED)  # what the new one may do is yet to be seen
            former = await libraries.claimed(tx, library_id, subscribed=subscribed)
            await content_tokens.correct_expiry(tx, used.token_id, config.token_expires_at)
            if subscribed is None:
                await libraries.note_trouble(tx, library_id, "notifications_unreachable", None)
            await work.want_assets(tx, library_id)
            if former in _STOPPED:
                await self._tell_resumed(tx, row, library_id, former)

    @staticmethod
    async def _tell_resumed(tx: Transaction, row: WorkRow, library_id: str, former: str) -> None:
        """Tell that work goes on where it stood; after another party's hands, with Apple's lists read anew."""
        if former == "fenced":
            pool_ids = await takeover.pools_of(tx, library_id)
            await pools.lock(tx, pool_ids)
            await work.want_lists(tx, pool_ids)
        await tell(tx, [ContentTokenResumed(library_id=library_id)], correlation_id=row.correlation_id)

    async def _fence(
        self, row: WorkRow, access: Access, in_use: TokenInUse, holder: MdmIdentity | None
    ) -> None:
        """Stop before anything is written; a word from before the last claim stops nothing."""
        async with self._database.transaction() as tx:
            await worker.finish(tx, row)
            standing = await takeover.lock(tx, access.library_id)
            if standing is not None and standing.claimed_at == in_use.claimed_at:
                other = None if holder is not None and holder.id == str(in_use.mdm_id) else holder
                await fence(tx, access.library_id, other)

    async def _token_refused(self, row: WorkRow, access: Access, refused: TokenRefused) -> None:
        if not await self._desk.suspend(access, refused.failure):
            raise Unavailable(_REPLACED) from refused
        async with self._database.transaction() as tx:
            await worker.finish(tx, row)
            if access.library_id in await libraries.readable(tx):
                await work.want_assets(tx, access.library_id)

    async def _note(self, library_id: str, cause: str, number: int) -> None:
        async with self._database.transaction() as tx:
            await libraries.note_trouble(tx, library_id, cause, number)
