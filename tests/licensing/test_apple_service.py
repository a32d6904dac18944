"""What `service/config` says is obeyed: addresses, limits, lengths and the pace, as they change."""

import asyncio

import httpx2
import pytest

from licensing.apple import Apple
from licensing.apple.libraries import NOTIFICATION_TYPES
from licensing.apple.service import Lengths, read_service_config
from licensing.model import Access, AppleRefused, Limits, MdmIdentity, Subscription
from shared.errors import Unavailable
from shared.vault import Secret
from tests.licensing.office import AppleAdmin
from tests.licensing.scripted import ACCESS, BASE, Answers, Scripted, answering, raising


async def test_service_config_is_read_again_after_five_minutes() -> None:
    scripted = Scripted(answering(eventId="e"))
    for turned, reads in ((0, 1), (299, 1), (1, 2)):
        scripted.clock.turn(turned)
        await scripted.write()
        assert scripted.paths().count("service/config") == reads
    scripted.apple.forget_limits()
    await scripted.write()
    assert scripted.paths().count("service/config") == 3


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://vpp.itunes.apple.com/mdm/v3/status", True),
        ("https://other.apple.com/status", True),
        ("http://vpp.itunes.apple.com/status", False),
        ("https://apple.com.evil.test/status", False),
        ("https://evil.test/vpp.itunes.apple.com", False),
        ("https://notapple.com/status", False),
        ("https://user@evil.test#.apple.com", False),
        ("https://vpp.itunes.apple.com:8443/status", False),
        ("https://[broken", False),
        ("https://vpp.itunes.apple.com:port/status", False),
        (None, False),
    ],
)
def test_only_apples_hosts_are_called(url: str | None, kept: bool) -> None:  # noqa: FBT001 - a table's column
    config = read_service_config({"urls": {"eventStatus": url}}, BASE, overridden=False)
    assert config.urls["eventStatus"] == (url if kept else f"{BASE}/status")


def test_an_override_names_the_one_host_that_is_called() -> None:
    urls = {
        "eventStatus": "https://apple.test/new/status",
        "getAssets": "https://vpp.itunes.apple.com/assets",
    }
    config = read_service_config({"urls": urls}, BASE, overridden=True)
    assert config.urls["eventStatus"] == "https://apple.test/new/status"
    assert config.urls["getAssets"] == f"{BASE}/assets"


SMALL = {
    "maxAssets": 2,
    "maxClientUserIds": 3,
    "maxSerialNumbers": 4,
    "maxUsers": 5,
    "maxMdmIdLength": 6,
    "maxMdmNameLength": 7,
    "maxMdmMetadataLength": 8,
    "maxNotificationLength": 9,
    "maxRequestPerSecond": 10,
}


def test_every_limit_is_read() -> None:
    config = read_service_config({"limits": SMALL}, BASE, overridden=False)
    assert config.limits == Limits(serial_numbers=4, client_user_ids=3, users=5, assets=2)
    assert config.lengths == Lengths(mdm_id=6, mdm_name=7, mdm_metadata=8, notification=9)
    assert config.requests_per_second == 10


@pytest.mark.parametrize(
    "said", [None, [], {}, dict.fromkeys(SMALL, "many"), dict.fromkeys(SMALL, 0), dict.fromkeys(SMALL, True)]
)
def test_missing_limits_have_apples_samples(said: object) -> None:
    config = read_service_config({"limits": said}, BASE, overridden=False)
    assert config.limits == Limits(serial_numbers=1000, client_user_ids=1000, users=100, assets=25)
    assert config.lengths == Lengths(mdm_id=100, mdm_name=100, mdm_metadata=255, notification=512)
    assert config.requests_per_second == 15


async def test_limits_and_pace_are_obeyed_as_they_change() -> None:
    scripted = Scripted(answering(eventId="e"))
    scripted.config = answering(limits=SMALL)
    assert (await scripted.apple.turn(ACCESS)).serial_numbers == 4
    scripted.config = answering(limits={**SMALL, "maxSerialNumbers": 2, "maxRequestPerSecond": 3})
    scripted.clock.turn(299)
    assert (await scripted.apple.turn(ACCESS)).serial_numbers == 4
    scripted.clock.turn(1)
    assert (await scripted.apple.turn(ACCESS)).serial_numbers == 2
    assert scripted.budget.rates == [10, 10, 3]


async def test_what_we_say_of_ourselves_is_cut_to_apples_lengths() -> None:
    scripted = Scripted(answering(uId="lib"))
    scripted.config = answering(limits={**SMALL, "maxNotificationLength": 40})
    subscription = Subscription("https://door.test/apple", Secret(b"secret"))
    await scripted.apple.claim(ACCESS, MdmIdentity("our-id", "Our long name", "https://here"), subscription)
    said = scripted.said()
    assert said["mdmInfo"] == {"id": "our-id", "name": "Our lon", "metadata": "https://"}
    assert said["notificationUrl"] == "https://door.test/apple"
    assert said["notificationTypes"] == list(NOTIFICATION_TYPES)


@pytest.mark.parametrize(
    ("url", "secret"), [("https://door.test/" + "x" * 30, b"s"), ("https://d", b"s" * 41)]
)
async def test_a_subscription_that_is_too_long_is_not_even_sent(url: str, secret: bytes) -> None:
    scripted = Scripted(answering(uId="lib"))
    scripted.config = answering(limits={"maxNotificationLength": 40})
    with pytest.raises(AppleRefused) as caught:
        await scripted.apple.claim(ACCESS, MdmIdentity("id", "n", "m"), Subscription(url, Secret(secret)))
    assert caught.value.failure.number == 9711
    assert "client/config" not in scripted.paths()


