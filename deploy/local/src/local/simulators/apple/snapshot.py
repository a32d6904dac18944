"""The whole state as JSON and back: what is loaded goes on exactly where it was dumped. It holds secrets.

A notification that is just being sent is sent anew: whether it was heard is not known yet. Requests that are just being
answered are their clients' affair.
"""

from array import array
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel, TypeAdapter

from local.simulators.admin import STRICT
from local.simulators.apple.assets import Asset, AssetKey, HolderKind
from local.simulators.apple.clock import VirtualClock
from local.simulators.apple.deliveries import Delivery, Notification
from local.simulators.apple.dice import CountingDice
from local.simulators.apple.events import Event, Failure, UserWish
from local.simulators.apple.faults import Fault
from local.simulators.apple.library import Library, Subscription
from local.simulators.apple.settings import LIMITS, Knobs
from local.simulators.apple.titles import Title
from local.simulators.apple.tokens import Rights, Token
from local.simulators.apple.users import User, Users
from local.simulators.apple.world import LOG_LENGTH, LoggedRequest, World

FORM = 1  # of the document; another one is refused

Document = dict[str, Any]
Said = Mapping[str, Any]


class _Form(BaseModel):
    model_config = STRICT


class ClockForm(_Form):
    """A clock as it is written down."""

    turned: float
    frozen_at: float | None


class LibraryForm(_Form):
    """A library as it is written down."""

    uid: str
    country: str
    platform: str
    location_name: str
    version_id: str
    managed_accounts: tuple[str, ...]
    accounts_without_terms: frozenset[str]
    assets: list[Document]
    users: list[User]
    mdm_info: dict[str, str] | None
    client_context: str
    subscription: Subscription
    revision: int
    versions: dict[str, int]
    moments: list[float]


class TokenForm(_Form):
    """A token as it is written down; `library` is its uid, `expires_at` a UNIX time."""

    text: str
    library: str
    expires_at: float
    account: str
    rights: Rights
    revoked: bool


class DeliveryForm(_Form):
    """A notification under way as it is written down."""

    notification: Notification
    due_at: float
    failures: int


ASSET = TypeAdapter(Asset)
COUNTS = TypeAdapter(dict[str, int])
EVENT = TypeAdapter(Event)
FAULTS = TypeAdapter(list[Fault])
KEYS = TypeAdapter(list[AssetKey])
KNOBS = TypeAdapter(Knobs)
LOG = TypeAdapter(list[LoggedRequest])
NAMES = TypeAdapter(list[str])
TEXTS = TypeAdapter(dict[str, str])
TITLES = TypeAdapter(dict[str, Title])


def dump(world: World) -> Document:
    """Write down everything."""
    return {
        "form": FORM,
        "dice": {"seed": world.dice.seed, "ids": world.dice.ids, "chances": world.dice.chances},
        "clock": {"turned": world.clock.turned, "frozen_at": world.clock.frozen_at},
        "knobs": {knob.name: _plain(getattr(world.knobs, knob.name)) for knob in fields(Knobs)},
        "libraries": [_library(library) for library in world.libraries.values()],
        "tokens": [_token(token) for token in world.tokens.values()],
        "events": [_event(event) for event in world.events.values()],
        "deliveries": [asdict(delivery) for delivery in world.deliveries],
        "titles": TITLES.dump_python(world.titles, mode="json"),
        "developer_keys": world.developer_keys,
        "faults": FAULTS.dump_python(list(world.faults), mode="json", exclude={"__all__": {"scripted_at"}}),
        "log": [list(request) for request in world.log],
        "requests": dict(world.requests),
        "notifications": dict(world.notifications),
    }


def read(said: Said, *, now: float) -> World:
    """Make a world of what was written down, at `now` of the loop's clock. Raises ValueError where it is none."""
    try:
        return _read(said, now=now)
    except (ArithmeticError, AttributeError, LookupError, OSError, TypeError) as error:
        raise ValueError(repr(error)) from error


def _read(said: Said, *, now: float) -> World:
    if said["form"] != FORM:
        raise ValueError(f"the form {said['form']!r} is not {FORM}")
    world = World(seed=0, knobs=Knobs())
    world.dice = CountingDice(**COUNTS.validate_python(said["dice"]))
    world.clock = VirtualClock(**dict(ClockForm.model_validate(said["clock"])))
    world.clock.advance(timedelta(0))  # raises where time ends
    world.knobs = KNOBS.validate_python({**said["knobs"], "limits": {**LIMITS, **said["knobs"]["limits"]}})
    libraries = [_read_library(one) for one in said["libraries"]]
    world.libraries = {library.uid: library for library in libraries}
    world.tokens = {token.text: token for token in (_read_token(one, world) for one in said["tokens"])}
    world.events = {event.event_id: event for event in (_read_event(one, world) for one in said["events"])}
    forms = [DeliveryForm.model_validate(one) for one in said["deliveries"]]
    world.deliveries = {Delivery(**dict(form)): None for form in forms}
    world.titles = TITLES.validate_python(said["titles"])
    world.developer_keys = TEXTS.validate_python(said["developer_keys"])
    world.faults.add(FAULTS.validate_python(said["faults"]), now=now)
    world.log = deque(LOG.validate_python(said["log"]), LOG_LENGTH)
    world.requests = Counter(COUNTS.validate_python(said["requests"]))
    world.notifications = Counter(COUNTS.validate_python(said["notifications"]))
    return world


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value


