"""Each test named after a number holds one cure of what aioapns 4.0 does wrong."""

import asyncio
import contextlib
import inspect
import socket
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import pytest

from local.simulators.apns import (
    Answer,
    ApnsSimulator,
    GoAway,
    LimitStreams,
    Reset,
    Rule,
    Silence,
)
from local.simulators.authority import Authority
from mdm_push import apns
from mdm_push.apns.pool import MdmPool
from mdm_push.apns.sender import Apns, as_file
from mdm_push.model import Credentials, PushAnswer
from shared.clock import SystemClock
from shared.errors import Unavailable
from shared.ids import new_id
from shared.retry import Backoff
from shared.vault import Secret
from tests.mdm_push.workbench import TOPIC

MAGIC = b'a "quoted" magic'


def tokens(count: int) -> list[bytes]:
    return [f"{number:032d}".encode() for number in range(count)]


def credentials(authority: Authority, topic: str = TOPIC) -> Credentials:
    identity = authority.issue_push(topic=topic)
    return Credentials(new_id(), topic, Secret(identity.certificate_pem + identity.private_key_pem))


@pytest.fixture
async def sender(simulator: ApnsSimulator, authority: Authority, folder: Path) -> AsyncIterator[Apns]:
    settings = apns.ApnsSettings(
        host="localhost", port=simulator.port, trust_ca_file=folder / "ca.pem", deadline_seconds=10
    )
    sender = Apns(settings, SystemClock())
    sender.use([credentials(authority)])
    yield sender
    await sender.close()


def pool_of(sender: Apns) -> MdmPool:
    return sender._pools[TOPIC]


async def push(sender: Apns, token: bytes) -> PushAnswer:
    return await sender.push(TOPIC, token=token, magic=MAGIC)


async def push_all(sender: Apns, simulator: ApnsSimulator, count: int) -> Counter[str]:
    """Push to fresh tokens at once; return how often each answer came."""
    known = tokens(count)
    simulator.registry.register([token.hex() for token in known], topic=TOPIC)
    answers = await asyncio.gather(*(push(sender, token) for token in known), return_exceptions=True)
    return Counter(str(each.status) if isinstance(each, PushAnswer) else repr(each) for each in answers)


async def test_a_push_carries_what_apple_asks_for(sender: Apns, simulator: ApnsSimulator) -> None:
    before = time.time()
    assert await push_all(sender, simulator, 1) == {"200": 1}
    [seen] = simulator.pushes
    assert (seen.push.topic, seen.push.magic, seen.push.priority) == (TOPIC, MAGIC.decode(), 10)
    assert before + 86_390 < seen.push.expires_at < time.time() + 86_410


async def test_defect_01_more_dead_tokens_than_a_window_holds_do_not_stall_a_connection(
    sender: Apns, simulator: ApnsSimulator
) -> None:
    known = tokens(1500)  # of 54 bytes each: the 1,214th does not fit into 65,535
    simulator.registry.register([token.hex() for token in known], topic=TOPIC)
    simulator.registry.unregister([token.hex() for token in known], at=1_700_000_000)
    gate = asyncio.Semaphore(400)

    async def one(token: bytes) -> PushAnswer:
        async with gate:
            return await push(sender, token)

    answers = await asyncio.gather(*(one(token) for token in known))
    assert {answer.status for answer in answers} == {410}
    assert answers[0].gone_since == datetime.fromtimestamp(1_700_000_000, UTC)
    assert len(simulator.connections) == 1


async def test_defect_02_the_stream_limit_may_fall_and_rise_in_mid_burst(
    sender: Apns, simulator: ApnsSimulator
) -> None:
    pool_of(sender).max_connections = 1
    simulator.script.rules.append(Rule(LimitStreams(1), times=1))
    assert await push_all(sender, simulator, 1) == {"200": 1}
    simulator.script.rules.append(Rule(Answer(200, delay_seconds=0.05)))
    begun = time.monotonic()
    pushing = asyncio.create_task(push_all(sender, simulator, 300))
    while len(simulator.pushes) < 3:
        await asyncio.sleep(0.005)
    simulator.limit_streams(1000)
    assert await pushing == {"200": 300}
    assert time.monotonic() - begun < 10, "one after the other they take fifteen seconds"


async def test_defect_03_a_refused_stream_is_sent_again(sender: Apns, simulator: ApnsSimulator) -> None:
    simulator.script.rules.append(Rule(Reset(7), times=50))
    assert await push_all(sender, simulator, 300) == {"200": 300}


