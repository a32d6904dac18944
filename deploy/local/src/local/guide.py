"""What is said to a person: at the beginning of the story, and beside a system that keeps running."""

import json
from collections.abc import Iterator

from local import school
from local.system import System

INTRODUCTION = f"""\
A school with {school.IPADS} iPads and {school.MACS} Macs owns {school.APP_LICENSES} licences of an app and \
{school.BOOK_LICENSES} of a book.
The four services run here as they run anywhere; Apple, its push service, devices and mail are simulated."""


def guide(system: System, token: str, *, asset_id: str, group_id: str) -> str:
    """Return all that is needed to try the running system out, on one screen."""
    return "\n".join(_lines(system, token, asset_id=asset_id, group_id=group_id))


def _lines(system: System, token: str, *, asset_id: str, group_id: str) -> Iterator[str]:
    yield "The system is up, with the sample school in it. Ctrl-C stops it.\n"
    for name, place in system.services.items():
        yield f"  {name:<11} {place.url}   metrics http://127.0.0.1:{place.ports.metrics}/metrics"
    yield "\nSimulated, each with a page of what can be asked of it:\n"
    for name, card in system.cards.items():
        if "admin_url" in card:
            yield f"  {name:<11} {card['admin_url']}/docs"
    yield f"\nA token for everything, for twelve hours:\n\n{token}"
    yield "\nTo try it out, in another terminal:\n"
    yield from _to_try(system, asset_id=asset_id, group_id=group_id)
    if not system.broker.keeps_log:
        yield "\nThe broker is in memory, for trying out: at the stop everything is forgotten."
        yield "BROKER=apache make up runs Apache Kafka, and the services keep what they know."


def _to_try(system: System, *, asset_id: str, group_id: str) -> Iterator[str]:
    """Say how the school's app goes to its iPads, and how the counts and the devices then stand."""
    assignment, licensing = system.services["assignment"].url, system.services["licensing"].url
    wish = {"assignments": [{"asset_id": asset_id, "target": {"type": "device_group", "id": group_id}}]}
    yield "  TOKEN=$(make -s token)"
    yield f'  ask() {{ curl -s --cacert {system.ca_file} -H "Authorization: Bearer $TOKEN" "$@"; echo; }}'
    yield f"  ask {assignment}/v1/devices?limit=3"
    yield f"  ask {assignment}/v1/assignments --json '{json.dumps(wish)}'"
    yield f"  ask {licensing}/v1/pools?asset_id={asset_id}"
