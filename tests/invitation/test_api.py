"""The HTTP door: lists with filters and pages, one invitation with its why, and who may ask."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from uuid import UUID

import httpx2
import pytest

from invitation import api
from local.simulators.identity import Grant, IdentitySimulator
from shared.auth import Verifier
from shared.clock import SystemClock
from shared.ids import new_id
from shared.web import Health, build_app
from tests.invitation.conftest import LIBRARY, Bus, associated, changed

Get = Callable[..., Awaitable[httpx2.Response]]


@pytest.fixture(scope="session")
async def identity() -> AsyncIterator[IdentitySimulator]:
    """Whoever signs tokens."""
    async with IdentitySimulator() as identity:
        yield identity


@pytest.fixture
async def get(bus: Bus, identity: IdentitySimulator) -> AsyncIterator[Get]:
    """`await get(path, scope=...)`: one GET with a token of that scope, without one where it is None."""

    async def nothing() -> Sequence[str]:
        return []

    async with httpx2.AsyncClient() as http:
        verifier = Verifier(
            {identity.url: identity.jwks_url}, audience="invitation", http=http, clock=SystemClock()
        )
        app = build_app(
            title="invitation",
            description="",
            verifier=verifier,
            health=Health(stuck=list, unready=nothing),
            routers=[api.router(bus.database)],
        )
        async with httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=app), base_url="http://invitation"
        ) as client:

            async def get(path: str, *, scope: str | None = "invitations:read") -> httpx2.Response:
                if scope is None:
                    return await client.get(path)
                token = identity.sign(Grant(subject="portal", scope=scope, audience="invitation"))
                return await client.get(path, headers={"authorization": f"Bearer {token}"})

            yield get


async def test_an_invitation_says_why_it_waits_and_what_happened_so_far(bus: Bus, get: Get) -> None:
    user = new_id()
    await bus.hear(bus.requested(user))
    story = (await get(f"/v1/invitations/{await _only_id(get)}")).json()
    assert (story["state"], story["user_id"], story["library_id"]) == ("waiting", str(user), LIBRARY)
    assert story["why"] == {
        "blocked_by": "person_not_heard_of",
        "attempts": 0,
        "next_action": "hear_of_the_person",
        "next_at": None,
    }
    await bus.hear(changed(user))
    await bus.hear(associated(user))
    story = (await get(f"/v1/invitations/{await _only_id(get)}")).json()
    assert [(step["kind"], step["state"]) for step in story["steps"]] == [
        ("requested", "waiting"),
        ("moved", "sending"),
        ("moved", "accepted"),
    ]
    assert story["why"]["next_action"] is None


async def test_a_letter_that_was_deferred_says_its_problem_and_when_it_is_tried_next(
    bus: Bus, get: Get
) -> None:
    user = new_id()
    await bus.hear(changed(user))
    await bus.hear(bus.requested(user))
    await bus.fetch("UPDATE work SET attempts = 2, problem = 'mail_deferred_451'")
    why = (await get(f"/v1/invitations/{await _only_id(get)}")).json()["why"]
    assert (why["blocked_by"], why["attempts"]) == ("mail_deferred_451", 2)
    assert why["next_action"] == "send_the_letter"
    assert why["next_at"] is not None


async def test_a_list_goes_through_its_pages_and_holds_each_invitation_once(bus: Bus, get: Get) -> None:
    await bus.hear(*(bus.requested(new_id()) for _ in range(5)))
    seen: list[str] = []
    cursor = ""
    while True:
        page = (await get(f"/v1/invitations?limit=2{cursor}")).json()
        seen += [item["invitation_id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert len(seen) == len(set(seen)) == 5
    assert seen == sorted(seen)


async def test_a_list_holds_what_matches_every_filter(bus: Bus, get: Get) -> None:
    known, unknown = new_id(), new_id()
    await bus.hear(changed(known))
    await bus.hear(bus.requested(known), bus.requested(unknown))
    assert await _users(get, "state=waiting") == [unknown]
    assert await _users(get, f"user_id={known}") == [known]
    assert await _users(get, f"user_id={known}&state=waiting") == []
    assert await _users(get, f"library_id={LIBRARY}") == [known, unknown]
    assert await _users(get, "library_id=other") == []


async def test_nothing_about_a_person_is_shown(bus: Bus, get: Get) -> None:
    user = new_id()
    await bus.hear(changed(user))
    await bus.hear(bus.requested(user))
    for path in ("/v1/invitations", f"/v1/invitations/{await _only_id(get)}"):
        text = (await get(path)).text
        assert not any(word in text for word in ("zoe", "Zo", "school.example", "c0ffee", "link"))


@pytest.mark.parametrize(
    ("path", "scope", "status", "slug"),
    [
        ("/v1/invitations", None, 401, "missing_token"),
        ("/v1/invitations", "licenses:read", 403, "insufficient_scope"),
        (f"/v1/invitations/{new_id()}", "invitations:read", 404, "unknown_invitation"),
        ("/v1/invitations/x", "invitations:read", 422, "invalid"),
        ("/v1/invitations?state=gone", "invitations:read", 422, "invalid"),
        ("/v1/invitations?limit=0", "invitations:read", 422, "invalid"),
        ("/v1/invitations?cursor=x", "invitations:read", 422, "invalid"),
        ("/v1/invitations?library_id=%00", "invitations:read", 422, "invalid"),
    ],
)
async def test_bad_questions_are_answered_with_their_problem(
    get: Get, path: str, scope: str | None, status: int, slug: str
) -> None:
    answer = await get(path, scope=scope)
    assert (answer.status_code, answer.json()["type"]) == (status, slug)
    assert answer.headers["content-type"] == "application/problem+json"


async def _only_id(get: Get) -> str:
    [item] = (await get("/v1/invitations")).json()["items"]
    return str(item["invitation_id"])


async def _users(get: Get, question: str) -> list[UUID]:
    page = (await get(f"/v1/invitations?{question}")).json()
    return [UUID(item["user_id"]) for item in page["items"]]
