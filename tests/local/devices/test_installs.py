"""Installs as they go in time: every stage, every end, and what users and stores do to them."""

import hashlib
import plistlib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from local.simulators.devices import Device, Kind, LicenseCheck, Mischief, Question, Script
from local.simulators.serving import Serving
from tests.local.devices.tiny_mdm import TinyMdm
from tests.local.devices.visits import ADAM_ID, APP, Fleets, Push, Visits, enrolled

SLOW = {"queued_seconds": 10.0, "prompt_seconds": 10.0, "validating_seconds": 10.0, "install_seconds": 10.0}


def of_age(seconds: float | None) -> LicenseCheck:
    """Know a license of this age, or none."""

    async def check(question: Question) -> float | None:
        return seconds if question.serial is not None else None

    return check


async def over_https(app: Starlette, folder: Path) -> Serving:
    return await Serving.start(app, certificate_file=folder / "server.pem", key_file=folder / "server.key")


async def seen(visits: Visits, device: Device, *, times: int) -> list[str | None]:
    """Look at the one app every ten seconds."""
    words = []
    for _ in range(times):
        words.append(await visits.status(device))
        visits.fleet.advance(10)
    return words


@pytest.mark.parametrize(
    ("kind", "stages"),
    [
        (Kind.IOS, ["Queued", "ValidatingPurchase", "Installing", "Managed", "Managed"]),
        (Kind.MAC, ["Queued", "ValidatingPurchase", "Installing", "Managed", "Managed"]),
        (Kind.IPHONE, ["Queued", "Prompting", "ValidatingPurchase", "Installing", "Managed"]),
    ],
)
async def test_an_install_goes_through_its_stages(
    fleets: Fleets, mdm: TinyMdm, push: Push, kind: Kind, stages: list[str]
) -> None:
    async with fleets(**SLOW) as fleet:
        visits = Visits(fleet, mdm, push)
        device = await enrolled(fleet, kind)
        assert (await visits.installs(device, InstallAsManaged=True))["State"] == "Queued"
        assert await seen(visits, device, times=5) == stages


@pytest.mark.parametrize(
    ("mischief", "words"),
    [
        (Mischief.REJECT_INSTALL, ["Queued", "Prompting", "UserRejected", None]),
        (Mischief.FAIL_INSTALL, ["Queued", "Prompting", "ValidatingPurchase", "Installing", "Failed", None]),
    ],
)
async def test_a_bad_end_is_told_once(
    fleets: Fleets, mdm: TinyMdm, push: Push, mischief: Mischief, words: list[str | None]
) -> None:
    async with fleets(**SLOW) as fleet:
        visits = Visits(fleet, mdm, push)
        phone = await enrolled(fleet, Kind.IPHONE)
        fleet.script([phone], Script(Counter({mischief: 1})))
        await visits.installs(phone)
        assert await seen(visits, phone, times=len(words)) == words
        assert phone.apps == {}


async def test_an_app_on_its_way_is_not_queued_again(fleets: Fleets, mdm: TinyMdm, push: Push) -> None:
    async with fleets(**SLOW) as fleet:
        visits = Visits(fleet, mdm, push)
        ipad = await enrolled(fleet, Kind.IOS)
        await visits.installs(ipad)
        again = await visits.installs(ipad)
        assert (again["RejectionReason"], again["ErrorChain"][0]["ErrorCode"]) == ("AppAlreadyQueued", 12026)


async def test_an_update_prompts_and_a_user_may_say_no_to_it(
    fleets: Fleets, mdm: TinyMdm, push: Push
) -> None:
    async with fleets(prompt_seconds=10.0, update_seconds=10.0) as fleet:
        visits = Visits(fleet, mdm, push)
        phone = await enrolled(fleet, Kind.IPHONE)
        await visits.installs(phone)
        fleet.advance(20)
        await visits.installs(phone)
        assert await seen(visits, phone, times=3) == ["PromptingForUpdate", "Updating", "Managed"]
        fleet.script([phone], Script(Counter({Mischief.REJECT_UPDATE: 1})))
        await visits.installs(phone)
        assert await seen(visits, phone, times=3) == ["PromptingForUpdate", "UpdateRejected", "Managed"]


