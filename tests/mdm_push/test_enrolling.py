import asyncio

import pytest

from mdm_push.handlers import enrolling
from mdm_push.messages import Authenticate, Speaker, read
from mdm_push.model import CertificateNotBound, DeviceRefused
from shared.events.mdm_push import DeviceEnrolled, DeviceUnenrolled, DeviceUpdated, InstallFailed
from shared.events.words import EnrollmentKind, Platform, UnenrollReason
from shared.ids import new_id
from tests.mdm_push.workbench import TOPIC, Device, Workbench


async def test_a_device_is_enrolled_by_its_first_token_update_and_not_before(bench: Workbench) -> None:
    device = Device("UDID-1", bench.certificate("one"))
    await bench.authenticate(device, SerialNumber="C02X")
    assert await bench.told() == []
    await bench.token_update(device)
    [told] = await bench.told()
    assert told.sequence == 1
    assert told.event == DeviceEnrolled(
        enrollment_id=device.enrollment_id,
        generation=1,
        serial_number="C02X",
        platform=Platform.IOS,
        os_version="17.5",
        kind=EnrollmentKind.DEVICE,
        supervised=False,
        product_name="iPad14,1",
    )


async def test_a_fresh_device_is_asked_whether_it_is_supervised_and_the_answer_is_told(
    bench: Workbench,
) -> None:
    device = await bench.enroll(settle=False)
    await bench.told()
    assert await bench.next_push(device) == 0
    command = await bench.idle(device)
    assert command is not None
    assert command.request_type == "DeviceInformation"
    assert "IsSupervised" in command.arguments["Queries"]
    await bench.report(device, command, QueryResponses={"IsSupervised": True, "OSVersion": "17.6"})
    [told] = await bench.told()
    assert isinstance(told.event, DeviceUpdated)
    assert (told.event.supervised, told.event.os_version, told.sequence) == (True, "17.6", 2)


async def test_a_device_held_in_setup_assistant_is_let_go(bench: Workbench) -> None:
    device = Device("UDID-1", bench.certificate("one"))
    await bench.authenticate(device)
    await bench.token_update(device, AwaitingConfiguration=True)
    question = await bench.idle(device)
    assert question is not None
    released = await bench.report(device, question)
    assert released is not None
    assert released.request_type == "DeviceConfigured"


async def test_a_later_token_update_asks_the_device_what_it_runs_now_but_only_once(bench: Workbench) -> None:
    device = await bench.enroll()
    await bench.token_update(device, speaker=Speaker(UDID=device.udid, UserID="USER-1"))
    assert await bench.idle(device) is None
    for _ in range(2):
        await bench.token_update(device)
    assert await bench.next_push(device) == 0
    command = await bench.idle(device)
    assert command is not None
    assert command.request_type == "DeviceInformation"
    assert await bench.report(device, command, QueryResponses={"OSVersion": "18.0"}) is None
    [told] = await bench.told()
    assert isinstance(told.event, DeviceUpdated)
    assert (told.event.os_version, told.event.supervised) == ("18.0", True)


async def test_a_user_channel_with_nothing_to_fetch_is_not_woken(bench: Workbench) -> None:
    device = await bench.enroll()
    await bench.token_update(device, speaker=Speaker(UDID=device.udid, UserID="USER-1"))
    assert await bench.value("SELECT count(*) FROM push_state WHERE next_push_at IS NOT NULL") == 0


async def test_an_answer_without_news_tells_nothing(bench: Workbench) -> None:
    device = await bench.enroll(settle=False)
    await bench.told()
    command = await bench.idle(device)
    assert command is not None
    await bench.report(device, command, QueryResponses={"IsSupervised": False, "OSVersion": "17.5"})
    assert await bench.told() == []


async def test_a_shared_ipad_says_so_itself(bench: Workbench) -> None:
    device = await bench.enroll(settle=False)
    await bench.told()
    command = await bench.idle(device)
    assert command is not None
    await bench.report(device, command, QueryResponses={"IsMultiUser": True})
    [told] = await bench.told()
    assert told.event.kind is EnrollmentKind.SHARED_IPAD


