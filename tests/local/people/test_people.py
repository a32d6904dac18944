"""People with letters from a real mailbox, and what they do at a tiny Apple."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from typing import Any

import aiosmtplib
import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from local.simulators.mailbox import MailboxSimulator
from local.simulators.people import Habit, PeopleSettings, PeopleSimulator
from local.simulators.people.reading import find_link
from local.simulators.serving import Serving
from tests.local.people.tiny_apple import TinyApple

ANNA, BEN = "anna@school.example", "ben@school.example"


@pytest.fixture
def apple() -> TinyApple:
    return TinyApple()


@pytest.fixture
async def mailbox() -> AsyncIterator[MailboxSimulator]:
    async with MailboxSimulator() as simulator:
        yield simulator


@asynccontextmanager
async def living(apple: TinyApple, mailbox: MailboxSimulator, **knobs: Any) -> AsyncIterator[PeopleSimulator]:
    door = await Serving.start(apple.app())
    settings = PeopleSettings(
        mailbox_admin_url=mailbox.admin_url,
        apple_url=f"http://127.0.0.1:{door.port}",
        look_seconds=0.02,
        retry_seconds=0.02,
        **knobs,
    )
    async with PeopleSimulator(settings) as simulator:
        yield simulator
    await door.stop()


@pytest.fixture
async def people(apple: TinyApple, mailbox: MailboxSimulator) -> AsyncIterator[PeopleSimulator]:
    async with living(apple, mailbox) as simulator:
        yield simulator


async def write(mailbox: MailboxSimulator, to: str, link: str) -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "it@school.example", to, "Your apps"
    message.set_content(f"Please open\n\n{link}\n\nand sign in.\n")
    await aiosmtplib.send(message, hostname="127.0.0.1", port=mailbox.port, start_tls=False)


async def tell(people: PeopleSimulator, address: str, **said: Any) -> None:
    async with httpx2.AsyncClient(base_url=people.admin_url, trust_env=False) as admin:
        assert (await admin.put(f"/people/{address}", json=said)).status_code == 200


async def answers(people: PeopleSimulator, address: str, count: int) -> list[Any]:
    """Wait for what somebody did, as the admin door tells it."""
    async with httpx2.AsyncClient(base_url=people.admin_url, trust_env=False) as admin, asyncio.timeout(20):
        while True:
            found: list[Any] = (await admin.get(f"/people/{address}")).json()["answers"]
            if len(found) >= count:
                return found
            await asyncio.sleep(0.02)


async def test_who_follows_an_invitation_joins_with_their_own_account(
    people: PeopleSimulator, mailbox: MailboxSimulator, apple: TinyApple
) -> None:
    await write(mailbox, ANNA, apple.invite("one"))
    assert await answers(people, ANNA, 1) == [{"source": "letter 1", "outcome": "joined", "account": ANNA}]
    assert apple.joined == {"one": ANNA}


@pytest.mark.parametrize(
    ("habit", "outcome", "account", "asked"),
    [
        ("ignores", "ignored", None, []),
        ("wrong_account", "joined", "private.anna@icloud.example", ["POST one"]),
        ("shares_account", "joined", "family@school.example", ["POST one"]),
        ("stalls", "stalled", None, ["GET one"]),
    ],
)
async def test_people_do_what_they_are_used_to(
    people: PeopleSimulator,
    mailbox: MailboxSimulator,
    apple: TinyApple,
    habit: str,
    outcome: str,
    account: str | None,
    asked: list[str],
) -> None:
    await tell(people, ANNA, habit=habit)
    await write(mailbox, ANNA, apple.invite("one"))
    assert await answers(people, ANNA, 1) == [{"source": "letter 1", "outcome": outcome, "account": account}]
    assert apple.asked == asked
    assert apple.joined == ({} if account is None else {"one": account})


async def test_two_who_share_an_account_cannot_both_join(
    people: PeopleSimulator, mailbox: MailboxSimulator, apple: TinyApple
) -> None:
    for address, code in ((ANNA, "one"), (BEN, "two")):
        await tell(people, address, habit="shares_account")
        await write(mailbox, address, apple.invite(code))
    assert (await answers(people, ANNA, 1))[0]["outcome"] == "joined"
    assert (await answers(people, BEN, 1))[0]["outcome"] == "refused"


async def test_who_stalls_at_the_terms_may_agree_later(
    people: PeopleSimulator, mailbox: MailboxSimulator, apple: TinyApple
) -> None:
    await tell(people, ANNA, habit="stalls", account="anna@icloud.example")
    async with httpx2.AsyncClient(base_url=people.admin_url, trust_env=False) as admin:
        assert (await admin.post(f"/people/{ANNA}/join", json={})).status_code == 409
        await write(mailbox, ANNA, apple.invite("one"))
        await answers(people, ANNA, 1)
        agreed = (await admin.post(f"/people/{ANNA}/join", json={})).json()
        again = (await admin.post(f"/people/{ANNA}/join", json={"account": "x@y.example"})).json()
        told = [answer["outcome"] for _, answer in (await admin.get("/trace")).json()]
    assert agreed == {"source": "letter 1", "outcome": "joined", "account": "anna@icloud.example"}
    assert again["outcome"] == "gone"
    assert told == ["stalled", "joined", "gone"]


async def test_somebody_heeds_only_the_reminder(
    people: PeopleSimulator, mailbox: MailboxSimulator, apple: TinyApple
) -> None:
    await tell(people, ANNA, letters_ignored=1)
    for _ in range(2):
        await write(mailbox, ANNA, apple.invite("one"))
    outcomes = [answer["outcome"] for answer in await answers(people, ANNA, 2)]
    assert outcomes == ["ignored", "joined"]


async def test_a_letter_is_read_only_after_a_while(
    people: PeopleSimulator, mailbox: MailboxSimulator, apple: TinyApple
) -> None:
    await tell(people, ANNA, delay_seconds=0.5)
    for address, code in ((ANNA, "one"), (BEN, "two")):
        await write(mailbox, address, apple.invite(code))
    await answers(people, BEN, 1)
    assert apple.joined == {"two": BEN}
    assert (await answers(people, ANNA, 1))[0]["outcome"] == "joined"


async def test_where_nobody_answers_the_link_is_opened_again(
    people: PeopleSimulator, mailbox: MailboxSimulator, apple: TinyApple
) -> None:
    apple.troubles += [503, 500]
    await write(mailbox, ANNA, apple.invite("one"))
    assert (await answers(people, ANNA, 1))[0]["outcome"] == "joined"
    assert apple.asked == ["POST one"] * 3


async def test_letters_without_an_invitation_are_nobodys_business(
    people: PeopleSimulator, mailbox: MailboxSimulator, apple: TinyApple
) -> None:
    await write(mailbox, ANNA, "https://school.example/news?code=1")
    await write(mailbox, BEN, apple.invite("one"))
    await answers(people, BEN, 1)
    assert list(people.people) == [BEN]


async def test_an_invitation_on_a_screen_is_followed_by_whoever_holds_the_device(
    apple: TinyApple, mailbox: MailboxSimulator
) -> None:
    shown = [{"number": 1, "serial": "IPAD01", "holder": ANNA, "link": apple.invite("one")}]

    async def invitations(request: Request) -> JSONResponse:
        after = int(request.query_params["after"])
        return JSONResponse([each for each in shown if int(str(each["number"])) > after])

    screens = await Serving.start(Starlette(routes=[Route("/invitations", invitations)]))
    async with living(apple, mailbox, devices_admin_url=f"http://127.0.0.1:{screens.port}") as people:
        joined = {"source": "device IPAD01", "outcome": "joined", "account": ANNA}
        assert await answers(people, ANNA, 1) == [joined]
    await screens.stop()


def test_a_link_is_found_in_html_alone() -> None:
    link = "https://buy.example/join?mt=8&inviteCode=abc"
    page = f'<a href="{link.replace("&", "&amp;")}">Join</a>'
    assert find_link({"text": None, "html": page}) == link


async def test_shares_of_habits_are_drawn_from_the_seed_by_address(
    apple: TinyApple, mailbox: MailboxSimulator
) -> None:
    habits = {Habit.FOLLOWS: 0.5, Habit.IGNORES: 0.5}
    addresses = [f"p{number}@school.example" for number in range(40)]
    drawn = []
    for seed, order in ((1, addresses), (1, addresses[::-1]), (2, addresses)):
        async with living(apple, mailbox, habits=habits, seed=seed) as people:
            found = {address: people.person(address).habit for address in order}
        drawn.append(found)
    assert drawn[0] == drawn[1] != drawn[2]
    assert set(drawn[0].values()) == set(habits)


async def test_the_door_refuses_what_it_does_not_know(people: PeopleSimulator) -> None:
    async with httpx2.AsyncClient(base_url=people.admin_url, trust_env=False) as admin:
        assert (await admin.put(f"/people/{ANNA}", json={"habit": "dances"})).status_code == 422
        assert (await admin.put(f"/people/{ANNA}", json={"mood": "good"})).status_code == 422
        assert [each["address"] for each in (await admin.get("/people")).json()] == []