async def test_an_app_of_the_users_own_is_taken_over_only_if_asked(
    fleets: Fleets, mdm: TinyMdm, push: Push
) -> None:
    async with fleets(prompt_seconds=10.0) as fleet:
        visits = Visits(fleet, mdm, push)
        phone, ipad = await enrolled(fleet, Kind.IPHONE), await enrolled(fleet, Kind.IOS)
        fleet.hands.get_app([phone, ipad], ADAM_ID)
        assert (await visits.installs(phone))["RejectionReason"] == "AppAlreadyInstalled"
        fleet.script([phone], Script(Counter({Mischief.REJECT_MANAGEMENT: 1})))
        for device in (phone, ipad):
            await visits.installs(device, ChangeManagementState="Managed")
        assert await visits.status(ipad) == "Managed"
        assert await seen(visits, phone, times=3) == ["PromptingForManagement", "ManagementRejected", None]
        assert phone.apps[APP].status(fleet.clock.now()) == "Installed"


async def test_what_users_get_or_delete_themselves_is_told(fleets: Fleets, mdm: TinyMdm, push: Push) -> None:
    async with fleets(**SLOW) as fleet:
        visits = Visits(fleet, mdm, push)
        [first, second] = fleet.create(2)
        await fleet.enroll([first, second])
        for ipad in (first, second):
            await visits.installs(ipad)
        fleet.hands.get_app([first], ADAM_ID)
        assert [await visits.status(first), await visits.status(first)] == ["UserInstalledApp", None]
        fleet.advance(60)
        fleet.hands.delete_app([second], APP)
        assert await seen(visits, second, times=2) == ["ManagedButUninstalled"] * 2
        listed = await visits.does(second, "InstalledApplicationList")
        assert listed["InstalledApplicationList"] == []
        assert (await visits.installs(second))["State"] == "Queued"


async def test_an_iphone_without_an_account_asks_for_one(fleets: Fleets, mdm: TinyMdm, push: Push) -> None:
    async def check(question: Question) -> float | None:
        return 0.0 if question.account == "anna@icloud.example" else None

    async with fleets(license_check=check) as fleet:
        visits = Visits(fleet, mdm, push)
        [anna, ben] = fleet.create(2, kind=Kind.IPHONE)
        await fleet.enroll([anna, ben])
        for phone in (anna, ben):
            assert (await visits.installs(phone))["State"] == "PromptingForLogin"
            await fleet.hands.sign_in(
                [phone], "anna@icloud.example" if phone is anna else "ben@icloud.example"
            )
        assert [await visits.status(anna), await visits.status(ben)] == ["Managed", "Failed"]


async def test_a_young_license_is_not_known_to_the_store_yet(
    fleets: Fleets, mdm: TinyMdm, push: Push
) -> None:
    lag: dict[str, Any] = {"license_lag_seconds": 60.0, "license_lag_errors": (506, 9610, 12064)}
    async with fleets(license_check=of_age(59), **lag) as fleet:
        ipads = fleet.create(20)
        await fleet.enroll(ipads)
        reports = [await Visits(fleet, mdm, push).installs(ipad) for ipad in ipads]
        assert {report["ErrorChain"][0]["ErrorCode"] for report in reports} == {506, 9610, 12064}
    async with fleets(license_check=of_age(60), **lag) as fleet:
        ipad = await enrolled(fleet, Kind.IOS)
        assert (await Visits(fleet, mdm, push).installs(ipad))["Status"] == "Acknowledged"


@pytest.mark.parametrize(
    ("said", "lag", "words"),
    [
        (b"", 0.0, ["Acknowledged"]),
        (b"", 60.0, ["Error", "Acknowledged"]),
        (b'{"held_seconds": 59}', 60.0, ["Error", "Error"]),
        (b'{"held_seconds": 60}', 60.0, ["Acknowledged"]),
    ],
)
async def test_a_license_is_as_old_as_apple_says_or_else_as_it_was_seen(
    fleets: Fleets, mdm: TinyMdm, push: Push, said: bytes, lag: float, words: list[str]
) -> None:
    async def known(_: Request) -> Response:
        return Response(said)

    store = await Serving.start(Starlette(routes=[Route("/licenses", known)]))
    url = f"http://127.0.0.1:{store.port}/licenses"
    async with fleets(license_check=url, license_lag_seconds=lag) as fleet:
        visits = Visits(fleet, mdm, push)
        ipad = await enrolled(fleet, Kind.IOS)
        for word in words:
            assert (await visits.installs(ipad))["Status"] == word
            fleet.advance(61)
    await store.stop()


