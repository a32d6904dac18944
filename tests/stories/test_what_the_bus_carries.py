"""Promise 8, after all the other stories: nothing broadcast, logged or counted names a person or tells a secret."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx2
import pytest

from local.doors import Doors
from local.system import System
from shared.topics import ASSIGNMENT_EVENTS, LICENSING_EVENTS, MDM_PUSH_EVENTS, TOPICS, Topic
from tests.stories.probe import Probe
from tests.stories.stage import Stage, device

MAIL_ADDRESS = re.compile(rb"[\w.+-]+@[\w-]+(\.[\w-]+)+")
TOKEN_OR_KEY = re.compile(rb"eyJ[\w-]{8,}|-----BEGIN")
BROADCAST = tuple(topic for topic in TOPICS if not topic.restricted)
SPOKEN_ON = (ASSIGNMENT_EVENTS, LICENSING_EVENTS, MDM_PUSH_EVENTS)


@pytest.fixture
async def confided(
    stage: Stage, system: System, doors: Doors, content_token: str
) -> Mapping[str, Sequence[bytes]]:
    """What must be found nowhere: the secrets that the stories used, and what people are called."""
    await _tell_one_more(stage)
    key = await asyncio.to_thread(Path(system.cards["apns"]["key_file"]).read_bytes)
    pushes = await doors.apns.get("/pushes")
    people = await doors.assignment.every("/v1/users")
    assert pushes
    assert people
    return {
        "bearer token": [doors.token.encode()],
        "content token": [content_token.encode()],
        "push certificate's key": [key.splitlines()[1]],
        "push magic": [each["magic"].encode() for each in pushes],
        "push token": [each["token"].encode() for each in pushes],
        "mail address": [each["mail_address"].encode() for each in people if each["mail_address"]],
        "name": [each["name"].encode() for each in people],
    }


async def test_promise_8_no_record_of_a_broadcast_topic_tells_what_was_confided(
    probe: Probe, confided: Mapping[str, Sequence[bytes]]
) -> None:
    for topic in BROADCAST:
        records = await probe.records(topic)
        assert records or topic not in SPOKEN_ON, topic.name
        _search(topic.name, b"\n".join(map(_all_of, records)), confided)


async def test_promise_8_no_log_and_no_metric_tells_what_was_confided(
    system: System, confided: Mapping[str, Sequence[bytes]]
) -> None:
    for name, process in system.processes.items():
        _search(f"{name}'s log", await asyncio.to_thread(process.command.log_file.read_bytes), confided)
    async with httpx2.AsyncClient(trust_env=False) as http:
        for name, place in system.services.items():
            counted = await http.get(f"http://127.0.0.1:{place.ports.metrics}/metrics")
            _search(f"{name}'s metrics", counted.content, confided)


async def _tell_one_more(stage: Stage) -> None:
    """Tell a story with a person in it, for whoever runs this file alone."""
    person = {"name": "Anaïs Lefèvre", "mail_address": "anais.lefevre@school.example", "locale": "fr"}
    await stage.doors.assignment.post("/v1/users", person)
    app = await stage.title(1)
    [ipad] = await stage.ipads(1)
    assignment = await stage.assign(app, device(ipad))
    await stage.settles(assignment, installed=1)


def _search(place: str, text: bytes, confided: Mapping[str, Sequence[bytes]]) -> None:
    for what, secrets in confided.items():
        assert not any(secret in text for secret in secrets), f"a {what} stands in {place}"
    assert not MAIL_ADDRESS.search(text), f"a mail address stands in {place}"
    assert not TOKEN_OR_KEY.search(text), f"a token or a key stands in {place}"


def _all_of(record: Any) -> bytes:
    headers = [part for name, value in record.headers for part in (name.encode(), value or b"")]
    return b" ".join([record.key or b"", record.value or b"", *headers])


def test_the_walk_covers_every_topic_but_those_whose_readers_are_restricted() -> None:
    restricted: set[Topic] = set(TOPICS) - set(BROADCAST)
    assert {topic.name for topic in restricted} == {
        "assignment.people",
        "licensing.invitations",
        "invitation.devices",
    }
