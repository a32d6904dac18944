"""The lists of libraries and of their content tokens: pages and filters."""

from typing import Any

import pytest

from shared.ids import new_id
from tests.licensing.conftest import Call
from tests.licensing.office import AppleAdmin, Office


async def every(call: Call, path: str, **query: Any) -> list[Any]:
    """Return a list, fetched in pages of one."""
    items: list[Any] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await call("GET", path, params={"limit": 1, **query, **cursor})).json()
        items += page["items"]
        assert len(page["items"]) <= 1
        if page["next_cursor"] is None:
            return items
        cursor = {"cursor": page["next_cursor"]}


async def test_libraries_come_in_pages_the_one_asked_first_at_the_head(
    school: Office, admin: AppleAdmin, call: Call
) -> None:
    first = await school.library()
    second, text = await admin.open_library(7)
    await call("POST", "/v1/content-tokens", json={"content_token": text})
    await call("PATCH", f"/v1/libraries/{first}", json={"preference": 5})
    assert [each["library_id"] for each in await every(call, "/v1/libraries")] == [second, first]
    assert [each["library_id"] for each in await every(call, "/v1/libraries", state="active")] == [first]
    assert await every(call, "/v1/libraries", state="fenced") == []


async def test_content_tokens_come_in_pages_the_newest_first(
    school: Office, admin: AppleAdmin, call: Call
) -> None:
    first = await school.library()
    renewal = (await admin.post(f"/libraries/{first}/tokens", {}))["token"]
    second, text = await admin.open_library(7)
    for token in (renewal, text):
        await call("POST", "/v1/content-tokens", json={"content_token": token})
    tokens = await every(call, "/v1/content-tokens")
    assert [each["library_id"] for each in tokens] == [second, first, first]
    assert tokens[2]["state"] == "replaced"
    of_first = await every(call, "/v1/content-tokens", library_id=first)
    assert [each["library_id"] for each in of_first] == [first, first]
    replaced = await every(call, "/v1/content-tokens", state="replaced")
    assert [each["content_token_id"] for each in replaced] == [tokens[2]["content_token_id"]]


async def test_a_replaced_content_token_does_not_show_what_became_of_its_renewal(
    school: Office, admin: AppleAdmin, call: Call
) -> None:
    first = await school.library()
    renewal = (await admin.post(f"/libraries/{first}/tokens", {}))["token"]
    await call("POST", "/v1/content-tokens", json={"content_token": renewal})
    async with school.database.transaction() as tx:
        await tx.raw.execute(
            "UPDATE library SET state = 'suspended', cause = 'token_expired', error_number = 9621"
        )
    newest, replaced = await every(call, "/v1/content-tokens")
    assert (newest["cause"], newest["error_number"]) == ("token_expired", 9621)
    assert (replaced["cause"], replaced["error_number"]) == (None, None)


async def test_a_state_or_a_cursor_that_is_none_is_named(school: Office, call: Call) -> None:
    assert await school.library()
    for path in ("/v1/libraries", "/v1/content-tokens"):
        for query in ({"state": "asleep"}, {"cursor": "made-up"}):
            answer = await call("GET", path, params=query)
            assert answer.status_code == 422
            assert next(iter(query)) in answer.json()["detail"]


@pytest.mark.parametrize("library_id", ["\0", "two words", "", "x" * 65])
async def test_what_can_be_no_librarys_id_is_named(school: Office, call: Call, library_id: str) -> None:
    assert await school.library()
    filtered = ("apple-users", "content-tokens", "malformed-notifications", "pools", "reconciliations")
    answers = [await call("GET", f"/v1/{path}", params={"library_id": library_id}) for path in filtered]
    said = {"library_id": library_id}
    answers += [await call("POST", f"/v1/apple-users/{new_id()}/reinvite", json=said)]
    answers += [await call("POST", "/v1/reconciliations", json=said)]
    assert [answer.status_code for answer in answers] == [422] * 7
    assert all("library_id" in answer.json()["fields"] for answer in answers)
