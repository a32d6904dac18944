"""What a slice of an event does to its library; documentation "Managing assets" and "Managing users"."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from local.simulators.apple.assets import Asset, HolderKind
from local.simulators.apple.events import Event, EventType, Slice, UserWish
from local.simulators.apple.library import Library
from local.simulators.apple.settings import Knobs
from local.simulators.apple.users import User, UserRefused, UserStatus

NO_USER, HELD_ALREADY, NOT_HELD, NOT_ENOUGH = 9609, 9616, 9619, 9709
FOREIGN_ACCOUNT, NO_TERMS = 9635, 9642

Failed = dict[int, list[str]]  # by error number
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Scene:
    """What working a slice takes besides the event: the library, the rules, the time and fresh codes."""

    library: Library
    knobs: Knobs
    moment: float
    new_code: Callable[[], str]


def work(event: Event, part: Slice, scene: Scene) -> None:
    """Do these tasks now, in the revision that has begun, and note who failed and what a revoke took."""
    failed: Failed = {}
    targets = part.targets
    if event.doom is not None:
        doomed = [target for target in targets if event.doom.meets(target)]
        if doomed:
            failed[event.doom.number] = doomed
            targets = [target for target in targets if not event.doom.meets(target)]
    taken: list[Row] = []
    match event.type:
        case EventType.ASSOCIATE:
            _associate(event, part._replace(targets=targets), scene, failed)
        case EventType.DISASSOCIATE:
            _disassociate(part._replace(targets=targets), scene, failed)
        case EventType.REVOKE:
            taken = _revoke(part._replace(targets=targets), scene)
        case EventType.CREATE | EventType.UPDATE | EventType.RETIRE:
            _manage([event.wishes[target] for target in targets], event.type, scene, failed)
    event.note(part, failed, taken)


def tie_managed(user: User, account: str, scene: Scene) -> User:
    """Tie a managed account of the organization at once. Raises `UserRefused` 9635, 9641, 9642."""
    if user.status is UserStatus.ASSOCIATED and user.account == account:
        return user
    if user.status is UserStatus.ASSOCIATED or not scene.library.manages(account):
        raise UserRefused(FOREIGN_ACCOUNT)
    return tie(user, account, scene)


def tie(user: User, account: str, scene: Scene) -> User:
    """Tie any account to a Registered record. Raises `UserRefused` 9641, 9642."""
    library = scene.library
    if account in library.accounts_without_terms:
        raise UserRefused(NO_TERMS)
    tied = library.users.tie(user, account, again=scene.knobs.same_account_again, at=library.revision)
    if tied is not user:
        library.give_back(tied)
    return tied


def register(wish: UserWish, scene: Scene) -> User:
    """Make a user, at once Associated where a managed account is named. Raises `UserRefused`: then there is none."""
    users, account = scene.library.users, wish.managed_apple_id
    if account is not None and wish.client_user_id not in users:
        _refuse_account(account, scene)
    user = users.register(
        wish.client_user_id,
        email=wish.email,
        code=scene.new_code(),
        moment=scene.moment,
        at=scene.library.revision,
    )
    return user if account is None else tie_managed(user, account, scene)


def check_free(account: str, library: Library) -> None:
    """Raise `UserRefused` 9641, 9642 for an account that a user without one cannot be tied to."""
    if account in library.accounts_without_terms:
        raise UserRefused(NO_TERMS)
    if library.users.with_account(account) is not None:
        raise UserRefused(9641)


def _refuse_account(account: str, scene: Scene) -> None:
    """Raise what would keep a new user from being tied, before there is one."""
    if not scene.library.manages(account):
        raise UserRefused(FOREIGN_ACCOUNT)
    check_free(account, scene.library)


def _associate(event: Event, part: Slice, scene: Scene, failed: Failed) -> None:
    asset = _asset(part, scene)
    if asset is None:  # taken from the list meanwhile: none of it is left
        failed.setdefault(NOT_ENOUGH, []).extend(part.targets)
        return
    targets = part.targets
    if part.kind is HolderKind.USER:
        targets = _able_users(targets, scene, failed)
    if scene.knobs.associate_again == "fail":
        targets = _not_held(asset, part.kind, targets, failed)
    if scene.knobs.shortage == "all_or_nothing" and _is_short(event, asset):
        holders = asset.holders[part.kind]
        left = [target for target in targets if target not in holders]
    else:
        left = list(asset.associate(part.kind, targets, at=scene.library.revision))
    if left:
        failed.setdefault(NOT_ENOUGH, []).extend(left)


def _is_short(event: Event, asset: Asset) -> bool:
    """Tell whether an asset has too few licenses for all that the event still wants; once short, always."""
    if asset.key not in event.short:
        wanted = sum(
            target not in asset.holders[kind] for kind, targets in event.targets.items() for target in targets
        )
        if wanted <= asset.available:
            return False
        event.short.add(asset.key)
    return True


def _not_held(asset: Asset, kind: HolderKind, targets: Sequence[str], failed: Failed) -> Sequence[str]:
    holders = asset.holders[kind]
    held = [target for target in targets if target in holders]
    if not held:
        return targets
    failed.setdefault(HELD_ALREADY, []).extend(held)
    return [target for target in targets if target not in holders]


def _able_users(targets: Sequence[str], scene: Scene, failed: Failed) -> list[str]:
    """Leave over the users that can be given something now."""
    able = []
    for target in targets:
        number = _user_problem(scene.library.users.active(target), scene.knobs)
        if number is None:
            able.append(target)
        else:
            failed.setdefault(number, []).append(target)
    return able


def _user_problem(user: User | None, knobs: Knobs) -> int | None:
    if user is None or (user.status is UserStatus.REGISTERED and knobs.registered_users == "fail"):
        return NO_USER
    if knobs.user_device_cap is not None and user.devices > knobs.user_device_cap:
        return knobs.user_device_cap_error
    return None


def _disassociate(part: Slice, scene: Scene, failed: Failed) -> None:
    asset = _asset(part, scene)
    missing: Sequence[str] = part.targets
    if asset is not None:
        missing = asset.disassociate(part.kind, part.targets, at=scene.library.revision)
    if missing and scene.knobs.disassociate_missing == "fail":
        failed.setdefault(NOT_HELD, []).extend(missing)


def _asset(part: Slice, scene: Scene) -> Asset | None:
    return None if part.asset is None else scene.library.assets.get(part.asset)


def _revoke(part: Slice, scene: Scene) -> list[Row]:
    return [
        {**key.wire(), part.kind: target}
        for target in part.targets
        for key in scene.library.revoke(part.kind, target)
    ]


def _manage(wishes: Sequence[UserWish], kind: EventType, scene: Scene, failed: Failed) -> None:
    for wish in wishes:
        try:
            if kind is EventType.CREATE:
                register(wish, scene)
            else:
                _change(wish, kind, scene)
        except UserRefused as refused:
            failed.setdefault(refused.number, []).append(wish.client_user_id)


def _change(wish: UserWish, kind: EventType, scene: Scene) -> None:
    """Update or retire an active user. Absent fields stay as they are."""
    library = scene.library
    user = library.users.active(wish.client_user_id)
    if user is None:
        raise UserRefused(NO_USER)
    if kind is EventType.RETIRE:
        library.retire(user, keeps_books=scene.knobs.retired_books == "retired")
        return
    if wish.managed_apple_id is not None:
        user = tie_managed(user, wish.managed_apple_id, scene)
    if wish.email is not None:
        user.email = wish.email
    user.revision = library.revision
