"""The link of an invitation, sealed: opened from the one event it came in, sealed again for the one row it lives in.

Whoever opens an invitation link first binds their Apple Account, so it is in the clear only while compared or sent.
"""

from uuid import UUID

from shared.errors import Poison
from shared.events import Heard
from shared.events.licensing import InvitationRequested
from shared.vault import KeyUnknown, SealBroken, Secret, Vault

_TABLE, _COLUMN = "invitation", "sealed_link"


def link_told(vault: Vault, heard: Heard[InvitationRequested]) -> Secret:
    """Return the link that came with a request. Raises Poison (`sealed_link_unreadable`)."""
    topic, event_id = InvitationRequested.topic.name, heard.envelope.event_id
    try:
        return vault.open_from_bus(heard.event.sealed_link, topic=topic, event_id=event_id, field=_COLUMN)
    except (SealBroken, KeyUnknown) as error:
        raise Poison("sealed_link_unreadable", f"the sealed link does not open: {error}") from None


def seal_link(vault: Vault, invitation_id: UUID, link: Secret) -> bytes:
    """Seal a link for the row of this invitation."""
    return vault.seal(link.reveal(), table=_TABLE, column=_COLUMN, row_id=invitation_id)


def open_link(vault: Vault, invitation_id: UUID, sealed_link: bytes) -> Secret:
    """Open the link of this invitation. Raises SealBroken, KeyUnknown."""
    return vault.open(sealed_link, table=_TABLE, column=_COLUMN, row_id=invitation_id)
