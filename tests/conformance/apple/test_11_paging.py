"""Pages and versions. Apple: "Using paginated endpoints"."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.conformance.apple.api import APP, OTHER, Admin, Api, serials


@pytest.mark.parametrize("path", ["assets", "assignments", "users"])
def test_pages_begin_at_zero_and_end_where_no_next_one_is_named(api: Api, path: str) -> None:
    """Section 11: the last page is totalPages - 1."""
    numbers = []
    for page in api.pages(path):
        numbers.append(page["currentPageIndex"])
        assert page["size"] == len(page[path])
        assert page["versionId"]
        last = page["totalPages"]
    assert numbers == list(range(last))


def test_pages_put_together_are_the_whole_list(admin: Admin) -> None:
    """Section 11: the page size is the server's choice."""
    api = admin.library({"adam_id": APP["adamId"], "total": 50}, {"adam_id": OTHER["adamId"], "total": 50})
    api.associate(serials(25), APP, OTHER)
    admin.turn(page_size=20)
    pages = list(api.pages("assignments"))
    assert [(page["currentPageIndex"], page["size"], page["totalPages"]) for page in pages] == [
        (0, 20, 3),
        (1, 20, 3),
        (2, 10, 3),
    ]
    rows = [row for page in pages for row in page["assignments"]]
    assert {(row["adamId"], row["serialNumber"]) for row in rows} == {
        (asset["adamId"], serial) for asset in (APP, OTHER) for serial in serials(25)
    }


@pytest.mark.parametrize(("index", "number"), [("9999", 9650), ("-1", 9650), ("two", 9602)])
@pytest.mark.parametrize("path", ["assets", "assignments", "users"])
def test_a_page_that_is_none_is_refused(api: Api, path: str, index: str, number: int) -> None:
    """Section 12: 9650 out of range, 9602 no number."""
    answer = api.ask("GET", path, params={"pageIndex": index})
    assert (answer.status_code, answer.json()["errorNumber"]) == (400, number)


@pytest.mark.parametrize("path", ["assets", "assignments", "users"])
def test_an_empty_list_is_one_empty_page(admin: Admin, path: str) -> None:
    """Section 11: without a next one."""
    made = admin.tell("POST", "/libraries", {})
    answer = Api(admin.service, made["token"]).get(path)
    assert (answer[path], answer["totalPages"], answer["size"]) == ([], 1, 0)
    assert "nextPageIndex" not in answer


def test_the_list_may_change_between_two_pages(admin: Admin) -> None:
    """Section 11: versionId says so."""
    api = admin.library()
    api.associate(serials(4))
    admin.turn(page_size=3)
    first = api.get("assignments", pageIndex=0)
    api.disassociate(serials(2))
    second = api.ask("GET", "assignments", params={"pageIndex": 1}).json()
    assert second.get("errorNumber") == 9650
    assert api.get("assignments")["versionId"] != first["versionId"]


def read_page(api: Api, path: str = "assignments", page: int | None = 0) -> int:
    """Return the HTTP status of one page, or of a list where none is named."""
    params = {} if page is None else {"pageIndex": page}
    answer = api.ask(
        "GET", path, params=params, headers={"Connection": "close"}
    )  # leaves the client as it was
    if answer.status_code == 429:
        assert answer.json()["errorNumber"] == 9646
    return answer.status_code


@pytest.mark.parametrize("path", ["assets", "assignments", "users"])
def test_five_pages_are_read_at_once_and_no_sixth(admin: Admin, path: str) -> None:
    """Section 11: five at most. Apple names no number for the sixth; the box takes 9646 with 429."""
    api = admin.library()
    admin.turn(page_seconds=2)
    with ThreadPoolExecutor(8) as readers:
        statuses = list(readers.map(lambda _: read_page(api, path), range(8)))
    assert sorted(statuses) == [200] * 5 + [429] * 3
    admin.turn(page_seconds=0)
    assert read_page(api, path) == 200


def test_only_pages_of_one_token_are_counted_together(admin: Admin) -> None:
    """Section 11: what names no page is a question, and another token has five of its own."""
    api = admin.library()
    admin.turn(page_seconds=0.5, pages_at_once=1)
    second = admin.token(api)
    with ThreadPoolExecutor(4) as readers:
        asked = [
            readers.submit(read_page, *args)
            for args in ((api,), (second,), (api, "assignments", None), (api, "assets", None))
        ]
        assert [each.result() for each in asked] == [200] * 4


def test_who_never_reads_more_than_five_is_never_refused(admin: Admin) -> None:
    """Section 11: a page is counted no longer than its reader waits for it."""
    api = admin.library()
    with ThreadPoolExecutor(5) as readers:
        assert set(readers.map(lambda _: read_page(api), range(100))) == {200}
