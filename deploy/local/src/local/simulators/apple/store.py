"""What Apple's store tells a device: a license is seen a while after it was given, an app outlives it by days."""

from collections.abc import Iterator
from dataclasses import dataclass

from local.simulators.apple.assets import Asset, HolderKind
from local.simulators.apple.library import Library
from local.simulators.apple.world import World

DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """Who asks for an app: a device, a user, or whichever user an Apple Account is tied to."""

    adam_id: str
    serial_number: str | None = None
    client_user_id: str | None = None
    account: str | None = None

    def names(self, library: Library) -> list[tuple[HolderKind, str]]:
        """Return who of a library that is."""
        user = None if self.account is None else library.users.with_account(self.account)
        found = [
            (HolderKind.SERIAL, self.serial_number),
            (HolderKind.USER, self.client_user_id),
            (HolderKind.USER, None if user is None else user.client_user_id),
        ]
        return [(kind, name) for kind, name in found if name is not None]


class Store:
    """Looks at all libraries: a device does not know which one gave it an app."""

    def __init__(self, world: World) -> None:
        self._world = world

    def held_seconds(self, asking: Asking) -> float | None:
        """Return for how long a license has been held, the longest one's; None where there is none to be seen."""
        now, lag = self._world.clock.seconds(), self._world.knobs.license_lag_seconds
        ages = [
            now - library.moments[asset.holders[kind][name]]
            for library, asset, kind, name in self._found(asking)
            if name in asset.holders[kind]
        ]
        return max((age for age in ages if age >= lag), default=None)

    def usable(self, asking: Asking) -> tuple[bool, float | None]:
        """Tell whether an app left on a device still opens, and until when if its license is gone (UNIX time)."""
        ends = []
        for library, asset, kind, name in self._found(asking):
            if name in asset.holders[kind]:
                return True, None
            if name in asset.former[kind]:
                taken_at = library.moments[asset.former[kind][name]]
                ends.append(taken_at + self._world.knobs.grace_days * DAY_SECONDS)
        end = max(ends, default=None)
        return end is not None and self._world.clock.seconds() < end, end

    def _found(self, asking: Asking) -> Iterator[tuple[Library, Asset, HolderKind, str]]:
        return (
            (library, asset, kind, name)
            for library in self._world.libraries.values()
            for asset in library.assets.values()
            if asset.key.adam_id == asking.adam_id
            for kind, name in asking.names(library)
        )
