"""Faults in single frames and connections: the scripted door's alone."""

import asyncio
import ssl

import pytest
from hyperframe.frame import GoAwayFrame
from joserfc import jwt
from joserfc.jwk import ECKey

from local.simulators.apns import (
    Answer,
    ApnsSimulator,
    GoAway,
    HalfOpen,
    HangUp,
    LimitStreams,
    Mischief,
    Reset,
    Rule,
    Silence,
)
from tests.conformance.apns.h2_sender import Sender
from tests.local.apns.parts import APP_TOPIC, NOW, TOKEN, TOPIC, Connect


def goodbye(sender: Sender) -> GoAwayFrame:
    assert sender.goaway is not None
    return sender.goaway


async def test_an_error_may_come_in_two_frames(sender: Sender, simulator: ApnsSimulator) -> None:
    simulator.script.rules.append(Rule(Answer(503, "ServiceUnavailable", body_form="split")))
    split = await sender.post(TOKEN)
    assert len(split.pieces) == 2
    assert split.reason == "ServiceUnavailable"


async def test_an_answer_may_be_cut_within_a_frame_and_the_others_wait_behind_it(
    connect: Connect, simulator: ApnsSimulator
) -> None:
    sender = await connect()
    simulator.script.rules.append(Rule(Answer(503, "ServiceUnavailable", body_form="cut"), times=2))
    before = len(sender.arrivals)
    replies = await asyncio.gather(*[sender.post(TOKEN) for _ in range(3)])
    assert [reply.status for reply in replies] == [503, 503, 200]
    assert {reply.reason for reply in replies[:2]} == {"ServiceUnavailable"}
    assert len(sender.arrivals) - before >= 2


async def test_a_stream_may_be_refused(sender: Sender, simulator: ApnsSimulator) -> None:
    simulator.script.rules.append(Rule(Reset(), times=1))
    assert (await sender.post(TOKEN)).reset_code == 7
    assert (await sender.post(TOKEN)).status == 200


async def test_a_stream_that_its_sender_gave_up_disturbs_nobody(
    sender: Sender, simulator: ApnsSimulator
) -> None:
    simulator.script.rules.append(Rule(Answer(200, delay_seconds=0.5), times=1))
    slow = sender.post(TOKEN)
    while not simulator.pushes:
        await asyncio.sleep(0.005)
    sender.give_up(slow)
    await asyncio.sleep(0.6)
    sender.holding = True
    for reaction in (Answer(200), Answer(503, "ServiceUnavailable"), Reset()):
        simulator.script.rules.append(Rule(reaction, times=1))
        sender.give_up(sender.post(TOKEN))
    sender.holding = False
    assert (await sender.post(TOKEN)).status == 200


@pytest.mark.parametrize(
    ("message", "said"), [(GoAway(), b'{"reason": "Shutdown"}'), (GoAway(None, error_code=2), b"")]
)
async def test_goaway_leaves_one_stream_out_and_answers_the_older_ones(
    sender: Sender, simulator: ApnsSimulator, message: GoAway, said: bytes
) -> None:
    simulator.script.rules.append(Rule(Answer(200, delay_seconds=0.5), prefix="ab"))
    simulator.script.rules.append(Rule(message, prefix="ee"))
    older, left_out = sender.post(TOKEN), sender.post("ee" * 32)
    assert (await older).status == 200
    await sender.closed.wait()
    frame = goodbye(sender)
    assert (frame.last_stream_id, frame.error_code, frame.additional_data) == (1, message.error_code, said)
    assert not left_out.done()


async def test_goaway_may_disown_streams_that_are_under_way(sender: Sender, simulator: ApnsSimulator) -> None:
    simulator.script.rules.append(Rule(Answer(200, delay_seconds=0.5)))
    answers = [sender.post(TOKEN) for _ in range(3)]
    while len(simulator.pushes) < len(answers):
        await asyncio.sleep(0.005)
    simulator.go_away(last_stream=3)
    await sender.closed.wait()
    assert [answer.done() for answer in answers] == [True, True, False]


