"""The bodies that cross HTTP."""

from licensing.schemas.content_tokens import ContentTokenBody, NewContentToken
from licensing.schemas.licenses import LicenseBody, SettlementBody, WaitingBody
from licensing.schemas.pools import AppleCounts, PoolBody

__all__ = [
    "AppleCounts",
    "ContentTokenBody",
    "LicenseBody",
    "NewContentToken",
    "PoolBody",
    "SettlementBody",
    "WaitingBody",
]
