from datetime import timedelta

import pytest

from shared.events.mdm_push import InstallCompleted, InstallFailed, RemovalCompleted, RemovalFailed
from shared.events.words import AssetKind, NothingRemoved
from shared.ids import new_id
from tests.mdm_push.workbench import ADAM_ID, BUNDLE, Workbench


async def test_an_install_is_queued_and_the_device_woken_at_once(bench: Workbench) -> None:
    device = await bench.enroll()
    await bench.ask_install(device)
    assert await bench.next_push(device) == 0
    command = await bench.idle(device)
    assert command is not None
    assert command.request_type == "InstallApplication"
    assert command.arguments == {
        "iTunesStoreID": int(ADAM_ID),
        "Options": {"PurchaseMethod": 1},
        "ManagementFlags": 1,
    }
    assert await bench.told() == []


async def test_a_mac_from_macos_11_installs_as_managed_an_older_one_plainly(bench: Workbench) -> None:
    new = await bench.enroll("new", ProductName="Mac14,2", OSVersion="13.6")
    old = await bench.enroll("old", ProductName="MacPro6,1", OSVersion="10.15.7")
    await bench.ask_install(new, old)
    managed, plain = await bench.idle(new), await bench.idle(old)
    assert managed is not None
    assert managed.arguments["InstallAsManaged"] is True
    assert plain is not None
    assert not {"InstallAsManaged", "ManagementFlags"} & set(plain.arguments)


async def test_an_ask_for_nobody_is_answered_not_enrolled(bench: Workbench) -> None:
    [target] = await bench.ask_install(new_id())
    [told] = await bench.told()
    assert isinstance(told.event, InstallFailed)
    assert told.event.cause == "not_enrolled"
    await bench.ask_removal([target])
    [told] = await bench.told()
    assert isinstance(told.event, RemovalCompleted)
    assert told.event.was is NothingRemoved.NOT_ENROLLED


async def test_what_is_not_carried_yet_is_answered_so(bench: Workbench) -> None:
    device = await bench.enroll()
    await bench.ask_install(device, kind=AssetKind.IN_HOUSE_APP, adam_id=None)
    [told] = await bench.told()
    assert told.event.cause == "not_offered_yet"


async def test_an_ask_that_is_repeated_is_queued_once_and_answered_with_its_end(bench: Workbench) -> None:
    device = await bench.enroll()
    targets = await bench.ask_install(device)
    await bench.ask_install(targets=targets)
    assert await bench.told() == []
    command = await bench.idle(device)
    assert command is not None
    assert await bench.report(device, command, Identifier=BUNDLE, State="Managed") is None
    [told] = await bench.told()
    assert isinstance(told.event, InstallCompleted)
    await bench.ask_install(targets=targets)
    [again] = await bench.told()
    assert again.event == told.event
    assert await bench.idle(device) is None


async def test_scenario_20_a_removal_of_what_was_never_installed_gets_its_answer(bench: Workbench) -> None:
    device = await bench.enroll()
    [target] = bench.targets(device)
    await bench.ask_removal([target])
    [told] = await bench.told()
    assert isinstance(told.event, RemovalCompleted)
    assert told.event.was is NothingRemoved.NOT_INSTALLED


async def test_a_removal_withdraws_an_install_that_was_not_handed_out(bench: Workbench) -> None:
    device = await bench.enroll()
    targets = await bench.ask_install(device)
    await bench.ask_removal(targets)
    [told] = await bench.told()
    assert isinstance(told.event, RemovalCompleted)
    assert told.event.was is NothingRemoved.WITHDRAWN
    assert await bench.idle(device) is None
    await bench.ask_install(targets=targets)
    [late_copy] = await bench.told()
    assert late_copy.event == told.event


async def test_a_newer_install_withdraws_an_older_one_and_both_are_answered(bench: Workbench) -> None:
    device = await bench.enroll()
    [first] = await bench.ask_install(device)
    [second] = await bench.ask_install(device)
    [told] = await bench.told()
    assert (told.event.delivery_id, told.event.cause) == (first.delivery_id, "withdrawn")
    command = await bench.idle(device)
    assert command is not None
    await bench.report(device, command, State="Managed")
    [told] = await bench.told()
    assert told.event.delivery_id == second.delivery_id


