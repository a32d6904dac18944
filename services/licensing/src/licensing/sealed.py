"""What we keep of people, sealed for the one row it lives in; an invitation's link, for the one event it leaves in.

Mail addresses and Managed Apple IDs are opened only to be told to Apple, codes only to make a link of them
(promise 8).
"""

import hmac
import secrets
from hashlib import sha256
from uuid import UUID

from licensing.model import Hidden
from shared.events.licensing import InvitationRequested
from shared.vault import Vault

_PERSON, _RECORD, _DIGEST_KEY = "person", "apple_user_record", "digest_key"
_MAIL_ADDRESS, _MANAGED_APPLE_ID, _CODE = "mail_address", "managed_apple_id", "invite_code"
_LINK = "sealed_link"
_KEY_BYTES = 32


def seal_mail_address(vault: Vault, user_id: UUID, mail_address: str | None) -> bytes | None:
    """Seal a person's mail address; None stays None."""
    return _seal_text(vault, mail_address, column=_MAIL_ADDRESS, row_id=user_id)


def open_mail_address(vault: Vault, user_id: UUID, sealed: bytes | None) -> str | None:
    """Open a person's mail address. Raises SealBroken, KeyUnknown."""
    return _open_text(vault, sealed, column=_MAIL_ADDRESS, row_id=user_id)


def seal_managed_apple_id(vault: Vault, user_id: UUID, managed_apple_id: str | None) -> bytes | None:
    """Seal a person's Managed Apple ID; None stays None."""
    return _seal_text(vault, managed_apple_id, column=_MANAGED_APPLE_ID, row_id=user_id)


def open_managed_apple_id(vault: Vault, user_id: UUID, sealed: bytes | None) -> str | None:
    """Open a person's Managed Apple ID. Raises SealBroken, KeyUnknown."""
    return _open_text(vault, sealed, column=_MANAGED_APPLE_ID, row_id=user_id)


def new_digest_key(vault: Vault) -> bytes:
    """Return a new key for `managed_digest`, sealed. An installation has one for good: rotated keysets open it too."""
    return vault.seal(secrets.token_bytes(_KEY_BYTES), table=_DIGEST_KEY, column="sealed", row_id="1")


def open_digest_key(vault: Vault, sealed: bytes) -> Hidden:
    """Open the key for `managed_digest`. Raises SealBroken, KeyUnknown."""
    return vault.open(sealed, table=_DIGEST_KEY, column="sealed", row_id="1")


def managed_digest(digest_key: Hidden, managed_apple_id: str | None) -> bytes | None:
    """Return what tells whether two people have one Managed Apple ID; None for who has none.

    Keyed, for these can be guessed: who reads the database alone learns nothing from it.
    """
    if managed_apple_id is None:
        return None
    return hmac.digest(digest_key.reveal(), managed_apple_id.lower().encode(), "sha256")


def seal_code(vault: Vault, client_user_id: str, code: Hidden) -> bytes:
    """Seal an invitation code."""
    return vault.seal(code.reveal(), table=_RECORD, column=_CODE, row_id=client_user_id)


def open_code(vault: Vault, client_user_id: str, sealed: bytes) -> Hidden:
    """Open an invitation code. Raises SealBroken, KeyUnknown."""
    return vault.open(sealed, table=_RECORD, column=_CODE, row_id=client_user_id)


def code_digest(code: Hidden) -> bytes:
    """Return what tells two codes apart and leads back to neither: they are long and drawn by chance."""
    return sha256(code.reveal()).digest()


def seal_link(vault: Vault, event_id: UUID, link: Hidden) -> str:
    """Seal the link of an invitation for the event that asks for it."""
    topic = InvitationRequested.topic.name
    return vault.seal_for_bus(link.reveal(), topic=topic, event_id=event_id, field=_LINK)


def _seal_text(vault: Vault, text: str | None, *, column: str, row_id: UUID) -> bytes | None:
    return None if text is None else vault.seal(text.encode(), table=_PERSON, column=column, row_id=row_id)


def _open_text(vault: Vault, sealed: bytes | None, *, column: str, row_id: UUID) -> str | None:
    if sealed is None:
        return None
    return vault.open(sealed, table=_PERSON, column=column, row_id=row_id).reveal().decode()
