import asyncio
from datetime import timedelta
from typing import Any

import pytest

from shared.events.mdm_push import DeviceUpdated, InstallCompleted, InstallFailed
from shared.ids import new_id
from tests.mdm_push.workbench import ASSET, BUNDLE, Workbench


async def test_conformance_10_an_empty_queue_hands_out_nothing_and_ends_the_wake_ups(
    bench: Workbench,
) -> None:
    device = await bench.enroll()
    assert await bench.idle(device) is None
    assert await bench.next_push(device) is None


async def test_conformance_07_a_command_stays_at_the_head_until_it_is_reported(bench: Workbench) -> None:
    device = await bench.enroll()
    await bench.ask_install(device)
    first = await bench.idle(device)
    assert first is not None
    assert await bench.idle(device) == first
    assert await bench.report(device, first, State="Managed") is None


async def test_two_simultaneous_polls_get_the_same_head(bench: Workbench) -> None:
    device = await bench.enroll()
    await bench.ask_install(device)
    heads = await asyncio.gather(*(bench.idle(device) for _ in range(5)))
    assert len({head.id for head in heads if head is not None}) == 1
    assert None not in heads


async def test_conformance_08_a_report_that_comes_twice_counts_once(bench: Workbench) -> None:
    device = await bench.enroll()
    await bench.ask_install(device)
    command = await bench.idle(device)
    assert command is not None
    await asyncio.gather(*(bench.report(device, command, State="Managed") for _ in range(3)))
    await bench.report(device, command, "Error", ErrorChain=[{"ErrorCode": 1}])
    assert [type(told.event) for told in await bench.told()] == [InstallCompleted]
    assert await bench.value("SELECT state FROM commands WHERE id = $1", command.id) == "acknowledged"


async def test_a_report_of_an_unknown_command_is_accepted(bench: Workbench) -> None:
    device = await bench.enroll()
    assert await bench.report(device, new_id()) is None
    assert await bench.told() == []


async def test_a_device_reports_on_its_own_commands_only(bench: Workbench) -> None:
    mine, other = await bench.enroll("mine"), await bench.enroll("other")
    await bench.ask_install(other)
    command = await bench.idle(other)
    assert command is not None
    await bench.report(mine, command, State="Managed")
    assert await bench.told() == []
    assert await bench.idle(other) == command


async def test_conformance_09_not_now_is_offered_again_by_the_next_idle_only(bench: Workbench) -> None:
    device = await bench.enroll()
    await bench.ask_install(device)
    await bench.ask_install(device, asset_id=new_id(), adam_id="42")
    first = await bench.idle(device)
    assert first is not None
    second = await bench.report(device, first, "NotNow")
    assert second is not None
    assert second.id != first.id
    assert await bench.report(device, second, State="Managed") is None
    assert await bench.idle(device) == first


@pytest.mark.parametrize(("times", "seconds"), [(1, 900), (2, 3600), (3, 14_400), (4, 86_400), (5, 86_400)])
async def test_a_device_that_says_not_now_is_woken_later_and_later(
    bench: Workbench, times: int, seconds: float
) -> None:
    device = await bench.enroll()
    await bench.ask_install(device)
    for _ in range(times):
        command = await bench.idle(device)
        assert command is not None
        assert await bench.report(device, command, "NotNow") is None
    wait = await bench.next_push(device)
    assert wait is not None
    assert 0.8 * seconds <= wait <= 1.2 * seconds


async def test_a_device_that_falls_silent_in_mid_command_is_woken_again(bench: Workbench) -> None:
    device = await bench.enroll()
    await bench.ask_install(device)
    async with bench.database.transaction() as tx:
        await tx.raw.execute("UPDATE push_state SET next_push_at = NULL")
    assert await bench.idle(device) is not None
    assert await bench.next_push(device) == 600


async def test_what_is_queued_while_an_empty_answer_is_on_its_way_keeps_its_wake_up(bench: Workbench) -> None:
    device = await bench.enroll()
    async with bench.database.transaction() as tx:
        await tx.raw.execute(
            "UPDATE push_state SET next_push_at = $1", bench.clock.now() + timedelta(hours=1)
        )
    async with bench.database.transaction() as tx:
        await bench.hear_install(tx, bench.targets(device))
        polling = asyncio.create_task(bench.idle(device))
        while not await tx.raw.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"):
            await asyncio.sleep(0.01)
    assert await polling is None
    assert await bench.next_push(device) == 0


