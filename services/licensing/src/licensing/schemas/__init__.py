"""The bodies that cross HTTP."""

from licensing.schemas.apple_users import AppleUserBody, AppleUserState, Reinvitation
from licensing.schemas.content_tokens import ContentTokenBody, ContentTokenState, NewContentToken
from licensing.schemas.fields import LibraryId
from licensing.schemas.libraries import LibraryBody, LibraryChange, LibraryState, OtherService
from licensing.schemas.licenses import LicenseBody, SettlementBody, WaitingBody
from licensing.schemas.notifications import MalformedNotificationBody, MalformedNotificationDetail
from licensing.schemas.pools import AppleCounts, PoolBody
from licensing.schemas.reconciliations import (
    DifferenceBody,
    FullReconciliationBody,
    NewReconciliation,
    NewRepair,
    ReconciliationBody,
)

__all__ = [
    "AppleCounts",
    "AppleUserBody",
    "AppleUserState",
    "ContentTokenBody",
    "ContentTokenState",
    "DifferenceBody",
    "FullReconciliationBody",
    "LibraryBody",
    "LibraryChange",
    "LibraryId",
    "LibraryState",
    "LicenseBody",
    "MalformedNotificationBody",
    "MalformedNotificationDetail",
    "NewContentToken",
    "NewReconciliation",
    "NewRepair",
    "OtherService",
    "PoolBody",
    "ReconciliationBody",
    "Reinvitation",
    "SettlementBody",
    "WaitingBody",
]
