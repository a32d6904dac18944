"""Content tokens: the text of a .vpptoken file, whom it speaks for, and until when."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from local.simulators.apple.library import Library

TOKEN_LIFE = timedelta(days=365)


class Rights(StrEnum):
    """What the Managed Apple Account that downloaded a token may do."""

    ALL = "all"
    READ = "read"  # 9637 for every write
    LEGACY = "legacy"  # 9647 for version 2 of the API


@dataclass(slots=True)
class Token:
    """A content token. It dies with the password of the account that downloaded it."""

    text: str
    library: Library
    expires_at: datetime
    account: str = ""
    rights: Rights = Rights.ALL
    revoked: bool = False


def write_token(secret: str, expires_at: datetime, organization: str) -> str:
    """Write the text: Base64 of compact JSON, which survives a client that decodes and encodes it again."""
    content = {"expDate": apple_time(expires_at), "token": secret, "orgName": organization}
    return base64.b64encode(json.dumps(content, separators=(",", ":")).encode()).decode()


def apple_time(moment: datetime) -> str:
    """Apple's form of a time: UTC, a numeric offset without colon."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S%z")


def token_fields(token: Token, *, tells_expiry: bool) -> Mapping[str, Any]:
    """Make the fields that every answer to a token carries."""
    fields: dict[str, Any] = {"uId": token.library.uid}
    if tells_expiry:
        fields["tokenExpirationDate"] = apple_time(token.expires_at)
    if token.library.mdm_info is not None:
        fields["mdmInfo"] = token.library.mdm_info
    return fields
