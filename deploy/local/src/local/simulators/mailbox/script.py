"""Replies on command: what the next matching commands of a mail client get instead of an honest 250."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveInt, StringConstraints


class Step(StrEnum):
    """Where in the dialogue a reply is scripted; DATA means after the whole letter has arrived."""

    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"


class Reply(BaseModel):
    """One scripted reply. `text` None closes the connection without a word; a 421 closes it after the word.

    `kept`: the letter is kept although the client is told otherwise, as when a server dies after DATA.
    """

    model_config = ConfigDict(extra="forbid")

    step: Step
    text: Annotated[str, StringConstraints(pattern=r"^[245]\d\d [ -~]+$")] | None
    address: str | None = None  # for MAIL the sender, for RCPT the recipient; None: any
    times: PositiveInt = 1
    skip: NonNegativeInt = 0
    kept: bool = False

    @property
    def hangs_up(self) -> bool:
        """Tell whether the connection closes, RFC 5321, section 3.8."""
        return self.text is None or self.text.startswith("421")


class ReplyScript:
    """The replies that are still to come, oldest first."""

    def __init__(self) -> None:
        self._replies: list[Reply] = []

    def add(self, replies: Iterable[Reply]) -> None:
        """Append to the script."""
        self._replies.extend(replies)

    def clear(self) -> None:
        """From now on every letter is taken."""
        self._replies.clear()

    def take(self, step: Step, address: str | None = None) -> Reply | None:
        """Use up one reply for this command; None where it is to be answered honestly."""
        for reply in self._replies:
            if reply.step is not step or reply.address not in {None, address}:
                continue
            if reply.skip:
                reply.skip -= 1
                continue
            reply.times -= 1
            if not reply.times:
                self._replies.remove(reply)
            return reply
        return None
