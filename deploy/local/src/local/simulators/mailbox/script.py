"""Replies on command: what the next matching commands of a mail client get instead of an honest 250."""

import time
from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated

from pydantic import (
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    PrivateAttr,
    StringConstraints,
)

from local.simulators.admin import Body


class Step(StrEnum):
    """Where in the dialogue a reply is scripted; DATA means after the whole letter has arrived."""

    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"


class Reply(Body):
    """One scripted reply. `text` None closes the connection without a word; a 421 closes it after the word.

    `kept`: the letter is kept although the client is told otherwise, as when a server dies after DATA.
    `for_seconds`: the reply stands for so long and is not used up meanwhile, as a greylisting server's.
    `delay_seconds`: so long the client waits for it; with a text of None, for the end of the connection.
    """

    step: Step
    text: Annotated[str, StringConstraints(pattern=r"^[245]\d\d [ -~]+$")] | None
    address: str | None = None  # for MAIL the sender, for RCPT the recipient; None: any
    times: PositiveInt = 1
    skip: NonNegativeInt = 0
    kept: bool = False
    for_seconds: PositiveFloat | None = None
    delay_seconds: NonNegativeFloat = 0.0
    _ends_at: float | None = PrivateAttr(default=None)

    def begin(self, *, now: float) -> None:
        """Let the time run, in seconds of a steady clock."""
        if self.for_seconds is not None:
            self._ends_at = now + self.for_seconds

    def is_over(self, *, now: float) -> bool:
        """Tell whether its time has run out."""
        return self._ends_at is not None and now >= self._ends_at

    def use(self) -> bool:
        """Use it up once, and tell whether it is left."""
        if self._ends_at is not None:
            return True
        self.times -= 1
        return self.times > 0

    @property
    def hangs_up(self) -> bool:
        """Tell whether the connection closes, RFC 5321, section 3.8."""
        return self.text is None or self.text.startswith("421")


class ReplyScript:
    """The replies that are still to come, oldest first."""

    def __init__(self) -> None:
        self._replies: list[Reply] = []

    def add(self, replies: Iterable[Reply]) -> None:
        """Append to the script; from now on the time of each runs."""
        for reply in replies:
            reply.begin(now=time.monotonic())
            self._replies.append(reply)

    def clear(self) -> None:
        """From now on every letter is taken."""
        self._replies.clear()

    def take(self, step: Step, address: str | None = None) -> Reply | None:
        """Use up one reply for this command; None where it is to be answered honestly."""
        now = time.monotonic()
        self._replies = [reply for reply in self._replies if not reply.is_over(now=now)]
        for reply in self._replies:
            if reply.step is not step or reply.address not in {None, address}:
                continue
            if reply.skip:
                reply.skip -= 1
                continue
            if not reply.use():
                self._replies.remove(reply)
            return reply
        return None
