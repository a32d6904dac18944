"""One request followed from the answer to its end: its resources, why it stands where it stands, what the bus says."""

import json
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest

from local.system import System
from shared.events.assignment import AssignmentCompleted
from tests.stories.probe import Probe
from tests.stories.stage import Stage, device, group


async def test_why_of_an_entitlement_names_every_step_with_its_time(stage: Stage) -> None:
    app = await stage.title(1)
    [ipad] = await stage.ipads(1)
    assignment = await stage.assign(app, group(await stage.group([ipad])))
    await stage.settles(assignment, installed=1)
    life = await stage.entitlement(ipad, app)
    assert [(step["what"], step["state"]) for step in life["steps"]] == [
        ("AssignmentRequested", "requested"),
        ("LicenseReserved", "reserved"),
        ("LicenseAssigned", "licensed"),
        ("InstallRequested", "delivering"),
        ("InstallCompleted", "installed"),
    ]
    times = [step["at"] for step in life["steps"]]
    assert times == sorted(times)
    assert life["why"]["blocking"] is None
    assert [each["assignment_id"] for each in life["covers"]] == [assignment["id"]]
    [delivery] = life["deliveries"]
    assert (delivery["state"], delivery["attempt"]) == ("installed", 1)
    told = await stage.doors.mdm_push.get(f"/v1/enrollments/{delivery['enrollment_id']}")
    assert [(each["delivery_id"], each["state"]) for each in told["deliveries"]] == [(delivery["id"], "done")]


async def test_why_of_a_refusal_names_its_cause_and_what_would_change_it(stage: Stage) -> None:
    app = await stage.title(1, supported_platforms=["iOS"])
    [mac] = await stage.macs(1)
    await stage.assign(app, group(await stage.group([mac])))
    life = await stage.entitlement(mac, app)
    assert (life["state"], life["cause"]) == ("refused", "platform_not_supported")
    assert life["why"]["explanation"] == "this asset does not run on the device's platform"
    assert life["why"]["next_action"] == "judge_again_when_the_device_changes"


async def test_why_says_who_is_waited_for_and_when_it_is_asked_again(stage: Stage) -> None:
    app = await stage.title(1)
    [ipad] = await stage.ipads(1)
    await stage.doors.devices.post("/devices/offline", {"serials": [ipad]})
    assignment = await stage.assign(app, device(ipad))
    await stage.settles(assignment, delivering=1)
    why = (await stage.entitlement(ipad, app))["why"]
    assert (why["blocking"], why["next_action"]) == ("device", "ask_install_again")
    assert why["next_at"] is not None
    await stage.doors.devices.post("/devices/online", {"serials": [ipad]})
    await stage.settles(assignment, installed=1)


async def test_a_request_shows_what_it_became_and_what_was_refused_as_a_whole(stage: Stage) -> None:
    app = await stage.title(2)
    book = await stage.title(1, product_type="Book")
    [ipad] = await stage.ipads(1)
    answer = await stage.ask(
        {"asset_id": app.asset_id, "target": device(ipad)},
        {"asset_id": book.asset_id, "target": device(ipad)},
    )
    assert answer["counts"] == {
        "targets": 2,
        "requested": 1,
        "covered": 0,
        "refused": {"kind_not_for_device": 1},
    }
    [refusal] = answer["refusals"]
    assert (refusal["assignment"], refusal["target"]["serial_number"]) == (1, ipad)
    became = await stage.doors.assignment.get(answer["links"]["request"])
    assert [each["id"] for each in became["assignments"]] == [answer["assignments"][0]["id"]]
    assert [each["refusal"] for each in became["refused"]] == ["kind_not_for_device"]
    assert became["caller"] == "administrator"


async def test_progress_counts_up_to_completed_and_begins_anew_when_a_member_joins(stage: Stage) -> None:
    app = await stage.title(3)
    first, second = await stage.ipads(2)
    school = await stage.group([first])
    assignment = await stage.assign(app, group(school))
    path = assignment["links"]["progress"]
    await stage.sees(partial(_progress, stage, path), (1, {"installed": 1}, True))
    await stage.join(school, [second])
    await stage.sees(partial(_progress, stage, path), (2, {"installed": 2}, True))
    await stage.revoke(assignment)
    await stage.sees(partial(_progress, stage, path), (3, {"revoked": 2}, True))


