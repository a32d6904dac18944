"""Every knob of the box stands in one file, and turns what it says."""

import asyncio
import sys
import tomllib
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import httpx2
import pytest

from local.simulators.apns import ApnsSettings
from local.simulators.apple import Knobs
from local.simulators.authority import Authority
from local.simulators.box import Box, BoxSettings
from local.simulators.devices import FleetSettings
from local.simulators.knobs import knobs_of, turned
from local.simulators.mailbox import MailboxSettings
from local.simulators.people import PeopleSettings

FILE = Path(__file__).parents[2] / "docs/box/knobs.toml"
TEXT = FILE.read_text()
WRITTEN = tomllib.loads(TEXT)
NOWHERE = Path("nowhere")
SETTINGS: dict[str, Any] = {
    "apple": Knobs(),
    "apns": ApnsSettings(certificate_file=NOWHERE, key_file=NOWHERE, client_ca_file=NOWHERE),
    "devices": FleetSettings(
        checkin_url="https://mdm.example", connect_url="", topic="", authority=Authority.create("A"), apns=""
    ),
    "people": PeopleSettings(mailbox_admin_url="", apple_url=""),
    "mailbox": MailboxSettings(certificate_file=NOWHERE, key_file=NOWHERE),
}
UNSET = tomllib.loads(
    "\n".join(line[2:] for line in TEXT.splitlines() if line.startswith("# ") and " = " in line)
)


def test_the_file_has_all_simulators_that_have_knobs() -> None:
    assert set(WRITTEN) == set(SETTINGS)


@pytest.mark.parametrize("name", SETTINGS)
def test_the_file_has_every_knob_with_its_default(name: str) -> None:
    knobs = knobs_of(SETTINGS[name])
    unset = {knob for knob, value in knobs.items() if value is None}
    assert set(WRITTEN[name]) == set(knobs) - unset
    assert unset <= set(UNSET)
    assert turned(SETTINGS[name], WRITTEN[name]) == SETTINGS[name]


@pytest.mark.parametrize("name", SETTINGS)
def test_what_is_commented_out_can_be_turned_as_it_stands_there(name: str) -> None:
    knobs = knobs_of(SETTINGS[name])
    changes = {knob: UNSET[knob] for knob, value in knobs.items() if value is None}
    found = knobs_of(turned(SETTINGS[name], changes))
    assert None not in [found[knob] for knob in changes]


async def test_knobs_are_turned_at_the_start(tmp_path: Path) -> None:
    knobs = {"page_size": 7, "limits": {"maxAssets": 3}}
    settings = BoxSettings(names=frozenset({"apple"}), directory=tmp_path, knobs={"apple": knobs})
    async with (
        Box(settings) as box,
        httpx2.AsyncClient(base_url=box.cards["apple"]["admin_url"]) as door,
    ):
        said = (await door.get("/knobs")).json()
    assert (said["page_size"], said["limits"]["maxAssets"], said["limits"]["maxUsers"]) == (7, 3, 100)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[apns]\nlatency = 1", "there is no knob latency"),
        ("[apple]\npage_size = 0", "page_size"),
        ("[devices]\ninstall_seconds = 'soon'", "not a value of a knob install_seconds"),
        ("[appel]", "not in the box: appel"),
        ("[apple", "knobs.toml"),
    ],
)
async def test_a_knob_that_there_is_not_is_refused_by_its_name(
    tmp_path: Path, text: str, complaint: str
) -> None:
    file = tmp_path / "knobs.toml"
    file.write_text(text)
    command = (sys.executable, "-m", "local.simulators", "all", "--checkin-url", "https://mdm.example")
    process = await asyncio.create_subprocess_exec(*command, "--knobs", str(file), stdout=PIPE, stderr=PIPE)
    _, said = await process.communicate()
    assert process.returncode != 0
    assert complaint in said.decode()
    assert b"Traceback" not in said
