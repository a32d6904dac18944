"""Bad input over HTTP, at every service: what is wrong is named, nothing changes, and nothing else waits."""

from typing import Any
from uuid import uuid4

import httpx2
import pytest

from local.doors import Door, Doors, sign_token
from local.plan import SERVICES
from tests.stories.stage import Stage, device, group

PROBLEM = "application/problem+json"
ID = "0193f0a2-6f6e-7d6c-9a39-0d4b6f2f6c01"
A_TARGET = {"type": "device", "id": ID}

MALFORMED: list[tuple[str, str, Any, str]] = [
    ("assignment", "/v1/assignments", {}, "assignments"),
    ("assignment", "/v1/assignments", {"assignments": []}, "assignments"),
    ("assignment", "/v1/assignments", {"assignments": "all"}, "assignments"),
    ("assignment", "/v1/assignments", {"assignments": [{"target": A_TARGET}]}, "assignments.0.asset_id"),
    (
        "assignment",
        "/v1/assignments",
        {"assignments": [{"asset_id": "none", "target": A_TARGET}]},
        "assignments.0.asset_id",
    ),
    (
        "assignment",
        "/v1/assignments",
        {"assignments": [{"asset_id": ID, "target": {"type": "everybody", "id": ID}}]},
        "assignments.0.target.type",
    ),
    (
        "assignment",
        "/v1/assignments",
        {"assignments": [{"asset_id": ID, "target": {**A_TARGET, "serial_number": "C02"}}]},
        "assignments.0.target",
    ),
    (
        "assignment",
        "/v1/assignments",
        {"assignments": [{"asset_id": ID, "target": A_TARGET, "install_mode": "by_force"}]},
        "assignments.0.install_mode",
    ),
    (
        "assignment",
        "/v1/assignments",
        {"assignments": [{"asset_id": ID, "target": A_TARGET, "expires_at": "2020-01-01T00:00:00Z"}]},
        "assignments.0.expires_at",
    ),
    (
        "assignment",
        "/v1/assignments",
        {"assignments": [{"asset_id": ID, "target": A_TARGET, "colour": "blue"}]},
        "assignments.0.colour",
    ),
    ("assignment", "/v1/device-groups", {"name": ""}, "name"),
    ("assignment", "/v1/device-groups", {"name": "with\x00nul"}, "name"),
    ("assignment", "/v1/device-groups", {"name": 7}, "name"),
    ("assignment", f"/v1/device-groups/{ID}/members", {"serial_numbers": []}, "serial_numbers"),
    ("assignment", f"/v1/device-groups/{ID}/members", {"serial_numbers": [{}]}, "serial_numbers.0"),
    ("assignment", "/v1/users", {"mail_address": "camille@school.example"}, "name"),
    ("assignment", "/v1/users", {"name": "Camille", "mail_address": "nowhere"}, "mail_address"),
    ("assignment", "/v1/users", {"name": "Camille", "enrollment_ids": [ID]}, "enrollment_ids"),
    ("licensing", "/v1/content-tokens", {}, "content_token"),
    ("licensing", "/v1/content-tokens", {"content_token": "not a token"}, "content_token"),
    ("licensing", "/v1/content-tokens", {"content_token": "eyJ9" * 5000}, "content_token"),
    ("mdm-push", "/v1/push-certificates", {"private_key_pem": "x"}, "certificate_pem"),
    (
        "mdm-push",
        "/v1/push-certificates",
        {"certificate_pem": "x", "private_key_pem": "x"},
        "certificate_pem",
    ),
]