@pytest.mark.parametrize("mischief", [HangUp(), HalfOpen()])
async def test_a_connection_may_end_without_a_word_or_stay_as_if_dead(
    sender: Sender, simulator: ApnsSimulator, mischief: Mischief
) -> None:
    simulator.script.rules.append(Rule(Silence(), times=1))
    simulator.script.rules.append(Rule(mischief, times=1))
    answers = [sender.post(TOKEN) for _ in range(2)]
    while len(simulator.pushes) < len(answers):
        await asyncio.sleep(0.005)
    if mischief == HangUp():
        await sender.closed.wait()
    else:
        await asyncio.wait(answers, timeout=0.2)
    assert not any(answer.done() for answer in answers)
    assert sender.goaway is None
    assert sender.closed.is_set() == (mischief == HangUp())
    assert len(simulator.connections) == (mischief == HalfOpen())
    if mischief == HalfOpen():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(sender.ping(), 0.1)
    for connection in list(simulator.connections):
        connection.close()
    await sender.closed.wait()


async def test_connections_may_be_turned_away_right_after_the_handshake(
    connect: Connect, simulator: ApnsSimulator
) -> None:
    simulator.turn_away(1)
    turned_away = await connect()
    await turned_away.closed.wait()
    assert (await (await connect()).post(TOKEN)).status == 200
    assert (simulator.connections_accepted, len(simulator.connections)) == (2, 1)


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
    goodbye(sender)


async def test_a_sender_with_a_token_has_one_stream_until_its_first_success(
    connect: Connect, stranger: ssl.SSLContext, simulator: ApnsSimulator
) -> None:
    key = ECKey.generate_key("P-256")
    simulator.provider_tokens.trust("KEY", team_id="TEAM", public_key_pem=key.as_pem(private=False).decode())
    simulator.registry.register([TOKEN], topic=APP_TOPIC)
    sender = await connect(stranger, topic=APP_TOPIC)
    token = jwt.encode({"alg": "ES256", "kid": "KEY"}, {"iss": "TEAM", "iat": int(NOW)}, key)
    headers = {"authorization": f"bearer {token}", "apns-push-type": "alert"}
    assert (await sender.post("not-hex", headers=headers)).status == 400
    assert sender.stream_limit == 1
    assert (await sender.post(TOKEN, body=b"{}", headers=headers)).status == 200
    await sender.ping()
    assert sender.stream_limit == 1000


async def test_a_stream_too_many_before_the_first_success_is_refused_alone(
    connect: Connect, stranger: ssl.SSLContext, simulator: ApnsSimulator
) -> None:
    """Clients that send before our SETTINGS arrived are not cut off for it: RFC 9113, 5.1.2."""
    simulator.script.rules.append(Rule(Answer(400, "BadDeviceToken", delay_seconds=0.5)))
    key = ECKey.generate_key("P-256")
    simulator.provider_tokens.trust("KEY", team_id="TEAM", public_key_pem=key.as_pem(private=False).decode())
    sender = await connect(stranger, topic=APP_TOPIC)
    token = jwt.encode({"alg": "ES256", "kid": "KEY"}, {"iss": "TEAM", "iat": int(NOW)}, key)
    headers = {"authorization": f"bearer {token}", "apns-push-type": "alert"}
    sender.h2.remote_settings.max_concurrent_streams = 10
    sender.h2.remote_settings.acknowledge()
    first, second = (sender.post(TOKEN, body=b"{}", headers=headers) for _ in range(2))
    assert (await second).reset_code == 7
    assert (await first).status == 400


async def test_a_connection_that_ended_is_forgotten(
    simulator: ApnsSimulator, context: ssl.SSLContext
) -> None:
    async with Sender(TOPIC).connected(simulator.port, context) as sender:
        await sender.ping()
        assert len(simulator.connections) == 1
    while simulator.connections:
        await asyncio.sleep(0.005)
