"""What APNs does with a connection: "Sending notification requests to APNs", and HTTP/2 itself (RFC 9113)."""

import asyncio
import ssl
from collections.abc import Iterator

import pytest

from tests.conformance.apns.h2_sender import Sender
from tests.conformance.apns.look_alike import Devices, LookAlike

WINDOW = (
    65_535  # of a connection and of each stream, until SETTINGS or WINDOW_UPDATE say more (RFC 9113, 6.9.2)
)
GONE = b'{"reason":"Unregistered","timestamp":1700000000000}'


async def gone(devices: Devices, fresh_tokens: Iterator[str], count: int) -> list[str]:
    tokens = [next(fresh_tokens) for _ in range(count)]
    await devices.register(tokens)
    await devices.unregister(tokens, at=1_700_000_000)
    return tokens


async def test_a_sender_that_proves_nothing_is_asked_for_a_provider_token(look_alike: LookAlike) -> None:
    context = look_alike.context(with_certificate=False)
    async with Sender(look_alike.topic).connected(look_alike.port, context) as sender:
        reply = await sender.post("ab" * 32)
    assert (reply.status, reply.reason) == (403, "MissingProviderToken")


async def test_the_service_speaks_tls_1_2_at_least(look_alike: LookAlike) -> None:
    context = look_alike.context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with Sender(look_alike.topic).connected(look_alike.port, context) as sender:
        assert (await sender.post("not-hex")).reason == "BadDeviceToken"
        transport = sender._writer.transport
        assert transport.get_extra_info("ssl_object").version() == "TLSv1.2"
        assert transport.get_extra_info("ssl_object").selected_alpn_protocol() == "h2"


async def test_a_ping_is_answered(sender: Sender) -> None:
    assert await sender.ping() == b"12345678"


async def test_hundreds_of_pushes_may_be_under_way_at_once(
    sender: Sender, devices: Devices, fresh_tokens: Iterator[str]
) -> None:
    tokens = [next(fresh_tokens) for _ in range(500)]
    await devices.register(tokens)
    await sender.ping()  # behind the SETTINGS
    assert sender.stream_limit >= len(tokens)
    replies = await asyncio.gather(*[sender.post(token) for token in tokens])
    assert {reply.status for reply in replies} == {200}
    ids = [reply.headers["apns-id"] for reply in replies]
    assert len(set(ids)) == len(tokens)


async def test_three_thousand_dead_tokens_are_answered_on_one_connection(
    sender: Sender, devices: Devices, fresh_tokens: Iterator[str]
) -> None:
    tokens = await gone(devices, fresh_tokens, 3000)
    statuses: set[int] = set()
    for start in range(0, len(tokens), 500):
        replies = await asyncio.gather(*[sender.post(token) for token in tokens[start : start + 500]])
        statuses |= {reply.status for reply in replies}
    assert statuses == {410}


async def test_a_client_that_never_acknowledges_data_stalls(
    look_alike: LookAlike, devices: Devices, fresh_tokens: Iterator[str]
) -> None:
    """RFC 9113, 6.9: no more DATA than the connection's window. It shows which clients forget to enlarge it."""
    [token] = await gone(devices, fresh_tokens, 1)
    sender = Sender(look_alike.topic, acknowledges=False)
    fitting = WINDOW // len(GONE)
    async with sender.connected(look_alike.port, look_alike.context()):
        answers = []
        for _ in range(3):
            answers += [sender.post(token) for _ in range(500)]
            async with asyncio.timeout(20):
                while sum(answer.done() for answer in answers) < min(fitting, len(answers)):
                    await asyncio.sleep(0.01)
        await asyncio.wait(answers, timeout=0.5)
        assert sum(answer.done() for answer in answers) == fitting
        sender.open_window(100_000)
        assert {reply.status for reply in await asyncio.gather(*answers)} == {410}


async def test_a_body_waits_for_the_window_of_its_stream(look_alike: LookAlike) -> None:
    sender = Sender(look_alike.topic, acknowledges=False)
    async with sender.connected(look_alike.port, look_alike.context()):
        sender.shrink_window(10)
        waiting = sender.post("not-hex")
        async with asyncio.timeout(20):
            while not sender.pieces(waiting):
                await asyncio.sleep(0.01)
        assert not waiting.done()
        sender.open_window(100, 1)
        reply = await waiting
    assert (len(reply.pieces[0]), reply.reason) == (10, "BadDeviceToken")


async def test_a_stream_that_its_sender_gave_up_disturbs_nobody(sender: Sender, token: str) -> None:
    for _ in range(20):
        sender.give_up(sender.post(token))
    assert (await sender.post(token)).status == 200


async def test_a_broken_frame_costs_the_connection(look_alike: LookAlike) -> None:
    reader, writer = await asyncio.open_connection(look_alike.host, look_alike.port, ssl=look_alike.context())
    writer.write(b"GET / HTTP/1.1\r\n\r\n" + b"x" * 100)
    try:
        while await reader.read(1024):
            pass
    except ConnectionError:
        pytest.fail("the service hung up without its goodbye")
    finally:
        writer.close()
