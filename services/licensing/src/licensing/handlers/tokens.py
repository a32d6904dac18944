"""A content token comes in: it is sealed at once, and its library is claimed afterwards."""

from typing import Protocol
from uuid import UUID

from licensing import work
from licensing.model import ClientConfig, ExaminedToken
from licensing.store import libraries
from licensing.store.libraries import Library, NewToken
from shared.database import Transaction
from shared.errors import Conflict
from shared.ids import new_id


class TokenSealer(Protocol):
    """Seals for one column of one row (shared.vault)."""

    def seal(self, plaintext: bytes, *, table: str, column: str, row_id: UUID | str) -> bytes:
        """Return what may be stored."""
        ...


async def install_token(
    tx: Transaction, examined: ExaminedToken, *, sealer: TokenSealer, caller: str, correlation_id: UUID
) -> UUID:
    """Let an examined token speak for its library, and have the library claimed; return the token's id.

    Raises Conflict where the library is another one than ours, or belongs to another management service.
    """
    config, token = examined.config, examined.token
    known = await libraries.lock_all(tx)
    mdm_id = _ours(known, config)
    token_id = new_id()
    sealed = sealer.seal(token.text.reveal(), table="content_token", column="sealed", row_id=token_id)
    await libraries.upsert(tx, config, mdm_id)
    await libraries.replace_token(
        tx,
        config.library_id,
        NewToken(token_id, sealed, token.organization_name, token.expires_at, caller),
    )
    await work.want_claim(tx, config.library_id, correlation_id)
    return token_id


async def resubscribe(tx: Transaction) -> None:
    """Have the libraries claimed again whose notifications do not reach us."""
    for library_id in await libraries.unnotified(tx, errand=work.CLAIM):
        await work.want_claim(tx, library_id, new_id())


def _ours(known: list[Library], config: ClientConfig) -> UUID:
    """Return our id for the library. Raises Conflict where it is not ours to manage.

    Two services on one library give licences unpredictably; Apple's only guard is mdmInfo, and only its id
    decides ("Managing assets": one service per organizational unit).
    """
    others = [library.library_id for library in known if library.library_id != config.library_id]
    if others:
        raise Conflict(
            "another_library",
            f"This content token is of another library ({config.location_name}) than the one installed here.",
        )
    mine = known[0].mdm_id if known else None
    holder = config.mdm_info
    if holder is not None and holder.id != str(mine):
        raise Conflict(
            "library_managed_elsewhere",
            f"This library is managed by another service: {holder.name} ({holder.metadata}). Release it there first.",
        )
    return mine or new_id()
