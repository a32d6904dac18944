"""People between the box's own Apple and mailbox, from the letter to Associated."""

import asyncio
import ssl
from pathlib import Path
from typing import Any

import httpx2

from local.simulators.apple import AppleSettings, AppleSimulator
from local.simulators.authority import Authority
from local.simulators.mailbox import MailboxSimulator
from local.simulators.people import PeopleSettings, PeopleSimulator
from tests.local.people.test_people import ANNA, BEN, answers, tell, write


async def registered(apple: AppleSimulator, api: httpx2.AsyncClient, *emails: str) -> dict[str, str]:
    """Register users and return the link of each."""
    users = [{"clientUserId": email.partition("@")[0], "email": email} for email in emails]
    (await api.post(f"{apple.url}/users/create", json={"users": users})).raise_for_status()
    template: str = (await api.get(f"{apple.url}/service/config")).json()["urls"]["invitationEmail"]
    async with asyncio.timeout(20):
        while len(found := await records(apple, api)) < len(users):
            await asyncio.sleep(0.02)
    return {one["email"]: template.replace("%25inviteCode%25", one["inviteCode"]) for one in found}


async def records(apple: AppleSimulator, api: httpx2.AsyncClient) -> list[Any]:
    return list((await api.get(f"{apple.url}/users")).json()["users"])


async def test_people_join_and_an_account_joins_once(tmp_path: Path) -> None:
    authority = Authority.create("Test authority")
    certificate, key = authority.issue_server(hosts=["localhost", "127.0.0.1"]).write(tmp_path, "server")
    ca_file = tmp_path / "ca.pem"
    ca_file.write_bytes(authority.certificate_pem)
    trust = ssl.create_default_context(cafile=ca_file)
    async with (
        AppleSimulator(AppleSettings(certificate_file=certificate, key_file=key)) as apple,
        MailboxSimulator() as mailbox,
        httpx2.AsyncClient(verify=trust, trust_env=False) as api,
        PeopleSimulator(
            PeopleSettings(
                mailbox_admin_url=mailbox.admin_url,
                apple_url=apple.url,
                trust_ca_file=ca_file,
                look_seconds=0.02,
            )
        ) as people,
    ):
        library = (await api.post(f"{apple.admin_url}/libraries", json={})).json()
        api.headers["Authorization"] = f"Bearer {library['token']}"
        for address, link in (await registered(apple, api, ANNA, BEN)).items():
            await tell(people, address, habit="shares_account")
            await write(mailbox, address, link)
        outcomes = [(await answers(people, address, 1))[0]["outcome"] for address in (ANNA, BEN)]
        statuses = {one["clientUserId"]: one["status"] for one in await records(apple, api)}
    assert outcomes == ["joined", "refused"]
    assert statuses == {"anna": "Associated", "ben": "Registered"}