async def test_apple_accepts_what_was_cut_to_its_limits(
    apple: Apple, admin: AppleAdmin, access: Access
) -> None:
    await admin.knobs(limits={"maxMdmNameLength": 3, "maxMdmMetadataLength": 4})
    config = await apple.claim(access, MdmIdentity("our-id", "Us and others", "here and there"), None)
    assert config.mdm_info == MdmIdentity("our-id", "Us ", "here")
    assert (await apple.turn(access)).serial_numbers == 1000


@pytest.mark.parametrize(
    "failing",
    [
        answering(503),
        answering(400, errorNumber=9602),
        answering(200, errorNumber=9603),
        raising(httpx2.ConnectError("refused")),
    ],
)
async def test_a_former_service_config_serves_while_a_new_one_cannot_be_had(failing: Answers) -> None:
    scripted = Scripted(answering(eventId="e"))
    await scripted.write()
    scripted.config = failing
    scripted.clock.turn(301)
    for turned, reads in ((0, 2), (29, 2), (1, 3)):
        scripted.clock.turn(turned)
        assert await scripted.write() == "e"
        assert scripted.paths().count("service/config") == reads


async def test_service_config_is_not_read_again_before_apple_wants_it() -> None:
    scripted = Scripted(answering(eventId="e"))
    await scripted.write()
    scripted.config = answering(503, headers={"retry-after": "100"})
    scripted.clock.turn(301)
    for turned, reads in ((0, 2), (99, 2), (1, 3)):
        scripted.clock.turn(turned)
        await scripted.write()
        assert scripted.paths().count("service/config") == reads


async def test_the_first_service_config_too_is_not_asked_for_before_apple_wants_it() -> None:
    scripted = Scripted(answering(eventId="e"))
    scripted.config = answering(503, headers={"retry-after": "100"})
    for turned, reads in ((0, 1), (99, 1), (1, 2)):
        scripted.clock.turn(turned)
        with pytest.raises(Unavailable) as caught:
            await scripted.write()
        assert scripted.paths().count("service/config") == reads
        assert caught.value.retry_after_seconds == (1 if turned == 99 else 100)


async def test_a_service_that_moved_is_not_asked_where_to_before_apple_wants_it() -> None:
    scripted = Scripted(answering(eventId="e"))
    await scripted.write()
    scripted.config = answering(503, headers={"retry-after": "100"})
    for turned, reads in ((0, 2), (99, 2), (1, 3)):
        scripted.clock.turn(turned)
        scripted.apple.forget_limits()
        await scripted.write()
        assert scripted.paths().count("service/config") == reads


@pytest.mark.parametrize("failing", [answering(503), answering(400, errorNumber=9602)])
async def test_without_any_service_config_nothing_is_sent(failing: Answers) -> None:
    scripted = Scripted(answering(eventId="e"))
    scripted.config = failing
    with pytest.raises(Unavailable):
        await scripted.write()
    assert scripted.paths() == ["service/config"]


async def test_all_who_need_it_at_once_read_service_config_once() -> None:
    scripted = Scripted(answering(eventId="e"))
    await asyncio.gather(*(scripted.write() for _ in range(20)))
    assert scripted.paths().count("service/config") == 1


@pytest.mark.parametrize(
    ("template", "kept"),
    [
        (
            "https://buy.itunes.apple.com/x/associateVPPUserWithITSAccount?inviteCode=%25inviteCode%25&mt=8",
            True,
        ),
        ("https://buy.itunes.apple.com/x?inviteCode=", False),
        ("http://buy.itunes.apple.com/x?inviteCode=%25inviteCode%25", False),
        ("https://buy.itunes.apple.com.evil.test/x?inviteCode=%25inviteCode%25", False),
        ("https://evil.test/x?inviteCode=%25inviteCode%25", False),
        (None, False),
        (5, False),
    ],
)
async def test_an_invitation_is_only_of_apples_own_address(template: object, kept: bool) -> None:  # noqa: FBT001 - a table's column
    scripted = Scripted(answering(), base_url=None)
    scripted.config = answering(urls={"invitationEmail": template})
    code = Secret(b"se&cret/1")
    if kept:
        link = (await scripted.apple.invitation_link(code)).reveal().decode()
        assert link.endswith("?inviteCode=se%26cret%2F1&mt=8")
    else:
        with pytest.raises(Unavailable) as caught:
            await scripted.apple.invitation_link(code)
        assert "cret" not in str(caught.value)


async def test_an_overridden_base_names_the_one_host_that_invites() -> None:
    scripted = Scripted(answering())
    for host, kept in (("apple.test", True), ("buy.itunes.apple.com", False)):
        scripted.config = answering(urls={"invitationEmail": f"https://{host}/x?inviteCode=%25inviteCode%25"})
        scripted.apple.forget_limits()
        if kept:
            assert (
                await scripted.apple.invitation_link(Secret(b"c"))
            ).reveal() == b"https://apple.test/x?inviteCode=c"
        else:
            with pytest.raises(Unavailable):
                await scripted.apple.invitation_link(Secret(b"c"))