def _library(library: Library) -> Document:
    return {
        "uid": library.uid,
        "country": library.country,
        "platform": library.platform,
        "location_name": library.location_name,
        "version_id": library.version_id,
        "managed_accounts": library.managed_accounts,
        "accounts_without_terms": sorted(library.accounts_without_terms),
        "assets": [_asset(asset) for asset in library.assets.values()],
        "users": [asdict(user) for user in library.users],
        "mdm_info": library.mdm_info,
        "client_context": library.client_context,
        "subscription": asdict(library.subscription),
        "revision": library.revision,
        "versions": library.versions,
        "moments": list(library.moments),
    }


def _read_library(said: Said) -> Library:
    form = LibraryForm.model_validate(said)
    if len(form.moments) != form.revision + 1:
        raise ValueError("a library has a moment for each revision")
    library = Library(
        **{
            **dict(form),
            "moments": array("d", form.moments),
            "assets": {asset.key: asset for asset in map(_read_asset, form.assets)},
            "users": Users(),
        }
    )
    for user in form.users:
        library.users.add(user)
    for asset in library.assets.values():
        held = [*asset.holders.values(), *asset.former.values()]
        if any(not 0 <= at <= library.revision for holders in held for at in holders.values()):
            raise ValueError("a license was given in a revision to come")
    return library


def _asset(asset: Asset) -> Document:
    return {
        "key": asset.key,
        "product_type": asset.product_type,
        "platforms": asset.platforms,
        "device_assignable": asset.device_assignable,
        "revocable": asset.revocable,
        "unlimited": asset.unlimited,
        "total": asset.total,
        "revision": asset.revision,
        "holders": asset.holders,
        "former": asset.former,
        "kept": [[number, *kept] for number, kept in asset.kept.items()],
    }


def _read_asset(said: Said) -> Asset:
    return ASSET.validate_python(
        {**said, "kept": {number: (client_user_id, since) for number, client_user_id, since in said["kept"]}}
    )


def _token(token: Token) -> Document:
    return {
        "text": token.text,
        "library": token.library.uid,
        "expires_at": token.expires_at.timestamp(),
        "account": token.account,
        "rights": token.rights,
        "revoked": token.revoked,
    }


def _read_token(said: Said, world: World) -> Token:
    form = TokenForm.model_validate(said)
    return Token(
        **{
            **dict(form),
            "library": world.libraries[form.library],
            "expires_at": datetime.fromtimestamp(form.expires_at, UTC),
        }
    )


def _event(event: Event) -> Document:
    return {
        "event_id": event.event_id,
        "uid": event.uid,
        "type": event.type,
        "assets": event.assets,
        "targets": event.targets,
        "wishes": list(event.wishes.values()),
        "requested": event.requested,
        "worked": event.worked,
        "completed": event.completed,
        "status": event.status,
        "failures": [
            [number, list(failure.assets), {kind: list(names) for kind, names in failure.targets.items()}]
            for number, failure in event.failures.items()
        ],
        "short": list(event.short),
        "stuck": event.stuck,
        "doom": event.doom and [event.doom.number, sorted(event.doom.targets)],
        "begins_at": event.begins_at,
        "ended_at": event.ended_at,
        "told": event.told,
        "untold_failures": event.untold_failures,
        "untold_rows": event.untold_rows,
    }


def _read_event(said: Said, world: World) -> Event:
    wishes = [UserWish(*wish) for wish in said["wishes"]]
    event = EVENT.validate_python(
        {
            **said,
            "wishes": {wish.client_user_id: wish for wish in wishes},
            "failures": {number: _read_failure(*rest) for number, *rest in said["failures"]},
        }
    )
    if event.uid not in world.libraries:
        raise ValueError(f"an event of no library {event.uid!r}")
    return event


def _read_failure(assets: list[Any], targets: Mapping[str, list[str]]) -> Failure:
    return Failure(
        dict.fromkeys(KEYS.validate_python(assets)),
        {kind: dict.fromkeys(NAMES.validate_python(targets[kind])) for kind in HolderKind},
    )