UNKNOWN = [
    ("assignment", "GET", f"/v1/users/{ID}"),
    ("assignment", "GET", f"/v1/devices/{ID}"),
    ("assignment", "GET", f"/v1/device-groups/{ID}"),
    ("assignment", "GET", f"/v1/device-groups/{ID}/members"),
    ("assignment", "POST", f"/v1/device-groups/{ID}/members"),
    ("assignment", "POST", f"/v1/device-groups/{ID}/members/remove"),
    ("assignment", "GET", f"/v1/assets/{ID}"),
    ("assignment", "GET", f"/v1/assignments/{ID}"),
    ("assignment", "GET", f"/v1/assignments/{ID}/entitlements"),
    ("assignment", "GET", f"/v1/assignments/{ID}/progress"),
    ("assignment", "DELETE", f"/v1/assignments/{ID}"),
    ("assignment", "GET", f"/v1/requests/{ID}"),
    ("assignment", "GET", f"/v1/entitlements/{ID}"),
    ("licensing", "GET", f"/v1/content-tokens/{ID}"),
    ("licensing", "GET", f"/v1/pools/{ID}"),
    ("licensing", "GET", f"/v1/licenses/{ID}"),
    ("invitation", "GET", f"/v1/invitations/{ID}"),
    ("mdm-push", "GET", f"/v1/enrollments/{ID}"),
    *((service, "GET", f"/v1/dead-letters/{ID}") for service in SERVICES),
    *((service, "POST", f"/v1/dead-letters/{ID}/replay") for service in SERVICES),
    *((service, "DELETE", f"/v1/dead-letters/{ID}") for service in SERVICES),
    *((service, "GET", "/v1/nothing-of-the-kind") for service in SERVICES),
]

LISTS = [
    *(
        ("assignment", f"/v1/{name}")
        for name in ("users", "devices", "device-groups", "assets", "assignments", "requests", "entitlements")
    ),
    *(("licensing", f"/v1/{name}") for name in ("pools", "licenses", "waitlist")),
    ("invitation", "/v1/invitations"),
    *(("mdm-push", f"/v1/{name}") for name in ("enrollments", "commands", "push-certificates")),
    *((service, "/v1/dead-letters") for service in SERVICES),
]


def door(doors: Doors, service: str) -> Door:
    """Return the door of a service, with a token for everything."""
    named: Door = getattr(doors, service.replace("-", "_"))
    return named