async def test_progress_streams_every_change_until_it_is_completed(stage: Stage) -> None:
    app = await stage.title(1)
    [ipad] = await stage.ipads(1)
    assignment = await stage.assign(app, device(ipad))
    path, accept = assignment["links"]["progress"], {"Accept": "text/event-stream"}
    seen: list[dict[str, Any]] = []
    async with stage.doors.assignment.http.stream("GET", path, headers=accept) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        async for line in stream.aiter_lines():
            if line.startswith("data: "):
                seen.append(json.loads(line.removeprefix("data: ")))
                if seen[-1]["completed"]:
                    break
    assert seen[-1]["states"] == {"installed": 1}
    assert len({json.dumps(each) for each in seen}) == len(seen)


async def test_assignment_completed_is_told_once_a_round_with_the_totals(stage: Stage, probe: Probe) -> None:
    app = await stage.title(1)
    first, second = await stage.ipads(2)
    school = await stage.group([first])
    assignment = await stage.assign(app, group(school))
    await stage.settles(assignment, installed=1)
    await stage.join(school, [second])
    await stage.settles(assignment, installed=1, waitlisted=1)

    async def completed() -> list[tuple[int, int, dict[str, int]]]:
        told = [each.event for each in await probe.heard(AssignmentCompleted)]
        mine = [each for each in told if each.assignment_id == UUID(assignment["id"])]
        return [(each.round, each.totals.targets, each.totals.states) for each in mine]

    await stage.sees(completed, [(1, 1, {"installed": 1}), (2, 2, {"installed": 1, "waitlisted": 1})])


async def test_the_same_post_under_the_same_key_is_done_once_and_answered_alike(stage: Stage) -> None:
    app = await stage.title(2)
    [ipad] = await stage.ipads(1)
    key = {"Idempotency-Key": str(uuid4())}
    wish = {"asset_id": app.asset_id, "target": device(ipad)}
    first = await stage.ask(wish, **key)
    assert await stage.ask(wish, **key) == first
    await stage.settles(first["assignments"][0], installed=1)
    assert await stage.ask(wish, **key) == first
    assert len(await stage.doors.assignment.every("/v1/assignments", asset_id=app.asset_id)) == 1
    await stage.agrees(app, held=1, free=1)


async def test_another_body_under_the_same_key_is_refused(stage: Stage) -> None:
    key = {"Idempotency-Key": str(uuid4())}
    await stage.doors.assignment.post("/v1/device-groups", {"name": "first"}, **key)
    answer = await _post(stage, "/v1/device-groups", {"name": "second"}, key)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_revoke_twice_is_once(stage: Stage) -> None:
    app = await stage.title(1)
    [ipad] = await stage.ipads(1)
    assignment = await stage.assign(app, device(ipad))
    await stage.settles(assignment, installed=1)
    for _ in range(2):
        ended = await stage.revoke(assignment)
        assert (ended["state"], ended["end_reason"]) == ("ended", "ended")
    await stage.settles(assignment, revoked=1)
    await stage.agrees(app, held=0, free=1)


@pytest.mark.parametrize("service", ["assignment", "licensing", "invitation", "mdm-push"])
async def test_every_service_answers_to_probes_and_counts(system: System, service: str) -> None:
    metrics = f"http://127.0.0.1:{system.services[service].ports.metrics}"
    async with httpx2.AsyncClient(base_url=metrics, trust_env=False) as http:
        assert (await http.get("/livez")).json() == {"ok": True, "reasons": []}
        assert (await http.get("/readyz")).json() == {"ok": True, "reasons": []}
        counted = (await http.get("/metrics")).text
    assert "# HELP" in counted


async def _progress(stage: Stage, path: str) -> tuple[int, dict[str, int], bool]:
    told = await stage.doors.assignment.get(path)
    return told["round"], told["states"], told["completed"]


async def _post(stage: Stage, path: str, body: Any, headers: dict[str, str]) -> httpx2.Response:
    return await stage.doors.assignment.http.post(path, json=body, headers=headers)
