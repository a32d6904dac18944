"""Our ledger beside Apple's lists: which differences there are, and what would repair each (pure).

| Class | We | Apple | Repair |
| --- | --- | --- | --- |
| `foreign` | never asked for it, or hold it no more and never told Apple of it | lists it | reclaim it |
| `our_fault` | gave it back, or were refused, in a request whose outcome was proven | lists it | reclaim it |
| `taken` | hold it, and nothing is under way | does not list it | end the life, and tell `LicenseReleased` |
| `lost_message` | wait for the outcome of a request longer than it can take | knows the outcome | read its list |
| `counts` | know other counts | bought, refunded, transferred in the console | read its counts |

`foreign` is what another hand gave. One that another hand gave after we gave it back looks like `our_fault`: Apple
tells no history; the repair is the same. What is on its way is no difference: its own request settles it.
"""

from collections.abc import Mapping
from typing import assert_never

from licensing.model import Reading, State
from licensing.model.reconciling import DifferenceClass, RepairKind, Standing

REPAIRS: Mapping[DifferenceClass, RepairKind] = {
    DifferenceClass.FOREIGN: RepairKind.RECLAIM,
    DifferenceClass.OUR_FAULT: RepairKind.RECLAIM,
    DifferenceClass.TAKEN: RepairKind.END,
    DifferenceClass.LOST_MESSAGE: RepairKind.READ_LIST,
    DifferenceClass.COUNTS: RepairKind.READ_COUNTS,
}


def classify(standing: Standing) -> DifferenceClass | None:
    """Return how we and Apple differ about one holder, None where we agree or nothing is proven.

    What changed since the reading began proves nothing. Nor does absence from a list that changed while it
    was read; presence always does.
    """
    if standing.moved:
        return None
    if standing.overdue:
        return DifferenceClass.LOST_MESSAGE
    return _listed(standing) if standing.listed else _not_listed(standing)


def counts_moved(ours: Reading | None, apples: Reading | None) -> bool:
    """Say whether a purchase, a refund or a transfer is not known here; None: no such asset.

    What is assigned is not compared: it moves with every request of ours, and the lists tell it by name.
    """
    if ours is None or apples is None:
        return ours is not apples and not _empty(ours or apples)
    if ours.unlimited or apples.unlimited:
        return ours.unlimited is not apples.unlimited
    return (ours.total, ours.retired) != (apples.total, apples.retired)


def _empty(reading: Reading | None) -> bool:
    return reading is None or (not reading.unlimited and reading.total == 0)


def _listed(standing: Standing) -> DifferenceClass | None:
    match standing.state:
        case None | State.UNKNOWN | State.WAITLISTED | State.LOST | State.FAILED:
            return DifferenceClass.FOREIGN
        case State.RELEASED | State.REFUSED:
            return DifferenceClass.OUR_FAULT if standing.asked else DifferenceClass.FOREIGN
        case (
            State.AWAITING_ACCEPTANCE
            | State.RESERVED
            | State.ASSOCIATING
            | State.ASSIGNED
            | State.RELEASING
            | State.WITHDRAWING
            | State.DISASSOCIATING
            | State.SPENT
        ):
            return None
        case _:
            assert_never(standing.state)


def _not_listed(standing: Standing) -> DifferenceClass | None:
    return DifferenceClass.TAKEN if standing.state is State.ASSIGNED and standing.exact else None