@pytest.mark.parametrize("said", ["", "VMnTlU9Hx4k+", "a b", 7])
async def test_a_serial_number_that_cannot_be_read_keeps_no_device_from_enrolling(
    bench: Workbench, said: object
) -> None:
    device = Device("UDID-virtual", bench.certificate("virtual"))
    await bench.authenticate(device, SerialNumber=said)
    await bench.token_update(device)
    [told] = await bench.told()
    assert isinstance(told.event, DeviceEnrolled)
    assert told.event.serial_number is None


async def test_a_known_device_that_authenticates_again_was_wiped(bench: Workbench) -> None:
    device = await bench.enroll()
    [target] = await bench.ask_install(device)
    before = device.enrollment_id
    device.certificate = bench.certificate("its next life")
    await bench.authenticate(device, SerialNumber="SN-ipad")
    ended, answer = await bench.told()
    assert isinstance(ended.event, DeviceUnenrolled)
    assert (ended.event.reason, ended.event.generation) == (UnenrollReason.WIPED, 1)
    assert isinstance(answer.event, InstallFailed)
    assert (answer.event.cause, answer.event.delivery_id) == ("not_enrolled", target.delivery_id)
    await bench.token_update(device)
    [enrolled] = await bench.told()
    assert isinstance(enrolled.event, DeviceEnrolled)
    assert (enrolled.event.enrollment_id, enrolled.event.generation) == (before, 2)
    assert (ended.sequence, enrolled.sequence) == (3, 4)


async def test_conformance_05_authenticating_again_clears_the_queues_and_keeps_the_record(
    bench: Workbench,
) -> None:
    device = await bench.enroll()
    user = Speaker(UDID=device.udid, UserID="USER-1")
    await bench.token_update(device, speaker=user)
    await bench.ask_install(device)
    await bench.authenticate(device)
    await bench.token_update(device)
    command = await bench.idle(device)
    assert command is not None
    assert command.request_type == "DeviceInformation"
    assert await bench.value("SELECT count(*) FROM commands WHERE state = 'cleared'") == 1
    assert (
        await bench.value("SELECT state FROM enrollments WHERE apple_id = $1", user.channel) == "unenrolled"
    )


async def test_authenticating_twice_before_the_first_token_counts_one_life(bench: Workbench) -> None:
    device = Device("UDID-1", bench.certificate("one"))
    await bench.authenticate(device)
    await bench.authenticate(device)
    await bench.token_update(device)
    [told] = await bench.told()
    assert told.event.generation == 1


async def test_conformance_04_a_certificate_speaks_for_its_own_device_only(bench: Workbench) -> None:
    mine = await bench.enroll("mine")
    other = await bench.enroll("other")
    thief = Device(other.udid, mine.certificate)
    with pytest.raises(DeviceRefused):
        await bench.idle(thief)
    with pytest.raises(DeviceRefused):
        await bench.token_update(thief)
    with pytest.raises(DeviceRefused):
        await bench.check_out(thief)
    with pytest.raises(DeviceRefused):
        await bench.authenticate(thief)
    assert await bench.told() == []
    assert await bench.value("SELECT generation FROM enrollments WHERE apple_id = $1", other.udid) == 1


async def test_the_certificate_of_a_former_life_is_worth_nothing(bench: Workbench) -> None:
    device = await bench.enroll()
    former = device.certificate
    device.certificate = bench.certificate("its next life")
    await bench.authenticate(device)
    await bench.token_update(device)
    with pytest.raises(DeviceRefused):
        await bench.idle(Device(device.udid, former))