def problem(response: httpx2.Response, status: int) -> dict[str, Any]:
    """Return a problem document after a look at its manners (RFC 9457)."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == PROBLEM
    body: dict[str, Any] = response.json()
    assert body["status"] == status
    assert body["type"]
    assert body["detail"]
    assert "Traceback" not in response.text
    return body


@pytest.mark.parametrize(("service", "path", "body", "field"), MALFORMED)
async def test_a_malformed_body_is_answered_with_the_field_that_is_wrong(
    doors: Doors, service: str, path: str, body: Any, field: str
) -> None:
    answer = await door(doors, service).http.post(path, json=body)
    assert field in problem(answer, 422)["fields"]


@pytest.mark.parametrize(
    ("service", "path"),
    [
        ("assignment", "/v1/assignments"),
        ("licensing", "/v1/content-tokens"),
        ("mdm-push", "/v1/push-certificates"),
    ],
)
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"null", b'{"a": 1e999}' * 3])
async def test_a_body_that_is_no_json_object_is_answered_so(
    doors: Doors, service: str, path: str, content: bytes
) -> None:
    answer = await door(doors, service).http.post(
        path, content=content, headers={"Content-Type": "application/json"}
    )
    assert problem(answer, 422)["fields"]


async def test_a_secret_that_was_sent_in_vain_is_not_repeated_in_the_answer(doors: Doors) -> None:
    body = {"content_token": "bm9ib2R5LXJlYWRzLXRoaXM=", "private_key_pem": "AND-NOT-THIS"}
    for service, path in (("licensing", "/v1/content-tokens"), ("mdm-push", "/v1/push-certificates")):
        answer = await door(doors, service).http.post(path, json=body)
        problem(answer, 422)
        assert not any(secret in answer.text for secret in body.values())


@pytest.mark.parametrize("service", ["assignment", "licensing", "mdm-push"])
async def test_an_oversized_body_is_not_read_to_its_end(doors: Doors, service: str) -> None:
    path = {"assignment": "assignments", "licensing": "content-tokens", "mdm-push": "push-certificates"}
    answer = await door(doors, service).http.post(f"/v1/{path[service]}", content=b" " * (5 * 1024 * 1024))
    problem(answer, 413)


@pytest.mark.parametrize(("service", "method", "path"), UNKNOWN)
async def test_an_unknown_id_in_a_path_is_not_found(
    doors: Doors, service: str, method: str, path: str
) -> None:
    body = {"serial_numbers": ["C02X1234"]} if "members" in path and method == "POST" else None
    problem(await door(doors, service).http.request(method, path, json=body), 404)


@pytest.mark.parametrize(("service", "path"), LISTS)
async def test_a_list_names_the_parameter_that_it_cannot_read(doors: Doors, service: str, path: str) -> None:
    for name, value in (("limit", "0"), ("limit", "100000"), ("limit", "many"), ("cursor", "nowhere")):
        answer = await door(doors, service).http.get(path, params={name: value})
        assert name in problem(answer, 422)["fields"], (name, value)


async def test_unknown_ids_in_a_body_are_refusals_in_the_answer_also_where_nothing_was_accepted(
    stage: Stage,
) -> None:
    app = await stage.title(1)
    answer = await stage.ask(
        {"asset_id": str(uuid4()), "target": {"type": "device", "id": ID}},
        {"asset_id": app.asset_id, "target": device("NOBODYS00001")},
        {"asset_id": app.asset_id, "target": group(ID)},
        {"asset_id": app.asset_id, "target": {"type": "device", "id": ID}},
    )
    assert [each["refusal"] for each in answer["assignments"]] == [
        "unknown_asset",
        "unknown_target",
        "unknown_target",
        "unknown_target",
    ]
    assert all(each["explanation"] for each in answer["refusals"])
    assert (await stage.doors.assignment.get(answer["links"]["request"]))["assignments"] == []


async def test_a_target_named_twice_is_refused_the_second_time(stage: Stage) -> None:
    app = await stage.title(2)
    [ipad] = await stage.ipads(1)
    by_id = {"type": "device", "id": (await stage.sights.devices(serial_number=ipad))[0]["id"]}
    answer = await stage.ask(
        {"asset_id": app.asset_id, "target": device(ipad)},
        {"asset_id": app.asset_id, "target": by_id},
    )
    assert [each["refusal"] for each in answer["assignments"]] == [None, "duplicate_target"]
    await stage.settles(answer["assignments"][0], installed=1)
    await stage.agrees(app, held=1, free=1)


@pytest.mark.parametrize(("service", "path"), LISTS)
async def test_nobody_is_let_in_without_a_good_token(doors: Doors, service: str, path: str) -> None:
    tokens = {
        "none": None,
        "garbage": "eyJhbGciOiJub25lIn0.e30.",
        "expired": await sign_token(doors.identity, hours=-1),
        "for another audience": await sign_token(doors.identity, audience="somebody-else"),
    }
    for name, token in tokens.items():
        answer = await (await doors.service(service, token=token)).http.get(path)
        problem(answer, 401)
        assert answer.headers["www-authenticate"].startswith("Bearer"), name


@pytest.mark.parametrize(("service", "path"), LISTS)
async def test_a_good_token_without_the_scope_is_forbidden(doors: Doors, service: str, path: str) -> None:
    weak = await sign_token(doors.identity, scopes="something:else")
    problem(await (await doors.service(service, token=weak)).http.get(path), 403)


@pytest.mark.parametrize(
    ("service", "method", "path"),
    [
        ("assignment", "POST", "/v1/assignments"),
        ("assignment", "DELETE", f"/v1/assignments/{ID}"),
        ("assignment", "POST", "/v1/users"),
        ("assignment", "POST", "/v1/device-groups"),
        ("assignment", "POST", f"/v1/device-groups/{ID}/members"),
        ("licensing", "POST", "/v1/content-tokens"),
        ("mdm-push", "POST", "/v1/push-certificates"),
        ("licensing", "POST", f"/v1/dead-letters/{ID}/replay"),
        ("licensing", "DELETE", f"/v1/dead-letters/{ID}"),
    ],
)
async def test_who_may_only_read_writes_nothing(doors: Doors, service: str, method: str, path: str) -> None:
    reading = "assignments:read directory:read licenses:read invitations:read devices:read"
    reader = await sign_token(doors.identity, scopes=reading)
    answer = await (await doors.service(service, token=reader)).http.request(method, path, json={})
    problem(answer, 403)


async def test_apples_notifications_are_believed_only_with_the_librarys_secret(
    stage: Stage, library_id: str
) -> None:
    licensing = await stage.doors.service("licensing", token=None)
    body = {"notificationType": "ASSET_COUNT", "uId": library_id}
    for headers in ({}, {"Authorization": "Bearer guessed"}):
        problem(
            await licensing.http.post(f"/apple/notifications/{library_id}", json=body, headers=headers), 401
        )
    problem(await licensing.http.post("/apple/notifications/nobody", json=body), 401)
