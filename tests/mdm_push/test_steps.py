import asyncio
from collections.abc import AsyncIterator, Collection
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
import structlog
from prometheus_client import REGISTRY

from local.simulators.apns import Answer, ApnsSimulator, Rule
from local.simulators.authority import Authority
from mdm_push import apns
from mdm_push.apns import Apns
from mdm_push.certificates import read_certificate
from mdm_push.decide.breaker import LIMIT
from mdm_push.handlers.certificates import store_certificate
from mdm_push.model import Credentials, PushAnswer
from mdm_push.steps import Pusher, PusherSettings
from shared.clock import SystemClock
from shared.errors import Unavailable
from shared.events.mdm_push import DevicePushed
from shared.ids import new_id
from tests.mdm_push.workbench import TOPIC, Device, Workbench

TOKEN = b"\x01\x02" * 16


@pytest.fixture
async def pusher(
    bench: Workbench, simulator: ApnsSimulator, authority: Authority, folder: Path
) -> AsyncIterator[Pusher]:
    """A pusher that sends when it is told to, with a stored certificate."""
    await store(bench, authority)
    settings = apns.ApnsSettings(host="localhost", port=simulator.port, trust_ca_file=folder / "ca.pem")
    service = Apns(settings, SystemClock())
    pusher = Pusher(bench.database, service, bench.means)
    await pusher.load_certificates()
    yield pusher
    await service.close()


async def store(bench: Workbench, authority: Authority) -> None:
    identity = authority.issue_push(topic=TOPIC)
    read = read_certificate(
        identity.certificate_pem.decode(), identity.private_key_pem.decode(), now=SystemClock().now()
    )
    async with bench.database.transaction() as tx:
        await store_certificate(
            tx,
            read,
            apple_account=None,
            all_devices_must_reenroll=False,
            stored_by="test",
            means=bench.means,
        )


async def asleep(bench: Workbench, simulator: ApnsSimulator, name: str = "ipad") -> Device:
    """An enrolled device that APNs knows and for which an install waits."""
    device = await bench.enroll(name)
    simulator.registry.register([TOKEN.hex()], topic=TOPIC)
    await bench.ask_install(device)
    return device


async def problem(bench: Workbench, device: Device) -> str | None:
    found: str | None = await bench.value(
        "SELECT problem FROM push_state WHERE enrollment_id = $1", device.enrollment_id
    )
    return found


async def test_a_device_is_woken_once_for_a_burst_and_it_is_told_in_sets(
    bench: Workbench, simulator: ApnsSimulator, pusher: Pusher
) -> None:
    device = await asleep(bench, simulator)
    await bench.ask_install(device, asset_id=new_id(), adam_id="42")
    assert await pusher.send_due() == 1
    assert await pusher.send_due() == 0
    [seen] = simulator.pushes
    assert (seen.push.token, seen.push.magic) == (TOKEN.hex(), f"magic-{device.udid}")
    [told] = await bench.told()
    assert isinstance(told.event, DevicePushed)
    assert told.event.enrollment_ids == (device.enrollment_id,)


async def test_the_wake_ups_of_one_thread_are_told_together(
    bench: Workbench, simulator: ApnsSimulator, pusher: Pusher
) -> None:
    devices = [await bench.enroll(f"ipad-{number}") for number in range(5)]
    simulator.registry.register([TOKEN.hex()], topic=TOPIC)
    await bench.ask_install(*devices)
    assert await pusher.send_due() == 5
    [told] = await bench.told()
    assert isinstance(told.event, DevicePushed)
    assert set(told.event.enrollment_ids) == {device.enrollment_id for device in devices}


async def test_a_device_that_does_not_come_is_woken_again_later_and_later(
    bench: Workbench, simulator: ApnsSimulator, pusher: Pusher
) -> None:
    device = await asleep(bench, simulator)
    for seconds in (600, 3600, 21_600, 86_400, 86_400):
        assert await pusher.send_due() == 1
        wait = await bench.next_push(device)
        assert wait is not None
        assert 0.8 * seconds <= wait <= 1.2 * seconds
        bench.clock.turn(wait)


async def test_conformance_06_a_changed_magic_is_used_by_the_very_next_push(
    bench: Workbench, simulator: ApnsSimulator, pusher: Pusher
) -> None:
    device = await asleep(bench, simulator)
    await bench.token_update(device, PushMagic="changed")
    await pusher.send_due()
    assert [seen.push.magic for seen in simulator.pushes] == ["changed"]


async def test_conformance_12_a_410_newer_than_the_token_ends_the_pushes_until_the_next_token(
    bench: Workbench, simulator: ApnsSimulator, pusher: Pusher
) -> None:
    device = await asleep(bench, simulator)
    simulator.registry.unregister([TOKEN.hex()], at=(bench.clock.now() + timedelta(minutes=1)).timestamp())
    assert await pusher.send_due() == 1
    assert await bench.next_push(device) is None
    assert await problem(bench, device) == "unregistered"
    await bench.ask_install(device, asset_id=new_id(), adam_id="42")
    assert await pusher.send_due() == 0
    simulator.registry.register([TOKEN.hex()], topic=TOPIC)
    await bench.token_update(device)
    assert await pusher.send_due() == 1
    assert await problem(bench, device) is None