async def test_a_former_certificate_is_refused_also_where_it_waited_for_the_next_life_to_begin(
    bench: Workbench,
) -> None:
    device = await bench.enroll()
    former = Device(device.udid, device.certificate)
    device.certificate = bench.certificate("its next life")
    async with bench.database.transaction() as tx:
        again = read(Authenticate, {"Topic": TOPIC})
        await enrolling.authenticate(tx, device.speaker, again, device.certificate, correlation_id=new_id())
        late = [
            asyncio.create_task(bench.token_update(former)),
            asyncio.create_task(bench.report(former, new_id())),
        ]
        await until_waiting(bench, len(late))
    assert [type(each) for each in await asyncio.gather(*late, return_exceptions=True)] == [
        CertificateNotBound,
        CertificateNotBound,
    ]
    assert await bench.value("SELECT state FROM enrollments") == "authenticated"


async def until_waiting(bench: Workbench, count: int) -> None:
    """Wait until so many statements wait for a lock."""
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    async with asyncio.timeout(20):
        while await bench.value(waiting) < count:
            await asyncio.sleep(0.01)


async def test_conformance_11_a_checked_out_device_is_told_and_never_pushed_again(bench: Workbench) -> None:
    device = await bench.enroll()
    await bench.ask_install(device)
    await bench.check_out(device)
    ended, answer = await bench.told()
    assert ended.event.reason is UnenrollReason.REMOVED
    assert answer.event.cause == "not_enrolled"
    assert await bench.next_push(device) is None
    await bench.check_out(device)
    assert await bench.told() == []
    with pytest.raises(DeviceRefused):
        await bench.idle(device)


async def test_a_device_that_returns_after_a_check_out_begins_a_new_generation(bench: Workbench) -> None:
    device = await bench.enroll()
    await bench.check_out(device)
    await bench.told()
    await bench.authenticate(device)
    assert await bench.told() == []
    await bench.token_update(device)
    [told] = await bench.told()
    assert told.event.generation == 2


async def test_a_user_channel_that_returns_is_of_its_devices_present_life(bench: Workbench) -> None:
    device = await bench.enroll()
    user = Speaker(UDID=device.udid, UserID="USER-1")
    await bench.token_update(device, speaker=user)
    await bench.authenticate(device)
    ended = "SELECT state = 'unenrolled' AND push_token IS NULL FROM enrollments WHERE apple_id = $1"
    assert await bench.value(ended, user.channel)
    await bench.token_update(device)
    await bench.token_update(device, speaker=user)
    living = "SELECT generation FROM enrollments WHERE apple_id = $1 AND state = 'enrolled'"
    assert await bench.value(living, user.channel) == 2


async def test_a_large_unlock_token_keeps_no_device_from_enrolling(bench: Workbench) -> None:
    device = await bench.enroll()
    await bench.token_update(device, UnlockToken=b"x" * 20_000)


async def test_secrets_rest_sealed(bench: Workbench) -> None:
    device = await bench.enroll()
    await bench.token_update(device, UnlockToken=b"unlock me")
    row = await bench.value(
        "SELECT push_token || push_magic || unlock_token FROM enrollments WHERE id = $1", device.enrollment_id
    )
    for secret in (b"\x01\x02" * 16, f"magic-{device.udid}".encode(), b"unlock me"):
        assert secret not in row


async def test_a_token_update_without_unlock_token_keeps_the_stored_one(bench: Workbench) -> None:
    device = await bench.enroll()
    await bench.token_update(device, UnlockToken=b"unlock me")
    await bench.token_update(device)
    sealed = await bench.value("SELECT unlock_token FROM enrollments WHERE id = $1", device.enrollment_id)
    opened = bench.means.vault.open(
        sealed, table="enrollments", column="unlock_token", row_id=device.enrollment_id
    )
    assert opened.reveal() == b"unlock me"


async def test_the_simulated_mac_is_known_by_its_name(bench: Workbench) -> None:
    device = await bench.enroll("mac", settle=False, ProductName="MacBookPro18,3", OSVersion="13.6")
    [told] = await bench.told()
    assert told.event.platform is Platform.MACOS
    assert device.enrollment_id == told.event.enrollment_id
