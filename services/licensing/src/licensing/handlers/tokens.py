"""A content token comes in: it is sealed at once, and its library is claimed afterwards."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from licensing import work
from licensing.model import ClientConfig, ExaminedToken
from licensing.store import content_tokens, libraries
from licensing.store.content_tokens import NewToken
from licensing.store.libraries import Library
from shared.database import Transaction
from shared.errors import Conflict
from shared.ids import new_id


class TokenSealer(Protocol):
    """Seals for one column of one row (shared.vault)."""

    def seal(self, plaintext: bytes, *, table: str, column: str, row_id: UUID | str) -> bytes:
        """Return what may be stored."""
        ...


@dataclass(frozen=True, slots=True)
class Upload:
    """An examined token, and what its sender says: whose renewal it is, and whether it may take over."""

    examined: ExaminedToken
    renews: str | None = None
    takes_over: bool = False


async def install_token(
    tx: Transaction, upload: Upload, *, sealer: TokenSealer, caller: str, correlation_id: UUID
) -> UUID:
    """Let an examined token speak for its library, and have the library claimed; return the token's id.

    The library is Apple's `uId`: a second token of it replaces the first and doubles no pool. Raises Conflict
    where the token is of another library than the one it renews, or its library is another service's.
    """
    config, token = upload.examined.config, upload.examined.token
    mine = _known(await libraries.lock_all(tx), config)
    _check(upload, mine)
    token_id = new_id()
    sealed = sealer.seal(token.text.reveal(), table="content_token", column="sealed", row_id=token_id)
    await libraries.upsert(tx, config, mine.mdm_id if mine else new_id())
    await content_tokens.replace(
        tx,
        config.library_id,
        NewToken(token_id, sealed, token.organization_name, token.expires_at, caller),
    )
    want = work.want_takeover if upload.takes_over else work.want_claim
    await want(tx, config.library_id, correlation_id)
    return token_id


async def resubscribe(tx: Transaction) -> None:
    """Have the libraries claimed again whose notifications do not reach us."""
    for library_id in await libraries.unnotified(tx, errand=work.CLAIM):
        await work.want_claim(tx, library_id, new_id())


def _known(known: Sequence[Library], config: ClientConfig) -> Library | None:
    return next((library for library in known if library.library_id == config.library_id), None)


def _check(upload: Upload, mine: Library | None) -> None:
    """Raise Conflict where the token is not the renewal it is meant to be, or the library is not ours to manage.

    Two services on one library give licences unpredictably; Apple's only guard is mdmInfo, and only its id
    decides ("Managing assets": one service per organizational unit).
    """
    config = upload.examined.config
    if upload.renews is not None and upload.renews != config.library_id:
        raise Conflict(
            "another_library",
            f"This content token is of another library than {upload.renews}: it speaks for {config.library_id} "
            f"({config.location_name}). Download the token of the same organizational unit, or leave library_id "
            "out to add that library beside the others.",
        )
    holder = config.mdm_info
    if holder is None or upload.takes_over or (mine is not None and holder.id == str(mine.mdm_id)):
        return
    raise Conflict(
        "library_managed_elsewhere",
        f"This library is managed by another service: {holder.name} ({holder.metadata}). Release it there first, "
        "or send takeover: true if it is to be taken from there.",
    )
