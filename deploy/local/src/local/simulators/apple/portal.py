"""What people do in Apple's portal: open a library, buy, transfer and refund licenses, download tokens."""

from dataclasses import replace

from local.simulators.apple.library import Asset, AssetKey, AssignedOnRefund, CountError, HolderKind, Library
from local.simulators.apple.notify import Notifier
from local.simulators.apple.world import World


class Portal:
    """Changes what is owned, moves the library's version and tells its subscriber the delta."""

    def __init__(self, world: World, notifier: Notifier) -> None:
        self._world = world
        self._notifier = notifier

    def open_library(self, *, uid: str | None, country: str, platform: str, location_name: str) -> Library:
        """Begin an empty library; without a `uid` one is minted. Raises `CountError` where it exists."""
        uid = uid or self._world.new_id()
        if uid in self._world.libraries:
            raise CountError(f"the library {uid} exists")
        library = Library(uid, country, platform, location_name, self._world.new_id())
        self._world.libraries[uid] = library
        return library

    def buy(self, library: Library, asset: Asset, count: int) -> None:
        """Own `count` licenses more of an asset, which the library may not have had until now."""
        library.assets.setdefault(asset.key, asset).total += count
        self._changed(library, asset.key, count)

    def refund(self, library: Library, key: AssetKey, count: int, *, assigned: AssignedOnRefund) -> None:
        """Own `count` licenses less. Raises `CountError` where the policy for assigned ones forbids it."""
        library.assets[key].refund(count, assigned=assigned)
        self._changed(library, key, -count)

    def transfer(self, source: Library, target: Library, key: AssetKey, count: int) -> None:
        """Move licenses that nobody holds to another library. Raises `CountError` where too few are free."""
        asset = source.assets[key]
        self.refund(source, key, count, assigned=AssignedOnRefund.REFUSE)
        empty = replace(asset, total=0, retired=0, holders={kind: {} for kind in HolderKind})
        self.buy(target, empty, count)

    def _changed(self, library: Library, key: AssetKey, delta: int) -> None:
        self._world.touch(library)
        if delta:
            self._notifier.tell_counts(library, key, delta)