async def test_a_stream_that_is_refused_for_ever_is_unavailable(
    sender: Apns, simulator: ApnsSimulator
) -> None:
    simulator.script.rules.append(Rule(Reset(7)))
    [answer] = await push_all(sender, simulator, 1)
    assert "connection_lost" in answer


@pytest.mark.parametrize("body_form", ["none", "split"])
async def test_defects_04_and_05_an_error_may_have_no_body_or_come_in_two_frames(
    sender: Apns, simulator: ApnsSimulator, body_form: Literal["none", "split"]
) -> None:
    simulator.script.rules.append(Rule(Answer(429, "TooManyRequests", body_form=body_form)))
    answer = await push(sender, tokens(1)[0])
    assert answer.status == 429
    assert answer.reason == (None if body_form == "none" else "TooManyRequests")


async def test_defect_06_a_cancelled_send_harms_no_other(sender: Apns, simulator: ApnsSimulator) -> None:
    simulator.script.rules.append(Rule(Silence(), times=11))
    known = tokens(11)
    simulator.registry.register([token.hex() for token in known], topic=TOPIC)
    sends = [asyncio.create_task(push(sender, token)) for token in known]
    while len(simulator.pushes) < len(sends):
        await asyncio.sleep(0.01)
    sends[0].cancel()
    for connection in list(simulator.connections):
        connection.close()
    answers = await asyncio.gather(*sends, return_exceptions=True)
    assert isinstance(answers[0], asyncio.CancelledError)
    assert [answer.status for answer in answers[1:] if isinstance(answer, PushAnswer)] == [200] * 10


@pytest.mark.parametrize("echo", ["AAAAAAAA-0000-4000-8000-000000000000", ""])
async def test_defect_07_an_answer_is_found_by_its_stream_not_by_its_id(
    sender: Apns, simulator: ApnsSimulator, monkeypatch: pytest.MonkeyPatch, echo: str
) -> None:
    monkeypatch.setattr("local.simulators.apns.connection.apns_id_of", lambda _: echo)
    assert await push_all(sender, simulator, 20) == {"200": 20}


async def test_defect_08_after_goaway_what_was_sent_is_answered_and_the_rest_sent_again(
    sender: Apns, simulator: ApnsSimulator
) -> None:
    simulator.script.rules.append(Rule(Answer(200, delay_seconds=0.1), times=60))
    simulator.script.rules.append(Rule(GoAway(), times=1))
    assert await push_all(sender, simulator, 200) == {"200": 200}
    sent = Counter(seen.push.token for seen in simulator.pushes)
    assert sum(count > 1 for count in sent.values()) <= 1, "only what met the goodbye was sent twice"


def test_defect_09_there_is_no_proxy_to_hang_on() -> None:
    assert not {"proxy_host", "proxy_port"} & set(inspect.signature(MdmPool.__init__).parameters)


async def test_defect_10_a_silent_server_is_left_at_the_deadline(
    sender: Apns, simulator: ApnsSimulator
) -> None:
    assert await push_all(sender, simulator, 1) == {"200": 1}
    pool_of(sender)._deadline_seconds = 0.3
    simulator.script.rules.append(Rule(Silence()))
    begun = time.monotonic()
    [answer] = await push_all(sender, simulator, 5)
    assert "no_answer_before_the_deadline" in answer
    assert time.monotonic() - begun < 5
    while pool_of(sender).connections:
        await asyncio.sleep(0.01)
    simulator.script.rules.clear()
    pool_of(sender)._deadline_seconds = 10
    assert await push_all(sender, simulator, 5) == {"200": 5}


async def test_defect_11_apple_is_not_hammered_when_it_hangs_up(
    sender: Apns, simulator: ApnsSimulator
) -> None:
    simulator.turn_away(1000)
    pool_of(sender)._pause = Backoff(first=60.0, most=60.0)
    assert await push_all(sender, simulator, 50) == {"Unavailable('closed_before_settings')": 50}
    with pytest.raises(Unavailable) as unavailable:
        await push(sender, tokens(1)[0])
    assert simulator.connections_accepted == 1
    assert unavailable.value.retry_after_seconds is not None


async def test_defect_11_a_certificate_that_apple_does_not_take_shows_before_the_first_push(
    sender: Apns, simulator: ApnsSimulator
) -> None:
    sender.use([credentials(Authority.create("a stranger"))])
    assert await push_all(sender, simulator, 50) == {"Unavailable('closed_before_settings')": 50}


