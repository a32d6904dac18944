"""All that the simulated Apple knows: libraries, tokens, events, and what was asked of it."""

import base64
import json
import random
import uuid
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from local.simulators.apple.errors import AppleError
from local.simulators.apple.events import Event
from local.simulators.apple.faults import FaultScript
from local.simulators.apple.library import HolderKind, Library
from local.simulators.apple.settings import Knobs

LOG_LENGTH = 10_000  # requests remembered one by one; the counts are complete
TOKEN_LIFE = timedelta(days=365)


@dataclass(slots=True)
class Token:
    """A content token: the text of a .vpptoken file, and what it opens."""

    text: str
    library: Library
    expires_at: datetime
    revoked: bool = False


class LoggedRequest(NamedTuple):
    """One answered request. It names no token."""

    at: str
    method: str
    path: str
    uid: str | None
    status: int


class World:
    """The state of one simulator; `reset` makes it as new, with the same seed."""

    def __init__(self, *, seed: int, knobs: Knobs) -> None:
        self._seed = seed
        self._first_knobs = knobs
        self.reset()

    def reset(self) -> None:
        """Forget everything and begin again."""
        self._random = random.Random(self._seed)
        self._recent: dict[str, deque[float]] = {}
        self.knobs = self._first_knobs
        self.libraries: dict[str, Library] = {}
        self.tokens: dict[str, Token] = {}
        self.events: dict[str, Event] = {}
        self.faults = FaultScript()
        self.log: deque[LoggedRequest] = deque(maxlen=LOG_LENGTH)
        self.requests: Counter[str] = Counter()  # by "METHOD path"
        self.notifications: Counter[str] = Counter()  # attempts, delivered, abandoned

    def new_id(self) -> str:
        """Mint a UUID in its text form, from the seed."""
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def touch(self, library: Library) -> None:
        """Move the library's version: something in it changed."""
        library.version_id = self.new_id()

    def issue_token(self, library: Library, *, organization: str, life: timedelta = TOKEN_LIFE) -> Token:
        """Make another token for a library; they all speak for the same `uId`."""
        expires_at = (datetime.now(UTC) + life).replace(microsecond=0)
        content = {"expDate": apple_time(expires_at), "token": self.new_id(), "orgName": organization}
        text = base64.b64encode(json.dumps(content).encode()).decode()
        self.tokens[text] = Token(text, library, expires_at)
        return self.tokens[text]

    def token_for(self, authorization: str | None) -> Token:
        """Find the token of an Authorization header, compared byte for byte with what was issued.

        Raises `AppleError` 9601 (no header), 9722 (not `Bearer` and one word), 9622 (no such token), 9625
        (revoked), 9621 (expired).
        """
        if authorization is None:
            raise AppleError(9601)
        scheme, _, text = authorization.partition(" ")
        if scheme != "Bearer" or not text or " " in text:
            raise AppleError(9722)
        token = self.tokens.get(text)
        if token is None:
            raise AppleError(9622, status=self.knobs.invalid_token_status)
        if token.revoked:
            raise AppleError(9625)
        if token.expires_at <= datetime.now(UTC):
            raise AppleError(9621)
        return token

    def admit(self, library: Library, *, now: float) -> None:
        """Count a request at `now` (seconds of a steady clock). Raises 9646 above the library's limit."""
        if not self.knobs.rate_limit:
            return
        limit = self.knobs.limits["maxRequestPerSecond"]
        recent = self._recent.setdefault(library.uid, deque())
        while recent and recent[0] <= now - 1:
            recent.popleft()
        if len(recent) >= limit:
            raise AppleError(9646)
        recent.append(now)

    def knows_license(self, serial: str, adam_id: str) -> bool:
        """Tell what a device's App Store would: whether any library gave this device the app."""
        return any(
            serial in asset.holders[HolderKind.SERIAL]
            for library in self.libraries.values()
            for asset in library.assets.values()
            if asset.key.adam_id == adam_id
        )

    def record(self, request: LoggedRequest) -> None:
        """Remember an answered request."""
        self.log.append(request)
        self.requests[f"{request.method} {request.path}"] += 1


def apple_time(moment: datetime) -> str:
    """Apple's form of a time: UTC, a numeric offset without colon."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S%z")


def token_fields(token: Token) -> Mapping[str, Any]:
    """Make the fields that every answer to a token carries."""
    fields: dict[str, Any] = {"uId": token.library.uid, "tokenExpirationDate": apple_time(token.expires_at)}
    if token.library.mdm_info is not None:
        fields["mdmInfo"] = token.library.mdm_info
    return fields
