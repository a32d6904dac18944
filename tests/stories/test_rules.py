"""The help page's rules, R1 to R13, told through HTTP as far as this road carries them."""

from functools import partial
from pathlib import Path

import pytest

from local.simulators.authority import Authority, Identity
from local.simulators.devices import DeviceFleet, FleetSettings, Kind
from local.system import System
from tests.stories.stage import Stage, device, group

INSTALL = "InstallApplication"


async def test_r1_a_book_goes_to_no_device_neither_alone_nor_in_a_group(stage: Stage) -> None:
    book = await stage.title(5, product_type="Book", supported_platforms=["iOS"])
    [ipad] = await stage.ipads(1)
    alone = await stage.assign(book, device(ipad))
    together = await stage.assign(book, group(await stage.group([ipad])))
    assert (alone["refusal"], together["refusal"]) == ("kind_not_for_device", "kind_not_for_device")
    assert alone["explanation"] == "this kind of asset is for people, not for devices"
    assert (await stage.sights.pool(book.asset_id))["available"] == 5
    assert await stage.sights.lives(ipad, book.asset_id) == []


async def test_r1_an_app_for_ios_alone_reaches_the_ipads_of_a_mixed_group_and_refuses_the_macs(
    stage: Stage,
) -> None:
    app = await stage.title(5, supported_platforms=["iOS"])
    ipads, macs = await stage.ipads(2), await stage.macs(2)
    assignment = await stage.assign(app, group(await stage.group(ipads + macs)))
    assert assignment["counts"] == {
        "targets": 4,
        "requested": 2,
        "covered": 0,
        "refused": {"platform_not_supported": 2},
    }
    await stage.settles(assignment, installed=2, refused=2)
    await stage.agrees(app, held=2, free=3)


@pytest.mark.parametrize("kind", [Kind.IOS, Kind.MAC])
async def test_r1_a_device_whose_system_is_too_old_gets_no_vpp_app(
    stage: Stage, system: System, kind: Kind
) -> None:
    app = await stage.title(5)
    async with DeviceFleet(_old_fleet(system)) as fleet:
        [aged] = fleet.create(1, kind=kind, serial_prefix="OLD")
        aged.serial = f"OLD{kind.upper()}"
        assert await fleet.enroll([aged]) == []
        await stage.known([aged.serial])
        answer = await stage.assign(app, device(aged.serial))
        assert answer["refusal"] == "os_too_old"


@pytest.mark.parametrize("kind", ["user", "user_group"])
async def test_r2_people_as_targets_are_allowed_but_not_offered_yet(stage: Stage, kind: str) -> None:
    app = await stage.title(1)
    body = {"name": "Camille Martin", "mail_address": "camille@school.example", "locale": "fr"}
    person = await stage.doors.assignment.post("/v1/users", body)
    answer = await stage.assign(app, {"type": kind, "id": person["id"]})
    assert answer["refusal"] == "not_offered_yet"


async def test_r2_who_joins_a_group_gets_the_app_and_who_leaves_loses_it(stage: Stage) -> None:
    app = await stage.title(5)
    first, second = await stage.ipads(2)
    school = await stage.group([first])
    assignment = await stage.assign(app, group(school))
    await stage.settles(assignment, installed=1)
    await stage.join(school, [second])
    await stage.settles(assignment, installed=2)
    await stage.leave(school, [first])
    await stage.settles(assignment, installed=1, revoked=1)
    await stage.sees(partial(stage.have_it, [first], app), 0)
    assert await stage.have_it([second], app) == 1
    await stage.agrees(app, held=1, free=4)


async def test_r2_who_leaves_one_of_two_groups_keeps_the_app_and_its_licence(stage: Stage) -> None:
    app = await stage.title(5)
    [ipad] = await stage.ipads(1)
    groups = [await stage.group([ipad]) for _ in range(2)]
    assignments = [await stage.assign(app, group(each)) for each in groups]
    assert [each["counts"]["requested"] for each in assignments] == [1, 0]
    assert assignments[1]["counts"]["covered"] == 1
    for each in assignments:
        await stage.settles(each, installed=1)
    await stage.leave(groups[0], [ipad])
    assert await stage.lives(ipad, app) == [("installed", None)]
    await stage.agrees(app, held=1, free=4)
    await stage.leave(groups[1], [ipad])
    await stage.settles(assignments[1], revoked=1)
    await stage.agrees(app, held=0, free=5)


