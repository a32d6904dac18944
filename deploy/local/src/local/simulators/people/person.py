"""One person: what they do with an invitation, and what became of those they got."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Habit(StrEnum):
    """What somebody does with an invitation in a letter."""

    FOLLOWS = "follows"  # signs in with their own account and agrees to the terms
    IGNORES = "ignores"
    WRONG_ACCOUNT = "wrong_account"  # signs in with a private account that nobody knows
    SHARES_ACCOUNT = "shares_account"  # signs in with the account of the whole family
    STALLS = "stalls"  # opens the link, and stops at the terms until told to agree


class Outcome(StrEnum):
    """What became of an invitation."""

    IGNORED = "ignored"
    STALLED = "stalled"
    JOINED = "joined"
    GONE = "gone"  # answered already, expired, or never sent
    REFUSED = "refused"  # the account cannot be used, as one that is another user's (Apple error 9641)


@dataclass(frozen=True, slots=True)
class Answer:
    """What somebody did with one invitation, from which letter or device; its link is a secret and stays out."""

    source: str
    outcome: Outcome
    account: str | None = None


@dataclass(slots=True)
class Person:
    """Somebody by their mail address, which is their Apple Account too unless they have another."""

    address: str
    habit: Habit
    account: str
    letters_ignored: int = 0  # so many invitations are ignored before one is heeded
    delay_seconds: float = 0.0  # from an invitation's arrival until it is read
    answers: list[Answer] = field(default_factory=list)
    link: str | None = field(default=None, repr=False)  # of the newest invitation
    source: str = ""  # and where that was

    @property
    def signs_in_as(self) -> str:
        """The account that goes with the habit."""
        match self.habit:
            case Habit.WRONG_ACCOUNT:
                return f"private.{self.address.partition('@')[0]}@icloud.example"
            case Habit.SHARES_ACCOUNT:
                return f"family@{self.address.partition('@')[2]}"
            case Habit.FOLLOWS | Habit.IGNORES | Habit.STALLS:
                return self.account


def somebody(address: str, *, habits: Mapping[Habit, float], seed: int, delay_seconds: float) -> Person:
    """Make a person whose habit is drawn by its share; the address decides, not who came first."""
    dice = random.Random(f"{seed}:{address}")
    [habit] = dice.choices(list(habits), weights=list(habits.values()))
    return Person(address, habit, account=address, delay_seconds=delay_seconds)
