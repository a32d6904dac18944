"""`make bench`: measures, prints a table and writes bench.json. ONLY=name,name replaces those rows alone."""

import argparse
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence

import uvloop

from bench import (
    associate,
    machine,
    notifications,
    reconcile,
    relay,
    release,
    report,
    reserve,
    road,
    sim_associate,
    sim_devices,
    sim_push,
    starts,
)
from bench.figures import Figure, Size
from shared import logs

Measure = Callable[[Size], Awaitable[list[Figure]]]

MEASURES: Mapping[tuple[str, ...], Measure] = {
    ("reserve",): reserve.measure,
    ("release",): release.measure,
    associate.NAMES: associate.measure,
    notifications.NAMES: notifications.measure,
    reconcile.NAMES: reconcile.measure,
    ("relay", "relay-90kb"): relay.measure,
    road.NAMES: road.measure,
    sim_associate.NAMES: sim_associate.measure,
    sim_push.NAMES: sim_push.measure,
    sim_devices.NAMES: sim_devices.measure,
    starts.NAMES: starts.measure,
}
"""Which figures a measurement brings; the table shows them in this order."""

ORDER = [name for names in MEASURES for name in names]


async def measure(wanted: Sequence[str], size: Size) -> None:
    """Measure these rows one after the other; each that came through is in the file, whatever becomes of the next."""
    about = machine.describe()
    for names, measurement in MEASURES.items():
        if not set(names) & set(wanted):
            continue
        print(f"measuring {', '.join(names)} ...", flush=True)
        new = [report.row(figure) for figure in await measurement(size) if figure.name in wanted]
        report.write(about, report.merge(report.read(), new, order=ORDER))
    rows = [each for each in report.read() if each["name"] in wanted]
    print(f"\n{report.table(rows)}\n\nbench.json has all rows.")


def main() -> int:
    """Run the command line and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", default="", metavar="NAME,NAME", help=f"of {', '.join(ORDER)}")
    parser.add_argument(
        "--size", type=int, default=1, metavar="N", help="measure an Nth of everything, to try out"
    )
    said = parser.parse_args()
    wanted = [name for name in said.only.split(",") if name] or ORDER
    if unknown := set(wanted) - set(ORDER):
        parser.error(f"no such figure: {', '.join(sorted(unknown))}")
    logs.configure("bench", "critical")
    uvloop.run(measure(wanted, Size(said.size)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
