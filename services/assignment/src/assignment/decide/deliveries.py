"""The life of a delivery as one table: state x fact -> state. What is not in it is ignored.

A removal that was asked wins over every later word on the install: the licence is on its way back.
"""

from enum import StrEnum

from assignment.model import DeliveryState


class DeliveryFact(StrEnum):
    """What can happen to a delivery."""

    INSTALLED = "InstallCompleted"
    INSTALL_FAILED = "InstallFailed"
    REMOVED = "RemovalCompleted"
    REMOVAL_FAILED = "RemovalFailed"
    REVOKED = "entitlement revoked"
    REPLACED = "asked anew"


_TAKEN_BACK = {
    DeliveryFact.REVOKED: DeliveryState.REMOVING,
    DeliveryFact.REPLACED: DeliveryState.SUPERSEDED,
}

TABLE: dict[DeliveryState, dict[DeliveryFact, DeliveryState]] = {
    DeliveryState.ASKED: {
        **_TAKEN_BACK,
        DeliveryFact.INSTALLED: DeliveryState.INSTALLED,
        DeliveryFact.INSTALL_FAILED: DeliveryState.FAILED,
    },
    DeliveryState.INSTALLED: _TAKEN_BACK,
    DeliveryState.FAILED: {**_TAKEN_BACK, DeliveryFact.INSTALLED: DeliveryState.INSTALLED},
    DeliveryState.REMOVING: {
        DeliveryFact.REMOVED: DeliveryState.REMOVED,
        DeliveryFact.REMOVAL_FAILED: DeliveryState.KEPT,
    },
    DeliveryState.KEPT: {DeliveryFact.REMOVED: DeliveryState.REMOVED},
    DeliveryState.REMOVED: {},
    DeliveryState.SUPERSEDED: {},
}
