"""An app or a book on its way onto a device: stages in time, each with Apple's word for it. Pure."""

import math
from dataclasses import dataclass, field

MANAGED = "Managed"
INSTALLED = "Installed"  # there, and nobody's business: not one of Apple's words for apps
PROMPTING_FOR_LOGIN = "PromptingForLogin"
UNINSTALLED = "ManagedButUninstalled"
FOREVER = math.inf

# Told once in ManagedApplicationList, and then gone (Apple: `ManagedApplicationList`).
ONE_SHOT = frozenset({"UserInstalledApp", "UserRejected", "UpdateRejected", "ManagementRejected", "Failed"})
VANISHING = frozenset({"UserRejected", "Failed"})  # of these nothing is left
ABSENT = frozenset(
    {
        "Queued",
        "Prompting",
        "PromptingForConsent",
        PROMPTING_FOR_LOGIN,
        "ValidatingPurchase",
        "Downloading",
        "Installing",
        UNINSTALLED,
        "Optional",
        "NotPresent",
        *VANISHING,
    }
)

Stage = tuple[str, float]  # Apple's word, and when it ends, in seconds since 1970
Journey = tuple[Stage, ...]


@dataclass(slots=True)
class App:
    """One app, managed or not. Its journey ends in a stage that lasts."""

    adam_id: int | None  # None: an in-house app
    identifier: str
    journey: Journey
    managed: bool
    management_flags: int = 0
    attributes: dict[str, object] = field(default_factory=dict)
    has_configuration: bool = False
    by_device_license: bool = True
    user: str | None = None  # whose channel it came on; None: the device's

    def status(self, now: float) -> str:
        """Apple's word for it now; `Installed` where nobody manages it and it is there."""
        word = stage_at(self.journey, now)
        return INSTALLED if word == MANAGED and not self.managed else word

    def is_there(self, now: float) -> bool:
        """Whether it can be opened."""
        return stage_at(self.journey, now) not in ABSENT

    def tell(self, now: float) -> bool:
        """Have its status reported: what is told once becomes what it stands for. Answers whether it stays."""
        word = self.status(now)
        if word not in ONE_SHOT:
            return True
        self.managed = self.managed and word == "UpdateRejected"
        self.journey = settled(MANAGED)
        return word not in VANISHING


@dataclass(slots=True)
class Book:
    """One book; `store_id` for a bought one, `persistent_id` for one of the organization's own."""

    journey: Journey
    store_id: int | None = None
    persistent_id: str | None = None
    facts: dict[str, str] = field(default_factory=dict)  # Kind, Version, Author, Title

    def status(self, now: float) -> str:
        """Apple's word for it now."""
        return stage_at(self.journey, now)


def settled(word: str) -> Journey:
    """Make a journey that is over."""
    return ((word, FOREVER),)


def journey(now: float, *stages: tuple[str, float], end: str) -> Journey:
    """Make a journey from words and the seconds of each; a stage of no time is left out, but for the last.

    The last one stands in the journey even so: it is what the device says when it has just begun.
    """
    made: list[Stage] = []
    for number, (word, seconds) in enumerate(stages, start=1):
        now += seconds
        if seconds > 0 or number == len(stages):
            made.append((word, now))
    return (*made, (end, FOREVER))


def stage_at(journey_: Journey, now: float) -> str:
    """Find Apple's word for the stage at a moment."""
    return next(word for word, ends_at in journey_ if now < ends_at)
