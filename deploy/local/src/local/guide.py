"""What is said to a person: at the beginning of the story, and beside a system that keeps running."""

from collections.abc import Iterator

from local import school
from local.system import System

INTRODUCTION = f"""\
A school with {school.IPADS} iPads and {school.MACS} Macs owns {school.APP_LICENSES} licences of an app and \
{school.BOOK_LICENSES} of a book.
The four services run here as they run anywhere; Apple, its push service, devices and mail are simulated."""


def guide(system: System, token: str) -> str:
    """Return all that is needed to try the running system out, on one screen."""
    return "\n".join(_lines(system, token))


def _lines(system: System, token: str) -> Iterator[str]:
    yield "The system is up. Ctrl-C stops it.\n"
    for name, place in system.services.items():
        yield f"  {name:<11} {place.url}   metrics http://127.0.0.1:{place.ports.metrics}/metrics"
    yield "\nSimulated, each with a page of what can be asked of it:\n"
    for name, card in system.cards.items():
        if "admin_url" in card:
            yield f"  {name:<11} {card['admin_url']}/docs"
    yield f"\nA token for everything, for twelve hours (`make token` prints another):\n\n{token}"
    yield "\nTo begin with, in another terminal:\n"
    yield f"  alias ask='curl -s --cacert {system.ca_file} -H \"Authorization: Bearer '$(make -s token)'\"'"
    yield f"  ask {system.services['mdm-push'].url}/v1/enrollments"
    yield f"  ask {system.services['assignment'].url}/v1/devices"
    if not system.broker.keeps_log:
        yield "\nThe broker is in memory, for trying out: at the stop everything is forgotten."
        yield "BROKER=apache make up runs Apache Kafka and keeps what happened."