async def test_an_install_counts_once_the_list_says_managed(bench: Workbench) -> None:
    device = await bench.enroll("mac", ProductName="Mac14,2", OSVersion="13.6")
    await bench.ask_install(device)
    command = await bench.idle(device)
    assert command is not None
    assert await bench.report(device, command) is None
    assert await bench.told() == []
    assert await bench.next_push(device) == 5
    assert await bench.idle(device) is None
    bench.clock.turn(5)
    listing = await bench.idle(device)
    assert listing is not None
    assert listing.request_type == "ManagedApplicationList"
    await bench.report(device, listing, ManagedApplicationList={BUNDLE: {"Status": "Installing"}})
    assert await bench.told() == []
    bench.clock.turn(15)
    listing = await bench.idle(device)
    assert listing is not None
    await bench.report(device, listing, ManagedApplicationList={BUNDLE: {"Status": "Managed"}})
    assert [type(told.event) for told in await bench.told()] == [InstallCompleted]
    assert await bench.value("SELECT identifier FROM apps WHERE asset_id = $1", ASSET) == BUNDLE
    assert await bench.next_push(device) is None


async def test_a_mac_that_says_managed_before_the_download_is_not_believed(bench: Workbench) -> None:
    device = await bench.enroll("mac", ProductName="Mac14,2", OSVersion="13.6")
    await bench.ask_install(device)
    command = await bench.idle(device)
    assert command is not None
    await bench.report(device, command, Identifier=BUNDLE, State="Managed")
    assert await bench.told() == []
    bench.clock.turn(5)
    listing = await bench.idle(device)
    assert listing is not None
    await bench.report(device, listing, ManagedApplicationList={BUNDLE: {"Status": "Managed"}})
    assert [type(told.event) for told in await bench.told()] == [InstallCompleted]


async def test_conformance_20_a_status_that_is_told_once_is_stored_when_it_comes(bench: Workbench) -> None:
    device = await bench.enroll()
    await bench.ask_install(device)
    command = await bench.idle(device)
    assert command is not None
    await bench.report(device, command, Identifier=BUNDLE, State="Prompting")
    bench.clock.turn(5)
    listing = await bench.idle(device)
    assert listing is not None
    await bench.report(device, listing, ManagedApplicationList={BUNDLE: {"Status": "UserRejected"}})
    [told] = await bench.told()
    assert isinstance(told.event, InstallFailed)
    assert told.event.cause == "user_rejected"
    assert await bench.value("SELECT status FROM apps WHERE asset_id = $1", ASSET) == "UserRejected"


async def test_a_look_that_the_device_put_off_keeps_no_later_install_waiting(bench: Workbench) -> None:
    device = await bench.enroll()
    await bench.ask_install(device)
    first = await bench.idle(device)
    assert first is not None
    await bench.report(device, first)
    bench.clock.turn(5)
    await bench.ask_install(device, asset_id=new_id(), adam_id="42")
    look = await bench.idle(device)
    assert look is not None
    assert look.request_type == "ManagedApplicationList"
    second = await bench.report(device, look, "NotNow")
    assert second is not None
    assert second.request_type == "InstallApplication"
    assert await bench.report(device, second) is None
    assert await bench.next_push(device) == 5


@pytest.mark.parametrize("code", [9610, 506, 12064])
async def test_a_licence_that_apple_does_not_know_yet_is_tried_again(bench: Workbench, code: int) -> None:
    device = await bench.enroll()
    await bench.ask_install(device)
    for wait in (60, 300, 900, 3600):
        command = await bench.idle(device)
        assert command is not None
        error = {"ErrorDomain": "ASDServerErrorDomain", "ErrorCode": code, "LocalizedDescription": "x"}
        assert await bench.report(device, command, "Error", ErrorChain=[error]) is None
        assert await bench.next_push(device) == wait
        assert await bench.idle(device) is None
        bench.clock.turn(wait)
    assert await bench.told() == []
    command = await bench.idle(device)
    assert command is not None
    await bench.report(device, command, "Error", ErrorChain=[error])
    [told] = await bench.told()
    assert (told.event.cause, told.event.error_code) == ("license_not_found", code)


async def test_any_other_error_ends_the_install_with_its_code(bench: Workbench) -> None:
    device = await bench.enroll()
    await bench.ask_install(device)
    command = await bench.idle(device)
    assert command is not None
    error = {"ErrorDomain": "MCMDMErrorDomain", "ErrorCode": 12021, "LocalizedDescription": "Ada's iPad"}
    await bench.report(device, command, "Error", ErrorChain=[error])
    [told] = await bench.told()
    assert (told.event.cause, told.event.error_domain, told.event.error_code) == (
        "device_error",
        "MCMDMErrorDomain",
        12021,
    )
    assert "Ada" not in told.event.model_dump_json()