async def test_conformance_12_a_410_older_than_the_token_is_tried_once_more(
    bench: Workbench, simulator: ApnsSimulator, pusher: Pusher
) -> None:
    device = await asleep(bench, simulator)
    simulator.registry.unregister([TOKEN.hex()], at=(bench.clock.now() - timedelta(days=1)).timestamp())
    assert await pusher.send_due() == 1
    assert await bench.next_push(device) == 0
    assert await pusher.send_due() == 1
    assert await bench.next_push(device) is None


@pytest.mark.parametrize(
    ("status", "reason", "least", "most"),
    [
        (400, "BadDeviceToken", 2800, 4400),
        (400, "DeviceTokenNotForTopic", 2800, 4400),
        (403, "BadCertificate", 240, 360),
        (429, "TooManyRequests", 48, 72),
        (500, "InternalServerError", 720, 1080),
        (503, "ServiceUnavailable", 720, 1080),
        (503, "Shutdown", 0, 2),
    ],
)
async def test_an_answer_says_when_to_push_again(
    bench: Workbench,
    simulator: ApnsSimulator,
    pusher: Pusher,
    status: int,
    reason: str,
    least: float,
    most: float,
) -> None:
    device = await asleep(bench, simulator)
    simulator.script.rules.append(Rule(Answer(status, reason)))
    assert await pusher.send_due() == 1
    assert await bench.told() == []
    wait = await bench.next_push(device)
    assert wait is not None
    assert least <= wait <= most


async def test_a_bad_token_is_given_up_once_apns_knew_another_one(
    bench: Workbench, simulator: ApnsSimulator, pusher: Pusher
) -> None:
    await asleep(bench, simulator)
    assert await pusher.send_due() == 1
    device = await bench.enroll("other")
    await bench.token_update(device, Token=b"nobody's" * 4)
    await bench.ask_install(device)
    assert await pusher.send_due() == 1
    assert await bench.next_push(device) is None
    assert await problem(bench, device) == "bad_device_token"


@pytest.mark.parametrize("known_before", [False, True])
async def test_apns_of_the_wrong_environment_costs_no_token_and_is_not_asked_on(
    bench: Workbench, simulator: ApnsSimulator, pusher: Pusher, authority: Authority, *, known_before: bool
) -> None:
    devices = [await bench.enroll(f"ipad-{number}") for number in range(LIMIT + 1)]
    simulator.registry.register([TOKEN.hex()], topic=TOPIC)
    if known_before:
        await bench.ask_install(devices[0])
        assert await pusher.send_due() == 1
    rule = Rule(Answer(400, "BadDeviceToken"))
    simulator.script.rules.append(rule)
    simulator.pushes.clear()
    await bench.ask_install(*devices[1:])
    with structlog.testing.capture_logs() as said:
        assert await pusher.send_due() == LIMIT
    assert [(line["event"], line["reason"]) for line in said if line["log_level"] == "error"] == [
        ("APNs refuses the topic", "BadDeviceToken")
    ]
    assert await bench.value("SELECT count(*) FROM push_state WHERE dead") == 0
    assert pusher.progressing(), "no restart would mend it"
    await bench.ask_install(devices[0], asset_id=new_id(), adam_id="42")
    bench.clock.turn(7 * 3600)
    assert await pusher.send_due() == 0, "the topic is held back"
    assert REGISTRY.get_sample_value("push_topics_paused") == 1
    simulator.script.rules.remove(rule)
    await store(bench, authority)  # nobody waits for the pause to end
    await pusher.load_certificates()
    assert await pusher.send_due() == LIMIT + 1
    assert {seen.push.token for seen in simulator.pushes} == {TOKEN.hex()}
    assert await bench.value("SELECT count(*) FROM push_state WHERE problem IS NOT NULL") == 0


async def test_a_refused_certificate_holds_the_whole_topic_back(
    bench: Workbench, simulator: ApnsSimulator, pusher: Pusher
) -> None:
    await asleep(bench, simulator)
    simulator.script.rules.append(Rule(Answer(403, "BadCertificate")))
    assert await pusher.send_due() == 1
    other = await asleep(bench, simulator, "other")
    assert await pusher.send_due() == 0
    assert await bench.next_push(other) == 0


async def test_a_device_that_came_meanwhile_is_not_woken_again(
    bench: Workbench, simulator: ApnsSimulator
) -> None:
    device = await asleep(bench, simulator)
    await store(bench, Authority.create("x"))
    slow = _SlowApns()
    pusher = Pusher(bench.database, slow, bench.means)
    sending = asyncio.create_task(pusher.send_due())
    await slow.asked.wait()
    command = await bench.idle(device)
    assert command is not None
    await bench.report(device, command, State="Managed")
    slow.answer.set()
    assert await sending == 1
    assert await bench.next_push(device) is None


