import asyncio
import ssl

import pytest

from local.simulators.apns import Answer, ApnsSimulator, GoAway, LimitStreams, Push, Reset, Rule, Silence
from tests.local.apns.h2_sender import Sender
from tests.local.apns.parts import TOKEN, TOPIC, Connect


@pytest.mark.parametrize(("status", "reason"), [(429, "TooManyRequests"), (503, "ServiceUnavailable")])
async def test_a_scripted_answer_counts_down_and_delivers_nothing(
    sender: Sender, simulator: ApnsSimulator, heard: list[Push], status: int, reason: str
) -> None:
    simulator.script.rules.append(Rule(Answer(status, reason), prefix="ab", times=1))
    reply = await sender.post(TOKEN)
    assert (reply.status, reply.reason, heard) == (status, reason, [])
    assert (await sender.post(TOKEN)).status == 200


async def test_an_error_may_come_split_or_without_its_body(sender: Sender, simulator: ApnsSimulator) -> None:
    simulator.script.rules.append(Rule(Answer(503, "ServiceUnavailable", body_form="split"), times=1))
    simulator.script.rules.append(Rule(Answer(503, "ServiceUnavailable", body_form="none"), times=1))
    split, bodyless = await sender.post(TOKEN), await sender.post(TOKEN)
    assert len(split.pieces) == 2
    assert split.reason == "ServiceUnavailable"
    assert (bodyless.status, bodyless.pieces) == (503, [])


async def test_a_stream_may_be_refused_or_never_answered(sender: Sender, simulator: ApnsSimulator) -> None:
    simulator.script.rules.append(Rule(Reset(), times=1))
    simulator.script.rules.append(Rule(Silence(), times=1))
    assert (await sender.post(TOKEN)).reset_code == 7
    unanswered = sender.post(TOKEN)
    assert (await sender.post(TOKEN)).status == 200
    assert not unanswered.done()


async def test_a_stream_that_its_sender_gave_up_disturbs_nobody(
    sender: Sender, simulator: ApnsSimulator
) -> None:
    simulator.script.rules.append(Rule(Answer(200, delay_seconds=0.05), times=1))
    slow = sender.post(TOKEN)
    await asyncio.sleep(0.02)
    sender.give_up(slow)
    await asyncio.sleep(0.06)
    sender.holding = True
    for reaction in (Answer(200), Answer(503, "ServiceUnavailable"), Reset()):
        simulator.script.rules.append(Rule(reaction, times=1))
        sender.give_up(sender.post(TOKEN))
    sender.holding = False
    assert (await sender.post(TOKEN)).status == 200


async def test_goaway_leaves_one_stream_out_and_answers_the_older_ones(
    sender: Sender, simulator: ApnsSimulator
) -> None:
    simulator.script.rules.append(Rule(Answer(200, delay_seconds=0.05), prefix="ab"))
    simulator.script.rules.append(Rule(GoAway(), prefix="ee"))
    older, left_out = sender.post(TOKEN), sender.post("ee" * 32)
    assert (await older).status == 200
    await sender.closed.wait()
    assert sender.goaway is not None
    assert (sender.goaway.last_stream_id, sender.goaway.additional_data) == (1, b'{"reason": "Shutdown"}')
    assert not left_out.done()


async def test_the_number_of_streams_goes_down_and_up(sender: Sender, simulator: ApnsSimulator) -> None:
    await sender.post(TOKEN)
    assert sender.stream_limit == 1000
    simulator.script.rules.append(Rule(LimitStreams(1), times=1))
    assert (await sender.post(TOKEN)).status == 200
    assert sender.stream_limit == 1
    simulator.limit_streams(500)
    assert (await sender.post(TOKEN)).status == 200
    assert sender.stream_limit == 500


async def test_more_streams_than_allowed_cost_the_connection(
    sender: Sender, simulator: ApnsSimulator
) -> None:
    simulator.script.rules.append(Rule(Silence()))
    simulator.limit_streams(1)
    await sender.post("not-hex")
    sender.h2.remote_settings.max_concurrent_streams = 10
    sender.h2.remote_settings.acknowledge()
    sender.post(TOKEN)
    sender.post(TOKEN)
    await sender.closed.wait()
    assert sender.goaway is not None


async def test_a_client_that_never_acknowledges_data_stalls(
    connect: Connect, simulator: ApnsSimulator
) -> None:
    simulator.registry.unregister([TOKEN])
    sender = await connect(acknowledges=False)
    answers = []
    for _ in range(2):
        answers += [sender.post(TOKEN) for _ in range(900)]
        await asyncio.wait(answers, timeout=1.0)
    answered = sum(answer.done() for answer in answers)
    gone = b'{"reason":"Unregistered","timestamp":1800000000000}'
    assert answered == 65_535 // len(gone)  # the connection's first window
    sender.open_window(100_000)
    assert {reply.status for reply in await asyncio.gather(*answers)} == {410}


async def test_a_body_waits_for_the_window_of_its_stream(connect: Connect) -> None:
    sender = await connect(acknowledges=False)
    sender.shrink_window(10)
    waiting = sender.post("cd" * 32)
    await asyncio.wait([waiting], timeout=0.1)
    assert not waiting.done()
    sender.open_window(100, 1)
    reply = await waiting
    assert (len(reply.pieces[0]), reply.reason) == (10, "BadDeviceToken")


async def test_three_thousand_dead_tokens_are_answered_on_one_connection(
    sender: Sender, simulator: ApnsSimulator
) -> None:
    tokens = [f"{number:064x}" for number in range(3_000)]
    simulator.registry.register(tokens, topic=TOPIC)
    simulator.registry.unregister(tokens)
    statuses: set[int] = set()
    for start in range(0, len(tokens), 500):
        replies = await asyncio.gather(*[sender.post(token) for token in tokens[start : start + 500]])
        statuses |= {reply.status for reply in replies}
    assert statuses == {410}
    assert simulator.answers["410 Unregistered"] == 3_000


async def test_a_broken_frame_costs_the_connection(simulator: ApnsSimulator, context: ssl.SSLContext) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", simulator.port, ssl=context)
    writer.write(b"GET / HTTP/1.1\r\n\r\n" + b"x" * 100)
    while await reader.read(1024):
        pass
    writer.close()
    await asyncio.sleep(0.05)  # the server hears of the end a moment after the client
    assert not simulator.connections