async def test_r2_an_empty_group_is_accepted_and_its_first_member_gets_the_app(stage: Stage) -> None:
    app = await stage.title(1)
    empty = await stage.group([])
    assignment = await stage.assign(app, group(empty))
    assert assignment["refusal"] is None
    assert assignment["counts"]["targets"] == 0
    [ipad] = await stage.ipads(1)
    await stage.join(empty, [ipad])
    await stage.settles(assignment, installed=1)


async def test_r3_a_device_that_left_the_server_is_refused_and_gets_the_app_when_it_returns(
    stage: Stage,
) -> None:
    app = await stage.title(2)
    [ipad] = await stage.ipads(1)
    school = await stage.group([ipad])
    await stage.doors.devices.post("/devices/checkout", {"serials": [ipad]})
    await stage.sees(partial(_enrolled, stage, ipad), expected=False)
    assert (await stage.assign(app, device(ipad)))["refusal"] == "not_enrolled"
    assignment = await stage.assign(app, group(school))
    assert assignment["counts"]["refused"] == {"not_enrolled": 1}
    assert (await stage.sights.pool(app.asset_id))["held"] == 0
    await stage.doors.enroll([ipad])
    await stage.settles(assignment, installed=1)
    await stage.agrees(app, held=1, free=1)


async def test_r3_a_device_that_checks_out_gives_its_licence_back(stage: Stage) -> None:
    app = await stage.title(1)
    [ipad] = await stage.ipads(1)
    assignment = await stage.assign(app, device(ipad))
    await stage.settles(assignment, installed=1)
    await stage.doors.devices.post("/devices/checkout", {"serials": [ipad]})
    await stage.settles(assignment, revoked=1)
    assert await stage.lives(ipad, app) == [("revoked", "unenrolled")]
    await stage.agrees(app, held=0, free=1)


async def test_r4_purchases_appear_with_their_counts_once_the_content_token_is_installed(
    stage: Stage,
) -> None:
    before = {each["id"] for each in await stage.sights.assets()}
    app = await stage.title(7)
    assert app.asset_id not in before
    pool = await stage.sights.pool(app.asset_id)
    assert (pool["capacity"], pool["available"], pool["held"]) == (7, 7, 0)
    assert pool["library_id"] == stage.library_id
    shown = await stage.doors.assignment.get(f"/v1/assets/{app.asset_id}")
    assert shown["kind"] == "vpp_app"
    assert [(each["library_id"], each["available"]) for each in shown["pools"]] == [(stage.library_id, 7)]


async def test_r4_what_no_content_token_speaks_for_is_unknown(stage: Stage) -> None:
    [ipad] = await stage.ipads(1)
    nowhere = "5f1b3a3e-4a0e-5a55-9c6e-2f4f0f4f8a10"
    answer = await stage.ask({"asset_id": nowhere, "target": device(ipad)})
    assert answer["assignments"][0]["refusal"] == "unknown_asset"


async def test_r5_the_count_goes_down_while_apple_is_still_silent_and_comes_back_after_the_revoke(
    stage: Stage,
) -> None:
    app = await stage.title(10)
    ipads = await stage.ipads(4)
    await stage.doors.apple.patch("/knobs", {"hold_events": True})
    try:
        assignment = await stage.assign(app, group(await stage.group(ipads)))
        await stage.sees(partial(stage.sights.available, app.asset_id), 6)
        assert (await stage.sights.at_apple(app.adam_id))["assignedCount"] == 0
        assert await stage.have_it(ipads, app) == 0
    finally:
        await stage.doors.apple.patch("/knobs", {"hold_events": False})
    await stage.settles(assignment, installed=4)
    await stage.agrees(app, held=4, free=6)
    await stage.revoke(assignment)
    await stage.settles(assignment, revoked=4)
    await stage.agrees(app, held=0, free=10)
    await stage.sees(partial(stage.have_it, ipads, app), 0)


