"""R10 and R11 across services: assignment knows the person, another service asks, and a letter arrives by mail."""

from functools import partial
from pathlib import Path
from uuid import UUID

import pytest

from local.system import System
from shared.events.invitation import InvitationSent
from shared.events.licensing import InvitationRequested
from shared.ids import new_id
from shared.topics import LICENSING_INVITATIONS
from shared.vault import Vault
from tests.stories.probe import Probe, envelope_of
from tests.stories.stage import Stage

LINK = "https://buy.itunes.apple.com/WebObjects/MZFinance.woa/wa/associateVPPUserWithITSAccount?inviteCode=f551b37d"


@pytest.fixture
def licensing_vault(system: System) -> Vault:
    """The keys with which licensing seals what travels."""
    return Vault.load(Path(system.services["licensing"].environment["VAULT_KEYS_FILE"]))


@pytest.mark.parametrize(("locale", "words"), [("fr", "Bonjour"), ("en", "Hello")])
async def test_r10_r11_a_person_is_invited_by_mail_in_their_language(
    stage: Stage, probe: Probe, licensing_vault: Vault, locale: str, words: str
) -> None:
    address = f"ines.{locale}@school.example"
    body = {"name": "Inès Bernard", "mail_address": address, "locale": locale}
    person = await stage.doors.assignment.post("/v1/users", body)
    await _ask(probe, licensing_vault, UUID(person["id"]), stage.library_id)
    await stage.sees(partial(_letters, stage, address), 1)
    [letter] = await stage.doors.mailbox.get("/letters", to=address)
    assert words in letter["text"]
    assert LINK in letter["text"]
    [invitation] = await stage.doors.invitation.every("/v1/invitations", user_id=person["id"])

    async def sent() -> list[str]:
        told = [each.event for each in await probe.heard(InvitationSent)]
        return [str(each.invitation_id) for each in told if str(each.user_id) == person["id"]]

    await stage.sees(sent, [invitation["invitation_id"]])
    story = await stage.doors.invitation.get(f"/v1/invitations/{invitation['invitation_id']}")
    assert address not in str(story)


async def _ask(probe: Probe, vault: Vault, user_id: UUID, library_id: str) -> None:
    """Say what licensing says when a person's Apple user has to be associated."""
    event_id = new_id()
    sealed = vault.seal_for_bus(
        LINK.encode(), topic=LICENSING_INVITATIONS.name, event_id=event_id, field="sealed_link"
    )
    event = InvitationRequested(user_id=user_id, library_id=library_id, sealed_link=sealed, person_version=1)
    await probe.tell(event, envelope_of(event, event_id=event_id, sequence=1))


async def _letters(stage: Stage, address: str) -> int:
    return len(await stage.doors.mailbox.get("/letters", to=address))
