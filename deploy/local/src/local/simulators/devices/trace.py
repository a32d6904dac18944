"""What the devices did, one line per exchange and in the order in which it happened: without times and ids."""

from collections import Counter, deque
from typing import NamedTuple


class Exchange(NamedTuple):
    """One message of a channel, and what became of it."""

    channel: str  # the serial number, and the user after a colon
    what: str  # a MessageType, a RequestType, or a word of the box: wipe, push
    outcome: str


class Shown(NamedTuple):
    """An invitation on a screen; `holder` is who sees it: the account, else the user, else the device."""

    number: int
    serial: str
    holder: str
    link: str


class Trace:
    """The newest exchanges, and how often everything happened. One seed and one order of requests: one trace."""

    def __init__(self, length: int) -> None:
        self.exchanges: deque[Exchange] = deque(maxlen=length)
        self.added = 0  # exchanges so far
        self.counts: Counter[str] = Counter()
        self.shown: list[Shown] = []

    def add(self, channel: str, what: str, outcome: str = "ok") -> None:
        """Remember an exchange."""
        self.exchanges.append(Exchange(channel, what, outcome))
        self.added += 1

    def show(self, serial: str, holder: str, link: str) -> None:
        """Remember an invitation that a device shows."""
        self.shown.append(Shown(len(self.shown) + 1, serial, holder, link))