async def test_scenario_06_a_removal_waits_for_an_install_that_is_with_the_device(bench: Workbench) -> None:
    device = await bench.enroll()
    [target] = await bench.ask_install(device)
    install = await bench.idle(device)
    assert install is not None
    await bench.ask_removal([target])
    assert await bench.told() == []
    again = await bench.idle(device)
    assert again == install
    removal = await bench.report(device, install, Identifier=BUNDLE, State="Installing")
    assert removal is not None
    assert (removal.request_type, removal.arguments) == ("RemoveApplication", {"Identifier": BUNDLE})
    assert await bench.report(device, removal) is None
    [told] = await bench.told()
    assert isinstance(told.event, RemovalCompleted)
    assert told.event.was is None


async def test_scenario_06_not_now_on_a_removal_never_overtakes_the_next_install(bench: Workbench) -> None:
    device = await bench.enroll()
    [first] = await bench.ask_install(device)
    install = await bench.idle(device)
    assert install is not None
    await bench.report(device, install, Identifier=BUNDLE, State="Managed")
    await bench.ask_removal([first])
    removal = await bench.idle(device)
    assert removal is not None
    await bench.report(device, removal, "NotNow")
    [second] = await bench.ask_install(device)
    offered = await bench.idle(device)
    assert offered == removal, "the removal was handed out: the new install waits for its report"
    next_install = await bench.report(device, removal)
    assert next_install is not None
    assert next_install.request_type == "InstallApplication"
    await bench.report(device, next_install, Identifier=BUNDLE, State="Managed")
    events = [told.event for told in await bench.told()]
    assert [type(event) for event in events] == [InstallCompleted, RemovalCompleted, InstallCompleted]
    assert events[-1].delivery_id == second.delivery_id


async def test_a_removal_fails_on_a_mac_that_cannot_remove(bench: Workbench) -> None:
    device = await bench.enroll("mac", ProductName="MacPro6,1", OSVersion="10.15.7")
    targets = await bench.ask_install(device)
    command = await bench.idle(device)
    assert command is not None
    await bench.report(device, command, Identifier=BUNDLE, State="Managed")
    await bench.told()
    await bench.ask_removal(targets)
    [told] = await bench.told()
    assert isinstance(told.event, RemovalFailed)
    assert told.event.cause == "os_too_old"


async def test_a_wiped_device_is_installed_again_for_the_same_delivery(bench: Workbench) -> None:
    device = await bench.enroll()
    targets = await bench.ask_install(device)
    command = await bench.idle(device)
    assert command is not None
    await bench.report(device, command, Identifier=BUNDLE, State="Managed")
    await bench.authenticate(device)
    await bench.token_update(device)
    question = await bench.idle(device)
    assert question is not None
    await bench.report(device, question)
    await bench.told()
    await bench.ask_install(targets=targets)
    command = await bench.idle(device)
    assert command is not None
    assert command.request_type == "InstallApplication"


async def test_a_thousand_targets_are_queued_in_a_handful_of_statements(bench: Workbench) -> None:
    async with bench.database.transaction() as tx:
        await tx.raw.execute(
            """
            INSERT INTO enrollments (id, apple_id, generation, version, state, kind, platform, os_version,
                                     supervised, topic, created_at)
            SELECT gen_random_uuid(), 'U' || n, 1, 1, 'enrolled', 'device', 'iOS', '17.5', true, 't', now()
            FROM generate_series(1, 1000) n
            """
        )
    async with bench.database.reading() as tx:
        ids = [row["id"] for row in await tx.raw.fetch("SELECT id FROM enrollments")]
    statements = 0

    def count(_: object) -> None:
        nonlocal statements
        statements += 1

    async with bench.database.transaction() as tx:
        raw = tx.raw
        raw.add_query_logger(count)
    targets = await bench.ask_install(*ids)
    raw.remove_query_logger(count)
    assert 5 < statements <= 16
    assert len(targets) == await bench.value("SELECT count(*) FROM commands WHERE state = 'queued'")
    assert (
        await bench.value("SELECT count(*) FROM push_state WHERE next_push_at <= $1", bench.clock.now())
        == 1000
    )


@pytest.mark.parametrize("copies", [1, 2])
async def test_scenario_05_orders_of_install_and_removal_end_the_same(bench: Workbench, copies: int) -> None:
    device = await bench.enroll()
    [target] = await bench.ask_install(device)
    await bench.ask_removal([target])
    for _ in range(copies):
        await bench.ask_install(targets=[target])
        await bench.ask_removal([target])
    assert await bench.idle(device) is None
    assert {type(told.event) for told in await bench.told()} == {RemovalCompleted}
    bench.clock.turn(timedelta(days=1).total_seconds())
    assert await bench.next_push(device) is None
