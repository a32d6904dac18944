"""Users in version 1 of the API: registered and asked for in one synchronous call each."""

from collections.abc import Mapping
from typing import Any

from local.simulators.apple.assets import HolderKind
from local.simulators.apple.errors import AppleError
from local.simulators.apple.events import UserWish
from local.simulators.apple.legacy_licenses import license_row
from local.simulators.apple.service_config import INVITATION_PATH, INVITATION_QUERY
from local.simulators.apple.users import User, UserRefused, UserStatus
from local.simulators.apple.working import Scene, register, tie_managed

Said = Mapping[str, Any]


def register_user(said: Said, scene: Scene, origin: str) -> Said:
    """Register a user, or answer the active one of this id. Raises `AppleError` 9600, 9635, 9641, 9642."""
    client_user_id = said.get("clientUserIdStr")
    if not client_user_id:
        raise AppleError(9600)
    account = said.get("managedAppleIDStr") or None
    user = scene.library.users.active(str(client_user_id))
    try:
        if user is None:
            user = register(UserWish(str(client_user_id), said.get("email") or None, account), scene)
        elif account is not None and user.account is None:
            user = tie_managed(user, account, scene)
    except UserRefused as refused:
        raise AppleError(refused.number) from None
    return {"user": user_row(user, origin)}


def get_user(said: Said, scene: Scene, origin: str) -> Said:
    """Answer one user by `userId`, or by `clientUserIdStr` and perhaps `itsIdHash`. Raises `AppleError` 9600, 9609."""
    users = scene.library.users
    if said.get("userId"):
        user = users.numbered(int(said["userId"])) if str(said["userId"]).isdecimal() else None
    elif said.get("clientUserIdStr"):
        client_user_id, id_hash = str(said["clientUserIdStr"]), said.get("itsIdHash")
        user = users.latest(client_user_id)
        if id_hash is not None:
            user = next((one for one in users.of(client_user_id) if one.id_hash == id_hash), None)
    else:
        raise AppleError(9600)
    if user is None:
        raise AppleError(9609)
    licenses = [
        license_row(scene.library.uid, asset, HolderKind.USER, user.client_user_id)
        for asset in scene.library.assets.values()
        if user.active and user.client_user_id in asset.holders[HolderKind.USER]
    ]
    return {"user": user_row(user, origin) | ({"licenses": licenses} if licenses else {})}


def get_users(said: Said, scene: Scene, origin: str) -> Said:
    """Answer all users in one batch, with retired ones by `includeRetired`, without others by `includeRetiredOnly`.

    Raises `AppleError` 9602.
    """
    library = scene.library
    token = said.get("sinceModifiedToken")
    since = library.versions.get(token) if token else -1
    if since is None:
        raise AppleError(9602)
    only_retired = _is_on(said, "includeRetiredOnly")
    wanted = {False} if only_retired else {True, False} if _is_on(said, "includeRetired") else {True}
    rows = [
        user_row(user, origin) for user in library.users if user.revision > since and user.active in wanted
    ]
    return {"users": rows, "totalCount": len(rows), "sinceModifiedToken": library.version_id}


def _is_on(said: Said, name: str) -> bool:
    return str(said.get(name, "0")).lower() in {"1", "true"}


def user_row(user: User, origin: str) -> dict[str, Any]:
    """Describe a user in the words of version 1, with the link of the invitation while it is Registered."""
    row: dict[str, Any] = {
        "userId": user.number,
        "clientUserIdStr": user.client_user_id,
        "status": user.status,
    }
    if user.email is not None:
        row["email"] = user.email
    if user.status is UserStatus.REGISTERED:
        query = INVITATION_QUERY.replace("%25inviteCode%25", user.invite_code)
        row["inviteCode"] = user.invite_code
        row["inviteUrl"] = f"{origin}{INVITATION_PATH}?{query}"
    if user.account is not None:
        row["itsIdHash"] = user.id_hash
    return row
