"""All that the simulated Apple knows: libraries, tokens, events, titles, the time, and what was asked of it."""

from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import NamedTuple

from local.simulators.apple.clock import VirtualClock
from local.simulators.apple.deliveries import Delivery
from local.simulators.apple.dice import CountingDice
from local.simulators.apple.errors import AppleError
from local.simulators.apple.events import Event
from local.simulators.apple.faults import FaultScript
from local.simulators.apple.library import Library
from local.simulators.apple.settings import Knobs
from local.simulators.apple.titles import Title
from local.simulators.apple.tokens import TOKEN_LIFE, Rights, Token, write_token
from local.simulators.apple.working import Scene

LOG_LENGTH = 10_000  # requests remembered one by one; the counts are complete


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
        self._recent: dict[str, deque[float]] = {}
        self._pages: Counter[str] = Counter()  # being read, by token
        self.dice = CountingDice(self._seed)
        self.clock = VirtualClock()
        self.knobs = self._first_knobs
        self.libraries: dict[str, Library] = {}
        self.tokens: dict[str, Token] = {}
        self.events: dict[str, Event] = {}
        self.deliveries: dict[Delivery, None] = {}  # notifications under way, oldest first
        self.titles: dict[str, Title] = {}
        self.developer_keys: dict[str, str] = {}  # public keys in PEM, by "team key"
        self.faults = FaultScript()
        self.log: deque[LoggedRequest] = deque(maxlen=LOG_LENGTH)
        self.requests: Counter[str] = Counter()  # by "METHOD path"
        self.notifications: Counter[str] = Counter()  # attempts, delivered, abandoned, lost, doubled

    def become(self, other: "World") -> None:
        """Take over the state of another; `reset` still makes this one as it was at its own start."""
        start = self._seed, self._first_knobs
        vars(self).update(vars(other))
        self._seed, self._first_knobs = start

    def new_id(self) -> str:
        """Mint a UUID in its text form, from the seed."""
        return self.dice.new_id()

    def touch(self, library: Library) -> None:
        """Move the library's version: something in it changes."""
        library.change(self.new_id(), self.clock.seconds())

    def begin(self, library: Library) -> Scene:
        """Move the library's version and set the scene for what changes it."""
        self.touch(library)
        return self.scene(library)

    def scene(self, library: Library) -> Scene:
        """Set the scene for what only looks."""
        return Scene(library, self.knobs, self.clock.seconds(), self.dice.new_code)

    def issue_token(
        self,
        library: Library,
        *,
        organization: str,
        life: timedelta = TOKEN_LIFE,
        account: str = "",
        rights: Rights = Rights.ALL,
    ) -> Token:
        """Make another token for a library; they all speak for the same `uId`."""
        if self.knobs.new_token_revokes_old:
            self.revoke_tokens(library)
        expires_at = (self.clock.now() + life).replace(microsecond=0)
        text = write_token(self.new_id(), expires_at, organization)
        self.tokens[text] = Token(text, library, expires_at, account, rights)
        return self.tokens[text]

    def revoke_tokens(self, library: Library) -> None:
        """Let every token issued so far for a library answer 9625."""
        for token in self.tokens.values():
            if token.library is library:
                token.revoked = True

    def token_for(self, authorization: str | None) -> Token:
        """Find the token of an Authorization header, compared byte for byte with what was issued.

        Raises `AppleError` 9601 (no header), 9722 (not `Bearer` and one word), and those of `valid_token`.
        """
        if authorization is None:
            raise AppleError(9601)
        scheme, _, text = authorization.partition(" ")
        if scheme.lower() != "bearer" or not text or " " in text:
            raise AppleError(9722)
        return self.valid_token(text)

    def valid_token(self, text: str) -> Token:
        """Find a token. Raises `AppleError` 9622 (no such token), 9625 (revoked), 9621 (expired)."""
        token = self.tokens.get(text)
        if token is None:
            raise AppleError(9622, status=self.knobs.invalid_token_status)
        if token.revoked:
            raise AppleError(9625)
        if token.expires_at <= self.clock.now():
            raise AppleError(9621)
        return token

    def tells_expiry(self, token: Token) -> bool:
        """Tell whether answers name the end of a token already, `expiry_told_days` before it."""
        days = self.knobs.expiry_told_days
        return days is None or token.expires_at - self.clock.now() <= timedelta(days=days)

    def admit(self, token: Token, *, now: float) -> None:
        """Count a request at `now` (seconds of a steady clock). Raises 9646 above the limit of its library or token."""
        if not self.knobs.rate_limit:
            return
        limit = self.knobs.limits["maxRequestPerSecond"]
        whose = token.library.uid if self.knobs.rate_limit_per == "library" else token.text
        recent = self._recent.setdefault(whose, deque())
        while recent and recent[0] <= now - 1:
            recent.popleft()
        if len(recent) >= limit:
            raise AppleError(9646)
        recent.append(now)

    @contextmanager
    def reading(self, token: Token) -> Iterator[None]:
        """Count a page as long as it is read. Raises `AppleError` 9646 for one too many at once of its token."""
        pages = self._pages
        if pages[token.text] >= self.knobs.pages_at_once:
            raise AppleError(9646)
        pages[token.text] += 1
        try:
            yield
        finally:
            pages[token.text] -= 1

    def record(self, request: LoggedRequest) -> None:
        """Remember an answered request."""
        self.log.append(request)
        self.requests[f"{request.method} {request.path}"] += 1
