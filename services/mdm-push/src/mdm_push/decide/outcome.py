"""What a decision looks like before it is stored: changed wishes, new commands, knowledge of apps, events."""

from dataclasses import dataclass, field

from mdm_push.model import App, Intent, NewCommand, Wish, WishState
from shared.events import Outgoing
from shared.events.mdm_push import InstallCompleted, InstallFailed, RemovalCompleted, RemovalFailed
from shared.events.words import NothingRemoved

WITHDRAWN = "withdrawn"
NOT_ENROLLED = "not_enrolled"


@dataclass(slots=True)
class Outcome:
    """The sum of one or more decisions, in order.

    A wish that is no longer commanded has no open command: whoever stores this withdraws it.
    """

    wishes: list[Wish] = field(default_factory=list)
    commands: list[NewCommand] = field(default_factory=list)
    apps: list[App] = field(default_factory=list)
    events: list[Outgoing] = field(default_factory=list)

    def add(self, other: "Outcome") -> None:
        """Append another decision."""
        self.wishes += other.wishes
        self.commands += other.commands
        self.apps += other.apps
        self.events += other.events

    def settle(self, wish: Wish) -> Wish:
        """Store a wish as it is now, and tell its end if it has come and somebody is owed the answer."""
        self.wishes.append(wish)
        if wish.owed:
            self.events += answers(wish)
        return wish


def answers(wish: Wish) -> list[Outgoing]:
    """Return the event of a wish's present state: one where it is over, none while it is open."""
    event = _terminal(wish)
    return [] if event is None else [Outgoing(event, wish.correlation_id, wish.causation_id)]


def _terminal(wish: Wish) -> InstallCompleted | InstallFailed | RemovalCompleted | RemovalFailed | None:
    if wish.state.open:
        return None
    about = {
        "enrollment_id": wish.enrollment_id,
        "delivery_id": wish.delivery_id,
        "entitlement_id": wish.entitlement_id,
        "asset_id": wish.asset_id,
        "kind": wish.kind,
    }
    failure = {
        "cause": wish.cause or WITHDRAWN,
        "error_domain": wish.error_domain,
        "error_code": wish.error_code,
    }
    match wish.intent, wish.state:
        case Intent.INSTALL, WishState.DONE:
            return InstallCompleted(**about)
        case Intent.INSTALL, _:
            return InstallFailed(**about, **failure)
        case _, WishState.DONE:
            return RemovalCompleted(**about, was=wish.was)
        case _, WishState.WITHDRAWN:
            return RemovalCompleted(**about, was=NothingRemoved.WITHDRAWN)
        case _:
            return RemovalFailed(**about, **failure)
