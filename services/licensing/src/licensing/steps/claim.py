"""Makes a library ours: tells Apple who manages it, and where its notifications go."""

from dataclasses import dataclass

from licensing import work
from licensing.model import Access, AppleRefused, ClientConfig, MdmIdentity, Subscription, TokenRefused
from licensing.notification_secret import new_secret, secret_hash
from licensing.steps.desk import Desk
from licensing.steps.outside import Claimer
from licensing.store import libraries
from licensing.store.libraries import TokenInUse
from shared import outbox, worker
from shared.errors import Unavailable
from shared.events import Outgoing
from shared.events.licensing import ContentTokenResumed
from shared.worker import WorkRow

_NOT_CALLABLE = frozenset({9710, 9711, 9712, 9728})
"""Apple does not reach our door, or does not like its address: everything goes on without notifications."""
_LONGEST_NAME = 100
_LONGEST_METADATA = 255


@dataclass(frozen=True, slots=True)
class Claims:
    """What we say of ourselves: a name for people, and the public https address of our notification door."""

    name: str
    notification_base_url: str


class ClaimStep:
    """Claims libraries."""

    def __init__(self, desk: Desk, apple: Claimer, claims: Claims) -> None:
        self._desk = desk
        self._database = desk.database
        self._apple = apple
        self._claims = claims

    async def do(self, row: WorkRow) -> None:
        """Claim one library; its assets are read next."""
        library_id = row.payload["library_id"]
        async with self._database.reading() as tx:
            in_use = await libraries.in_use(tx, library_id)
        if in_use is None:
            raise Unavailable("no_content_token")
        access = self._desk.open(library_id, in_use)
        try:
            async with self._desk.suspending(access):
                config, notified = await self._claim(access, in_use)
        except AppleRefused as refused:
            await self._note(library_id, f"apple_{refused.failure.number}", refused.failure.number)
            raise Unavailable(f"apple_{refused.failure.number}") from refused
        await self._write(row, config, notified=notified)

    async def _claim(self, access: Access, in_use: TokenInUse) -> tuple[ClientConfig, bool]:
        """Claim with a subscription, else without; return whether notifications reach us.

        Apple calls our door while it has our request: the new secret must be good before.
        """
        base_url = self._claims.notification_base_url.rstrip("/")
        mdm_info = MdmIdentity(
            str(in_use.mdm_id), self._claims.name[:_LONGEST_NAME], base_url[:_LONGEST_METADATA]
        )
        secret = new_secret()
        async with self._database.transaction() as tx:
            await libraries.offer(tx, access.library_id, secret_hash(secret.reveal()))
        url = f"{base_url}/apple/notifications/{access.library_id}"
        try:
            return await self._apple.claim(access, mdm_info, Subscription(url, secret)), True
        except TokenRefused:
            raise
        except AppleRefused as refused:
            if refused.failure.number not in _NOT_CALLABLE:
                raise
        return await self._apple.claim(access, mdm_info, None), False

    async def _write(self, row: WorkRow, config: ClientConfig, *, notified: bool) -> None:
        library_id = config.library_id
        async with self._database.transaction() as tx:
            await worker.finish(tx, row)
            former = await libraries.claimed(
                tx, library_id, notified=notified, token_expires_at=config.token_expires_at
            )
            if not notified:
                await libraries.note_trouble(tx, library_id, "notifications_unreachable", None)
            await work.want_assets(tx, library_id)
            if former == "suspended":
                await libraries.resume_work(tx)
                event = ContentTokenResumed(library_id=library_id)
                await outbox.append(tx, [Outgoing(event, correlation_id=row.correlation_id)])

    async def _note(self, library_id: str, cause: str, number: int) -> None:
        async with self._database.transaction() as tx:
            await libraries.note_trouble(tx, library_id, cause, number)