@pytest.mark.parametrize(
    ("promised", "ended"),
    [
        ({"sha256": hashlib.sha256(b"package").hexdigest()}, "Acknowledged"),
        ({"sha256": hashlib.sha256(b"another").hexdigest()}, "Error"),
        (
            {
                "sha256s": [hashlib.sha256(part).hexdigest() for part in (b"pack", b"age")],
                "sha256-size": 4,
            },
            "Acknowledged",
        ),
        ({"sha256s": [hashlib.sha256(b"pack").hexdigest()], "sha256-size": 4}, "Error"),
        ({"md5": "0" * 32}, "Error"),
        ({}, "Acknowledged"),
    ],
)
async def test_an_in_house_app_is_installed_where_its_checksums_agree(
    visits: Visits, mac: Device, ipad: Device, folder: Path, promised: dict[str, Any], ended: str
) -> None:
    async def serve(request: Request) -> Response:
        package = {"kind": "software-package", "url": str(request.url_for("package")), **promised}
        metadata = {"bundle-identifier": "example.inhouse", "kind": "software", "title": "In-house"}
        return Response(plistlib.dumps({"items": [{"assets": [package], "metadata": metadata}]}))

    async def package(_: Request) -> Response:
        return Response(b"package")

    routes = [Route("/manifest", serve), Route("/package", package, name="package")]
    serving = await over_https(Starlette(routes=routes), folder)
    url = f"https://localhost:{serving.port}/manifest"
    reports = [
        await visits.does(ipad, "InstallApplication", ManifestURL=url),
        await visits.does(mac, "InstallEnterpriseApplication", ManifestURL=url, InstallAsManaged=True),
    ]
    await serving.stop()
    assert [report["Status"] for report in reports] == [ended, ended]
    assert [list(device.apps) for device in (ipad, mac)] == [["example.inhouse"] * (ended != "Error")] * 2


async def test_books_come_and_go(fleets: Fleets, mdm: TinyMdm, push: Push, folder: Path) -> None:
    async def book(_: Request) -> Response:
        return Response(b"%PDF")

    shelf = await over_https(Starlette(routes=[Route("/book", book)]), folder)
    own = {"MediaURL": f"https://localhost:{shelf.port}/book", "PersistentID": "example.book", "Kind": "pdf"}
    async with fleets() as fleet:
        visits = Visits(fleet, mdm, push)
        ipad = await enrolled(fleet, Kind.IOS)
        bought = await visits.does(ipad, "InstallMedia", MediaType="Book", iTunesStoreID=7)
        assert bought["RejectionReason"] == "PurchaseNotFound"
        await fleet.hands.sign_in([ipad], "anna@icloud.example")
        for _ in range(2):
            await visits.does(ipad, "InstallMedia", MediaType="Book", iTunesStoreID=7)
            await visits.does(ipad, "InstallMedia", MediaType="Book", **own)
        listed = await visits.does(ipad, "ManagedMediaList")
        assert listed["Books"] == [
            {"iTunesStoreID": 7, "State": "Installed"},
            {"PersistentID": "example.book", "State": "Managed", "Kind": "pdf"},
        ]
        await visits.does(ipad, "RemoveMedia", MediaType="Book", iTunesStoreID="7")
        await fleet.check_out([ipad])
        assert ipad.books == []
    await shelf.stop()


async def test_rates_are_drawn_alike_from_the_same_seed(fleets: Fleets, mdm: TinyMdm, push: Push) -> None:
    rates = {"rejection_rate": 0.3, "failure_rate": 0.3, "not_now_rate": 0.3}
    runs = []
    for seed in (1, 1, 2):
        mdm.reset()
        async with fleets(seed=seed, **rates) as fleet:
            phones = fleet.create(15, kind=Kind.IPHONE)
            for phone in phones:
                await fleet.enroll([phone])
                visits = Visits(fleet, mdm, push)
                await visits.installs(phone)
                await visits.does(phone, "ManagedApplicationList")
            runs.append((list(fleet.trace.exchanges), [phone.token for phone in phones]))
    assert runs[0] == runs[1] != runs[2]
    assert {exchange.outcome for exchange in runs[0][0]} >= {"ok", "NotNow", "Acknowledged Installing"}
