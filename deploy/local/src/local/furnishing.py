"""Brings the sample school into a running system, so that there is something to try things out on."""

from functools import partial
from typing import Any

from local import school
from local.doors import Doors
from local.sights import Sights
from local.waiting import until

IPAD_GROUP = "iPads of the school"
MAC_GROUP = "Macs of the staff"


async def furnish(doors: Doors) -> tuple[str, str]:
    """Let the school's purchases, devices, people and groups appear; return the ids of its app and its iPad group.

    A system that knows groups already is left as it is, but for the push certificate.
    """
    await doors.install_push_certificate()
    groups = await doors.assignment.every("/v1/device-groups")
    if not groups:
        groups = await _bring(doors)
    apps = await until(partial(doors.assignment.every, "/v1/assets", kind="vpp_app"), bool)
    return apps[0]["id"], next(group["id"] for group in groups if group["name"] == IPAD_GROUP)


async def _bring(doors: Doors) -> list[Any]:
    library = await doors.apple.post("/libraries", {"assets": school.purchases()})
    await doors.licensing.post("/v1/content-tokens", {"content_token": library["token"]})
    ipads = await doors.enroll_new_devices(school.IPADS, kind="ios", prefix="IPAD")
    macs = await doors.enroll_new_devices(school.MACS, kind="mac", prefix="MAC")
    for person in school.people():
        await doors.assignment.post("/v1/users", person.described())
    await until(Sights(doors).devices, lambda found: len(found) == school.IPADS + school.MACS)
    return [await _group(doors, name, serials) for name, serials in ((IPAD_GROUP, ipads), (MAC_GROUP, macs))]


async def _group(doors: Doors, name: str, serials: list[str]) -> Any:
    group = await doors.assignment.post("/v1/device-groups", {"name": name})
    await doors.assignment.post(f"/v1/device-groups/{group['id']}/members", {"serial_numbers": serials})
    return group
