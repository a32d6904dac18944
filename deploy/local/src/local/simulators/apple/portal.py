"""What people do in Apple's portal: open a library, buy, transfer and refund licenses, change what an asset is."""

from collections.abc import Iterable
from dataclasses import replace

from local.simulators.apple.assets import UNLIMITED, Asset, AssetKey, AssignedOnRefund, CountError, nobody
from local.simulators.apple.events import UserWish
from local.simulators.apple.library import Library
from local.simulators.apple.notify import Notifier
from local.simulators.apple.working import register, tie
from local.simulators.apple.world import World


class Portal:
    """Changes what is owned, moves the library's version and tells its subscriber the delta."""

    def __init__(self, world: World, notifier: Notifier) -> None:
        self._world = world
        self._notifier = notifier

    def open_library(self, library: Library, users: Iterable[str]) -> Library:
        """Begin a library with users and no asset; one without a `uid` gets one. Raises `CountError` where it exists.

        Raises `UserRefused` where two users have one account, or one has not agreed to the terms: then it is not open.
        """
        library.uid = library.uid or self._world.new_id()
        if library.uid in self._world.libraries:
            raise CountError(f"the library {library.uid} exists")
        self._world.touch(library)
        for client_user_id in users:
            self._know_user(library, client_user_id)
        self._world.libraries[library.uid] = library
        return library

    def _know_user(self, library: Library, client_user_id: str) -> None:
        """Have a user who is associated already, with an account of its own."""
        scene = self._world.begin(library)
        tie(register(UserWish(client_user_id), scene), f"{client_user_id}@people.example", scene)

    def buy(self, library: Library, asset: Asset, count: int) -> None:
        """Own `count` licenses more of an asset, which the library may not have had until now.

        Raises `CountError` where they become more than Apple can count.
        """
        check_room(library, asset.key, count)
        self._world.touch(library)
        library.assets.setdefault(asset.key, asset).total += count
        self._tell(library, asset.key, count)

    def refund(self, library: Library, key: AssetKey, count: int, *, assigned: AssignedOnRefund) -> None:
        """Own `count` licenses less. Raises `CountError` where the policy for assigned ones forbids it."""
        library.assets[key].check_refund(count, assigned=assigned)
        self._world.touch(library)
        library.assets[key].refund(count, assigned=assigned, at=library.revision)
        self._tell(library, key, -count)

    def transfer(self, source: Library, target: Library, key: AssetKey, count: int) -> None:
        """Move licenses that nobody holds to another library. Raises `CountError` where too few are free."""
        asset = source.assets[key]
        if target is not source:
            check_room(target, key, count)
        self.refund(source, key, count, assigned=AssignedOnRefund.REFUSE)
        empty = replace(asset, total=0, holders=nobody(), former=nobody(), kept={})
        self.buy(target, empty, count)

    def set_unlimited(self, library: Library, asset: Asset, *, unlimited: bool) -> None:
        """Make a free asset unlimited, or go back to counting what was bought."""
        self._world.touch(library)
        asset.unlimited = unlimited
        self._notifier.tell_unlimited(library, asset)

    def _tell(self, library: Library, key: AssetKey, delta: int) -> None:
        if delta:
            self._notifier.tell_counts(library, key, delta)


def check_room(library: Library, key: AssetKey, count: int) -> None:
    """Raise `CountError` where `count` licenses more would be more than Apple can count."""
    owned = library.assets[key].total if key in library.assets else 0
    if owned + count > UNLIMITED:
        raise CountError(f"more than {UNLIMITED} of {key.adam_id}")