async def test_defect_11_a_refused_certificate_is_named(authority: Authority, tmp_path: Path) -> None:
    certificate, key = authority.issue_server(hosts=["localhost"]).write(tmp_path, "server")
    ca = tmp_path / "ca.pem"
    ca.write_bytes(authority.certificate_pem)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(ca))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(certificate, key)

    def refuse_one(listener: socket.socket) -> None:
        with contextlib.suppress(ssl.SSLError), listener.accept()[0] as connection:
            context.wrap_socket(connection, server_side=True)

    with socket.create_server(("localhost", 0)) as listener:
        settings = apns.ApnsSettings(host="localhost", port=listener.getsockname()[1], trust_ca_file=ca)
        sender = Apns(settings, SystemClock())
        sender.use([credentials(Authority.create("a stranger"))])
        refusing = asyncio.get_running_loop().run_in_executor(None, refuse_one, listener)
        with pytest.raises(Unavailable) as unavailable:
            await push(sender, tokens(1)[0])
        await refusing
        await sender.close()
    assert unavailable.value.reason == "push_certificate_refused"


async def test_defect_12_nothing_is_kept_of_what_was_answered(sender: Apns, simulator: ApnsSimulator) -> None:
    assert await push_all(sender, simulator, 300) == {"200": 300}
    [connection] = pool_of(sender).connections
    assert connection.in_flight == 0
    assert not connection.requests
    assert not connection.request_streams


async def test_defect_13_an_idle_connection_is_kept_and_asked_for_a_sign_of_life(
    sender: Apns, simulator: ApnsSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_of(sender)._protocol, "INACTIVITY_TIME", 0.5)
    assert await push_all(sender, simulator, 1) == {"200": 1}
    [connection] = pool_of(sender).connections
    heard_at = connection.heard_at
    async with asyncio.timeout(20):
        while connection.heard_at == heard_at:
            await asyncio.sleep(0.02)
    assert pool_of(sender).connections == [connection]


async def test_defect_14_a_connection_may_end_before_the_pool_knows_it(sender: Apns) -> None:
    pool_of(sender).discard_connection(object())


async def test_pushes_wait_for_a_place_without_asking_again_and_again(
    sender: Apns, simulator: ApnsSimulator
) -> None:
    simulator.script.rules.append(Rule(LimitStreams(2), times=1))
    waiting = asyncio.create_task(push_all(sender, simulator, 200))
    await asyncio.sleep(0)
    assert await waiting == {"200": 200}
    assert not pool_of(sender)._waiters


async def test_whoever_gives_up_waiting_passes_his_turn_on(sender: Apns, simulator: ApnsSimulator) -> None:
    assert await push_all(sender, simulator, 1) == {"200": 1}
    simulator.limit_streams(1)
    await asyncio.sleep(0.05)
    pool_of(sender).max_connections = 1
    simulator.script.rules.append(Rule(Answer(200, delay_seconds=0.02)))
    sends = [asyncio.create_task(push(sender, tokens(1)[0])) for _ in range(30)]
    await asyncio.sleep(0.03)
    for send in sends[::2]:
        send.cancel()
    answers = await asyncio.gather(*sends, return_exceptions=True)
    assert sum(isinstance(answer, PushAnswer) for answer in answers) >= 15


@pytest.mark.parametrize("seconds", [0, 0.02])
async def test_conformance_14_a_new_certificate_takes_over_without_losing_a_push(
    sender: Apns, simulator: ApnsSimulator, authority: Authority, seconds: float
) -> None:
    simulator.script.rules.append(Rule(Answer(200, delay_seconds=0.05)))
    burst = asyncio.create_task(push_all(sender, simulator, 100))
    await asyncio.sleep(seconds)
    sender.use([credentials(authority)])
    assert await push_all(sender, simulator, 100) == {"200": 100}
    assert await burst == {"200": 100}


async def test_no_push_without_a_certificate_and_none_while_a_topic_is_paused(sender: Apns) -> None:
    assert sender.topics() == [TOPIC]
    sender.pause(TOPIC, 60)
    assert sender.topics() == []
    with pytest.raises(Unavailable):
        await sender.push("com.apple.mgmt.External.other", token=b"1", magic=b"2")


def test_a_key_is_lent_to_ssl_as_a_path_that_vanishes() -> None:
    with as_file(Secret(b"secret pem")) as path:
        assert Path(path).read_bytes() == b"secret pem"
    assert not Path(path).exists()