async def test_what_is_asked_while_a_push_is_under_way_is_pushed_again(
    bench: Workbench, simulator: ApnsSimulator
) -> None:
    device = await asleep(bench, simulator)
    slow = _SlowApns()
    pusher = Pusher(bench.database, slow, bench.means)
    sending = asyncio.create_task(pusher.send_due())
    await slow.asked.wait()
    await bench.ask_install(device, asset_id=new_id(), adam_id="42")
    slow.answer.set()
    assert await sending == 1
    assert await bench.next_push(device) == 0


async def test_a_burst_that_goes_on_after_the_push_wakes_a_device_on_its_way_only_once(
    bench: Workbench, simulator: ApnsSimulator, pusher: Pusher
) -> None:
    device = await asleep(bench, simulator)
    assert await pusher.send_due() == 1
    bench.clock.turn(2)
    await bench.ask_install(device, asset_id=new_id(), adam_id="42")
    assert await pusher.send_due() == 0
    assert await bench.next_push(device) == 3
    for _ in range(2):
        command = await bench.idle(device)
        assert command is not None
        await bench.report(device, command, State="Managed")
    assert await bench.next_push(device) is None
    await bench.ask_install(device, asset_id=new_id(), adam_id="43")
    assert await bench.next_push(device) == 0, "it went to sleep: this is another burst"


async def test_what_is_asked_while_apns_wants_patience_waits_with_the_rest(
    bench: Workbench, simulator: ApnsSimulator, pusher: Pusher
) -> None:
    device = await asleep(bench, simulator)
    simulator.script.rules.append(Rule(Answer(429, "TooManyRequests")))
    for least, most in ((48, 72), (96, 144)):
        assert await pusher.send_due() == 1
        wait = await bench.next_push(device)
        await bench.ask_install(device, asset_id=new_id(), adam_id="42")
        assert await bench.next_push(device) == wait
        assert wait is not None
        assert least <= wait <= most
        bench.clock.turn(wait)


async def test_a_token_that_cannot_be_opened_keeps_nobody_else_asleep(
    bench: Workbench, simulator: ApnsSimulator, pusher: Pusher
) -> None:
    broken = await asleep(bench, simulator)
    sound = await asleep(bench, simulator, "sound")
    async with bench.database.transaction() as tx:
        await tx.raw.execute(
            "UPDATE enrollments SET push_token = push_magic WHERE id = $1", broken.enrollment_id
        )
    assert await pusher.send_due() == 2
    [seen] = simulator.pushes
    assert seen.push.magic == f"magic-{sound.udid}"
    assert await problem(bench, broken) == "seal_broken"


async def test_a_silent_apns_is_asked_again_soon_and_then_more_rarely(bench: Workbench) -> None:
    device = await bench.enroll()
    await bench.ask_install(device)
    pusher = Pusher(bench.database, _SlowApns(Unavailable("connect_failed")), bench.means)
    for seconds in (5, 10, 20):
        assert await pusher.send_due() == 1
        wait = await bench.next_push(device)
        assert wait is not None
        assert 0.8 * seconds <= wait <= 1.2 * seconds
        bench.clock.turn(wait)
    assert await problem(bench, device) == "connect_failed"


async def test_a_commit_rings_the_pusher_and_a_stop_ends_it(
    bench: Workbench, simulator: ApnsSimulator, pusher: Pusher
) -> None:
    pusher._settings = PusherSettings(poll_seconds=60, certificates_seconds=60)
    stop = asyncio.Event()
    running = asyncio.create_task(pusher.run(stop))
    await asyncio.sleep(0.2)
    await asleep(bench, simulator)
    async with asyncio.timeout(20):
        while not simulator.pushes:
            await asyncio.sleep(0.01)
    stop.set()
    bench.means.pusher.ring()
    async with asyncio.timeout(20):
        await running


async def test_a_certificate_that_is_stored_later_is_taken_up(
    bench: Workbench, simulator: ApnsSimulator, folder: Path, authority: Authority
) -> None:
    await asleep(bench, simulator)
    settings = apns.ApnsSettings(host="localhost", port=simulator.port, trust_ca_file=folder / "ca.pem")
    service = Apns(settings, SystemClock())
    pusher = Pusher(bench.database, service, bench.means)
    assert await pusher.send_due() == 0
    await store(bench, authority)
    await pusher.load_certificates()
    assert await pusher.send_due() == 1
    await service.close()


class _SlowApns:
    """A push service that answers when the test says so."""

    def __init__(self, trouble: Unavailable | None = None) -> None:
        self.asked = asyncio.Event()
        self.answer = asyncio.Event()
        self.certificate_ids: frozenset[UUID] = frozenset()
        self._trouble = trouble

    def use(self, credentials: Collection[Credentials]) -> None:
        raise NotImplementedError

    def topics(self) -> list[str]:
        return [TOPIC]

    def pause(self, topic: str, seconds: float) -> None:
        raise NotImplementedError

    async def push(self, topic: str, *, token: bytes, magic: bytes) -> PushAnswer:
        assert (token, topic) == (TOKEN, TOPIC)
        assert magic.startswith(b"magic-")
        self.asked.set()
        if self._trouble is not None:
            raise self._trouble
        await self.answer.wait()
        return PushAnswer(status=200)
