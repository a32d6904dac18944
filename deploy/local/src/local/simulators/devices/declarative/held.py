"""What one channel holds of declarative management: its declarations, the apps they want, and what it told of them."""

from dataclasses import dataclass, field
from enum import StrEnum, auto
from typing import Any

from local.simulators.devices.content import App, Journey, settled, stage_at

OPTIONAL = "Optional"
NOT_PRESENT = "NotPresent"
Payload = dict[str, Any]
Reason = dict[str, Any]


class DeclarationKind(StrEnum):
    """The four kinds, as the endpoint `declaration/<kind>/<Identifier>` names them."""

    ACTIVATION = auto()
    ASSET = auto()
    CONFIGURATION = auto()
    MANAGEMENT = auto()

    @property
    def plural(self) -> str:
        """What lists of them are called: in a status report so, in `declaration-items` with a capital."""
        return self.value if self is DeclarationKind.MANAGEMENT else f"{self.value}s"


class Validity(StrEnum):
    """What the device thinks of a declaration."""

    UNKNOWN = auto()
    INVALID = auto()
    VALID = auto()


class Due(StrEnum):
    """Where a synchronization begins: a command without a token makes the device ask for it first."""

    TOKENS = "tokens"
    ITEMS = "declaration-items"


@dataclass(slots=True)
class Declaration:
    """One declaration as it was fetched, and how it was judged."""

    kind: DeclarationKind
    identifier: str
    server_token: str
    type: str
    payload: Payload
    valid: Validity = Validity.UNKNOWN
    active: bool = False
    reasons: tuple[Reason, ...] = ()


@dataclass(slots=True)
class DeclaredApp:
    """An app that an `app.managed` configuration wants; it is in `Device.apps` once it installs or is there."""

    declaration: str
    server_token: str
    app: App
    optional: bool = False
    picked: bool = False  # a user wants the optional app
    registered: bool = False  # whether it is in `Device.apps`
    composed: bool = False  # it was installed some other way, and stays when the declaration goes
    failure: str | None = None  # the code that goes with the end `Failed`
    update: Journey = ()  # of an update that is under way, or broke
    external_version: int | None = None  # pinned

    def update_state(self, now: float) -> str:
        """Apple's word for the update; empty where there is none."""
        return stage_at(self.update, now) if self.update else ""

    def step_back(self) -> None:
        """Be optional again: a user removed it (Apple: `app.managed.list`)."""
        self.app = App(self.app.adam_id, self.app.identifier, settled(OPTIONAL), managed=True)
        self.picked = self.registered = False
        self.update = ()


@dataclass(slots=True)
class Declarations:
    """Declarative management of one channel; a channel where nobody turned it on has none."""

    token: str | None = None  # the DeclarationsToken of the set that it holds
    due: Due | None = None
    held: dict[tuple[DeclarationKind, str], Declaration] = field(default_factory=dict)
    apps: dict[str, DeclaredApp] = field(default_factory=dict)  # by identifier of the configuration
    subscriptions: frozenset[str] = frozenset()
    told: dict[str, Any] = field(default_factory=dict)  # status items as the server took them last
    told_errors: frozenset[str] = frozenset()
    full_report_at: float = 0.0  # the first report is a full one

    def take_due(self) -> Due | None:
        """Take the synchronization that is due, so that one asked for meanwhile is due again."""
        due, self.due = self.due, None
        return due

    def of_kind(self, kind: DeclarationKind) -> list[Declaration]:
        """Answer the declarations of a kind, in the server's order."""
        return [declaration for declaration in self.held.values() if declaration.kind is kind]

    def app(self, identifier: str) -> DeclaredApp | None:
        """Find who manages an app by its bundle identifier."""
        return next((each for each in self.apps.values() if each.app.identifier == identifier), None)


def reason(code: str, description: str, **details: Any) -> Reason:
    """Make a reason as status items carry it (Apple: `StatusReason`)."""
    return {"code": code, "description": description} | ({"details": details} if details else {})