async def test_r7_r8_a_manual_device_licence_must_be_acknowledged_and_nothing_is_pushed(stage: Stage) -> None:
    app = await stage.title(3)
    [ipad] = await stage.ipads(1)
    unseen = await stage.assign(app, device(ipad), install_mode="manual")
    assert unseen["refusal"] == "manual_device_licence_unseen"
    assert "Purchased" in unseen["explanation"]
    known = await stage.assign(app, device(ipad), install_mode="manual", acknowledge_no_catalogue=True)
    await stage.settles(known, available=1)
    await stage.agrees(app, held=1, free=2)
    why = (await stage.entitlement(ipad, app))["why"]
    assert why["blocking"] is None
    assert "nothing is pushed" in why["explanation"]
    assert (await stage.entitlement(ipad, app))["deliveries"] == []
    enrollment = (await stage.sights.devices(serial_number=ipad))[0]["id"]
    assert (
        await stage.doors.mdm_push.every("/v1/commands", enrollment_id=enrollment, request_type=INSTALL) == []
    )


async def test_r8_automatic_means_downloaded_with_no_interaction(stage: Stage) -> None:
    app = await stage.title(1)
    [mac] = await stage.macs(1)
    assignment = await stage.assign(app, device(mac), install_mode="automatic")
    await stage.settles(assignment, installed=1)
    assert await stage.have_it([mac], app) == 1


async def test_r7_r8_a_device_that_was_offered_the_app_is_sent_it_once_somebody_wants_it_automatic(
    stage: Stage,
) -> None:
    app = await stage.title(1)
    [ipad] = await stage.ipads(1)
    manual = await stage.assign(app, device(ipad), install_mode="manual", acknowledge_no_catalogue=True)
    await stage.settles(manual, available=1)
    automatic = await stage.assign(app, group(await stage.group([ipad])))
    await stage.settles(automatic, installed=1)
    await stage.agrees(app, held=1, free=0)


async def test_r9_r13_a_licence_by_apple_id_is_not_offered_yet(stage: Stage) -> None:
    app = await stage.title(1)
    [ipad] = await stage.ipads(1)
    answer = await stage.assign(app, device(ipad), assignment_mode="apple_id")
    assert answer["refusal"] == "not_offered_yet"


async def test_r13_a_device_licence_is_given_to_the_serial_number_and_asks_for_no_person(
    stage: Stage,
) -> None:
    app = await stage.title(1)
    [ipad] = await stage.ipads(1)
    assignment = await stage.assign(app, device(ipad), assignment_mode="device")
    await stage.settles(assignment, installed=1)
    apple = await stage.sights.at_apple(app.adam_id)
    assert (apple["serialNumbers"], apple["clientUserIds"]) == ([ipad], [])


async def test_r12_people_are_made_locally_and_known_by_what_was_said_of_them(stage: Stage) -> None:
    [mac] = await stage.macs(1)
    owned = [(await stage.sights.devices(serial_number=mac))[0]["id"]]
    said = {"name": "Zoé Dubois", "mail_address": "zoe.dubois@school.example", "locale": "en"}
    made = await stage.doors.assignment.post("/v1/users", {**said, "enrollment_ids": owned})
    kept = await stage.doors.assignment.get(f"/v1/users/{made['id']}")
    assert kept == made
    assert {**said, "enrollment_ids": owned, "state": "active", "version": 1}.items() <= kept.items()


async def _enrolled(stage: Stage, serial: str) -> bool:
    [found] = await stage.sights.devices(serial_number=serial)
    return bool(found["enrolled"])


def _old_fleet(system: System) -> FleetSettings:
    """Return the settings of a fleet just below OS X 10.11 and iOS 9, at the same server and push service."""
    box = Path(system.ca_file).parent
    mdm = f"{system.services['mdm-push'].url}/mdm"
    return FleetSettings(
        checkin_url=f"{mdm}/checkin",
        connect_url=f"{mdm}/connect",
        topic=system.cards["apns"]["topic"],
        authority=Authority.load(Identity(system.ca_file.read_bytes(), (box / "authority.key").read_bytes())),
        apns=system.cards["apns"]["admin_url"],
        server_ca_file=system.ca_file,
        mac_version="10.10.5",
        ios_version="8.4.1",
    )
