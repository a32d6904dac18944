"""One library: what it owns, its users, who is subscribed to its news. No clock, no network."""

from array import array
from dataclasses import dataclass, field

from local.simulators.apple.assets import Asset, AssetKey, HolderKind
from local.simulators.apple.users import User, Users

ANY_ACCOUNT = (
    "@example.com"  # whose managed accounts belong to a library's organization unless said otherwise
)


@dataclass(slots=True)
class Subscription:
    """Where a library's notifications go; without a URL nowhere."""

    url: str = ""
    auth_token: str = ""
    types: tuple[str, ...] = ()


@dataclass(slots=True)
class Library:
    """All that the tokens of one organizational unit see.

    `revision` counts its changes; `versions` finds the revision of every version id told so far, and
    `moments` the UNIX time of every revision.
    """

    uid: str
    country: str
    platform: str
    location_name: str
    version_id: str
    managed_accounts: tuple[str, ...] = (ANY_ACCOUNT,)  # addresses, or `@domain` for all of a domain
    accounts_without_terms: frozenset[str] = frozenset()
    assets: dict[AssetKey, Asset] = field(default_factory=dict)
    users: Users = field(default_factory=Users)
    mdm_info: dict[str, str] | None = None
    client_context: str = ""  # what version 1 has in the place of mdm_info
    subscription: Subscription = field(default_factory=Subscription)
    revision: int = 0
    versions: dict[str, int] = field(default_factory=dict)
    moments: "array[float]" = field(default_factory=lambda: array("d", [0.0]))

    def __post_init__(self) -> None:
        self.versions.setdefault(self.version_id, self.revision)

    def change(self, version_id: str, moment: float) -> int:
        """Begin a revision, with its version id and UNIX time, and answer its number."""
        self.revision += 1
        self.version_id = version_id
        self.versions[version_id] = self.revision
        self.moments.append(moment)
        return self.revision

    def manages(self, account: str) -> bool:
        """Tell whether an account is a managed one of the library's organization."""
        domain = account[account.rfind("@") :].lower()
        return any(account.lower() == one.lower() or domain == one.lower() for one in self.managed_accounts)

    def revoke(self, kind: HolderKind, target: str) -> list[AssetKey]:
        """Take all revocable licenses from a device or a user, and answer of which assets."""
        taken = [asset for asset in self.assets.values() if asset.revocable and target in asset.holders[kind]]
        for asset in taken:
            asset.disassociate(kind, [target], at=self.revision)
        return [asset.key for asset in taken]

    def retire(self, user: User, *, keeps_books: bool) -> None:
        """End a user: revocable licenses come back. `keeps_books` counts the others as retired."""
        self.revoke(HolderKind.USER, user.client_user_id)
        if keeps_books:
            for asset in self.assets.values():
                asset.keep(user.client_user_id, user.number, at=self.revision)
        self.users.end(user, at=self.revision)

    def give_back(self, user: User) -> None:
        """Let a user who lives again hold what it kept when it retired."""
        for asset in self.assets.values():
            asset.give_back(user.number, at=self.revision)
