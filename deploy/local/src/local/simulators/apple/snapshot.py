"""The whole state as JSON and back: what is loaded goes on exactly where it was dumped. It holds secrets.

Notifications that are under way are not state: as with Apple's, nobody may rely on them.
"""

from array import array
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import UTC, datetime
from typing import Any

from pydantic import TypeAdapter

from local.simulators.apple.assets import Asset, AssetKey, HolderKind, Kept, ProductType, Quality
from local.simulators.apple.clock import VirtualClock
from local.simulators.apple.dice import Dice
from local.simulators.apple.events import Doom, Event, EventStatus, EventType, Failure, UserWish
from local.simulators.apple.faults import Fault
from local.simulators.apple.library import Library, Subscription
from local.simulators.apple.settings import Knobs
from local.simulators.apple.titles import Title
from local.simulators.apple.tokens import Rights, Token
from local.simulators.apple.users import User, Users, UserStatus
from local.simulators.apple.world import LOG_LENGTH, LoggedRequest, World

FORM = 1  # of the document; another one is refused
FAULTS = TypeAdapter(list[Fault])
KNOBS = TypeAdapter(Knobs)
TITLES = TypeAdapter(dict[str, Title])

Document = dict[str, Any]
Said = Mapping[str, Any]


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
        "titles": TITLES.dump_python(world.titles, mode="json"),
        "developer_keys": world.developer_keys,
        "faults": FAULTS.dump_python(list(world.faults), mode="json", exclude={"__all__": {"scripted_at"}}),
        "log": [list(request) for request in world.log],
        "requests": dict(world.requests),
        "notifications": dict(world.notifications),
    }


def load(world: World, said: Said, *, now: float) -> None:
    """Take a document over in the place of all there is, at `now` of the loop's clock.

    Raises KeyError, TypeError, ValueError where it is none.
    """
    if said["form"] != FORM:
        raise ValueError(f"the form {said['form']} is not {FORM}")
    world.reset()
    world.dice = Dice(**said["dice"])
    world.clock = VirtualClock(**said["clock"])
    world.knobs = KNOBS.validate_python(said["knobs"])
    libraries = [_read_library(one) for one in said["libraries"]]
    world.libraries = {library.uid: library for library in libraries}
    world.tokens = {one["text"]: _read_token(one, world.libraries) for one in said["tokens"]}
    world.events = {one["event_id"]: _read_event(one) for one in said["events"]}
    world.titles = TITLES.validate_python(said["titles"])
    world.developer_keys = dict(said["developer_keys"])
    world.faults.add(FAULTS.validate_python(said["faults"]), now=now)
    world.log = deque((LoggedRequest(*one) for one in said["log"]), LOG_LENGTH)
    world.requests = Counter(said["requests"])
    world.notifications = Counter(said["notifications"])


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
    library = Library(
        **{
            **said,
            "managed_accounts": tuple(said["managed_accounts"]),
            "accounts_without_terms": frozenset(said["accounts_without_terms"]),
            "subscription": Subscription(
                **{**said["subscription"], "types": tuple(said["subscription"]["types"])}
            ),
            "versions": dict(said["versions"]),
            "moments": array("d", said["moments"]),
            "assets": {asset.key: asset for asset in map(_read_asset, said["assets"])},
            "users": Users(),
        }
    )
    for user in said["users"]:
        library.users.add(User(**{**user, "status": UserStatus(user["status"])}))
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
    return Asset(
        **{
            **said,
            "key": _read_key(said["key"]),
            "product_type": ProductType(said["product_type"]),
            "platforms": tuple(said["platforms"]),
            "holders": {kind: dict(said["holders"][kind]) for kind in HolderKind},
            "former": {kind: dict(said["former"][kind]) for kind in HolderKind},
            "kept": {number: Kept(client_user_id, since) for number, client_user_id, since in said["kept"]},
        }
    )


def _read_key(said: Any) -> AssetKey:
    adam_id, quality = said
    return AssetKey(adam_id, Quality(quality))


def _token(token: Token) -> Document:
    return {
        "text": token.text,
        "library": token.library.uid,
        "expires_at": token.expires_at.timestamp(),
        "account": token.account,
        "rights": token.rights,
        "revoked": token.revoked,
    }


def _read_token(said: Said, libraries: Mapping[str, Library]) -> Token:
    return Token(
        said["text"],
        libraries[said["library"]],
        datetime.fromtimestamp(said["expires_at"], UTC),
        said["account"],
        Rights(said["rights"]),
        said["revoked"],
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
        "ended_at": event.ended_at,
    }


def _read_event(said: Said) -> Event:
    wishes = [UserWish(*wish) for wish in said["wishes"]]
    return Event(
        **{
            **said,
            "type": EventType(said["type"]),
            "assets": [_read_key(key) for key in said["assets"]],
            "targets": {HolderKind(kind): list(names) for kind, names in said["targets"].items()},
            "wishes": {wish.client_user_id: wish for wish in wishes},
            "status": EventStatus(said["status"]),
            "failures": {number: _read_failure(*rest) for number, *rest in said["failures"]},
            "short": {_read_key(key) for key in said["short"]},
            "doom": said["doom"] and Doom(said["doom"][0], frozenset(said["doom"][1])),
        }
    )


def _read_failure(assets: list[Any], targets: Mapping[str, list[str]]) -> Failure:
    return Failure(
        dict.fromkeys(_read_key(key) for key in assets),
        {kind: dict.fromkeys(targets[kind]) for kind in HolderKind},
    )
