"""Who holds what in a library: filters, counts and pages of assignments, and what changed since a version."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import NamedTuple

from local.simulators.apple.assets import Asset, HolderKind
from local.simulators.apple.library import Library
from local.simulators.apple.users import User

Row = dict[str, str | None]


class AssignmentFilter(NamedTuple):
    """Which assignments are asked for; None asks for all."""

    adam_id: str | None = None
    quality: str | None = None
    serial: str | None = None
    user: str | None = None
    since: int | None = None  # only what changed after this revision
    removals: bool = False  # with `since`: what was taken is listed too
    active_users_only: bool = False


class Group(NamedTuple):
    """Holders of one kind of one asset, with the revision of each. `record` is the retired user who keeps it."""

    asset: Asset
    kind: HolderKind
    holders: Mapping[str, int]
    record: User | None = None


def count_assignments(library: Library, wanted: AssignmentFilter) -> int:
    """How many assignments the filter finds."""
    return sum(len(group.holders) for group in find_groups(library, wanted))


def slice_assignments(
    library: Library, wanted: AssignmentFilter, start: int, size: int, *, with_users: bool = False
) -> list[Row]:
    """At most `size` assignments from the `start`-th on, in Apple's JSON, in a stable order.

    `with_users` adds the state of each user and the hash of its account.
    """
    rows: list[Row] = []
    for group in find_groups(library, wanted):
        if start >= len(group.holders):
            start -= len(group.holders)
            continue
        part = islice(group.holders, start, start + size - len(rows))
        rows.extend(_rows(library, group, part, with_users=with_users))
        if len(rows) == size:
            break
        start = 0
    return rows


def find_groups(library: Library, wanted: AssignmentFilter) -> Iterator[Group]:
    """Each asset's holders of each kind that the filter leaves over, the empty ones too."""
    for asset in library.assets.values():
        if wanted.adam_id not in {None, asset.key.adam_id} or wanted.quality not in {None, asset.key.quality}:
            continue
        if wanted.since is not None and asset.revision <= wanted.since:
            continue
        for group in _groups_of(library, asset, wanted):
            yield group._replace(holders=_named(group, wanted))


def _groups_of(library: Library, asset: Asset, wanted: AssignmentFilter) -> Iterator[Group]:
    for kind in HolderKind:
        holders = asset.holders[kind]
        if wanted.since is not None:
            holders = _since(holders, wanted.since)
            if wanted.removals:
                holders |= _since(asset.former[kind], wanted.since)
        if kind is HolderKind.USER and wanted.active_users_only:
            holders = {name: at for name, at in holders.items() if name in library.users}
        yield Group(asset, kind, holders)
    if wanted.active_users_only:
        return
    for number, kept in asset.kept.items():
        if wanted.since is None or kept.since > wanted.since:
            record = library.users.numbered(number)
            yield Group(asset, HolderKind.USER, {kept.client_user_id: kept.since}, record)


def _since(holders: Mapping[str, int], revision: int) -> dict[str, int]:
    return {name: at for name, at in holders.items() if at > revision}


def _named(group: Group, wanted: AssignmentFilter) -> Mapping[str, int]:
    """Leave over the one device or user that is asked for; asking for both finds nothing."""
    names = {HolderKind.SERIAL: wanted.serial, HolderKind.USER: wanted.user}
    name = names.pop(group.kind)
    if any(other is not None for other in names.values()):
        return {}
    if name is None:
        return group.holders
    return {name: group.holders[name]} if name in group.holders else {}


def _rows(library: Library, group: Group, names: Iterable[str], *, with_users: bool) -> Iterator[Row]:
    base = group.asset.key.wire()
    if not with_users or group.kind is HolderKind.SERIAL:
        return ({**base, group.kind: name} for name in names)
    return ({**base, group.kind: name, **_user_state(library, group, name)} for name in names)


def _user_state(library: Library, group: Group, name: str) -> Row:
    user = group.record or library.users.latest(name)
    if user is None:
        return {}
    state: Row = {"userStatus": user.status}
    return state | {"idHash": user.id_hash} if user.id_hash is not None else state