async def test_a_command_the_device_cannot_read_is_not_sent_again(bench: Workbench) -> None:
    device = await bench.enroll()
    await bench.ask_install(device)
    command = await bench.idle(device)
    assert command is not None
    assert await bench.report(device, command, "CommandFormatError") is None
    [told] = await bench.told()
    assert told.event.cause == "command_format_error"


async def test_an_app_that_never_shows_is_given_up_after_a_day(bench: Workbench) -> None:
    device = await bench.enroll()
    await bench.ask_install(device)
    command = await bench.idle(device)
    assert command is not None
    await bench.report(device, command, Identifier=BUNDLE, State="Installing")
    looks = 0
    while not (told := await bench.told()):
        wait = await bench.next_push(device)
        assert wait is not None
        bench.clock.turn(wait)
        listing = await bench.idle(device)
        assert listing is not None
        await bench.report(device, listing, ManagedApplicationList={})
        looks += 1
    assert told[0].event.cause == "not_verified"
    assert 24 < looks < 40


async def test_before_macos_11_an_install_is_proven_by_what_is_installed(bench: Workbench) -> None:
    device = await bench.enroll("mac", ProductName="MacPro6,1", OSVersion="10.15.7")
    await bench.ask_install(device)
    command = await bench.idle(device)
    assert command is not None
    await bench.report(device, command, Identifier=BUNDLE, State="Queued")
    strangers: list[dict[str, Any]] = [
        {"Identifier": "com.stranger"},
        {"Name": "no bundle id"},
        {"Identifier": 7},
    ]
    for apps in (strangers, [*strangers, {"Identifier": BUNDLE, "Installing": True}]):
        bench.clock.turn(60)
        listing = await bench.idle(device)
        assert listing is not None
        assert (listing.request_type, listing.arguments) == ("InstalledApplicationList", {})
        await bench.report(device, listing, InstalledApplicationList=apps)
        assert await bench.told() == []
    bench.clock.turn(60)
    listing = await bench.idle(device)
    assert listing is not None
    await bench.report(device, listing, InstalledApplicationList=[*strangers, {"Identifier": BUNDLE}])
    [told] = await bench.told()
    assert isinstance(told.event, InstallCompleted)


async def test_a_list_of_installed_apps_gives_no_stranger_the_name_of_ours(bench: Workbench) -> None:
    device = await bench.enroll("mac", ProductName="MacPro6,1", OSVersion="10.15.7")
    await bench.ask_install(device)
    command = await bench.idle(device)
    assert command is not None
    await bench.report(device, command, State="Queued")
    bench.clock.turn(60)
    listing = await bench.idle(device)
    assert listing is not None
    await bench.report(device, listing, InstalledApplicationList=[{"Identifier": "com.stranger"}])
    assert await bench.told() == []


async def test_a_device_is_asked_about_itself_once_a_day_when_it_connects(bench: Workbench) -> None:
    device = await bench.enroll()
    assert await bench.idle(device) is None
    bench.clock.turn(24 * 3600)
    polls = await asyncio.gather(*(bench.idle(device) for _ in range(3)))
    assert {poll.request_type for poll in polls if poll is not None} == {"DeviceInformation"}
    [command, *_] = polls
    assert command is not None
    assert await bench.next_push(device) == 600, "it is here: it is woken only if it falls silent"
    assert await bench.report(device, command, QueryResponses={"OSVersion": "18.0"}) is None
    [told] = await bench.told()
    assert isinstance(told.event, DeviceUpdated)
    assert told.event.os_version == "18.0"
    assert await bench.idle(device) is None


async def test_the_daily_question_waits_behind_what_the_device_came_for(bench: Workbench) -> None:
    device = await bench.enroll()
    bench.clock.turn(24 * 3600)
    await bench.ask_install(device)
    command = await bench.idle(device)
    assert command is not None
    assert command.request_type == "InstallApplication"
    question = await bench.report(device, command, State="Managed")
    assert question is not None
    assert question.request_type == "DeviceInformation"


async def test_a_withdrawal_and_a_poll_at_once_never_both_win(bench: Workbench) -> None:
    for round_ in range(20):
        device = await bench.enroll(f"ipad-{round_}")
        targets = await bench.ask_install(device)
        handed_out, _ = await asyncio.gather(bench.idle(device), bench.ask_removal(targets))
        withdrawn = [told.event for told in await bench.told()]
        assert (handed_out is None) == bool(withdrawn)
