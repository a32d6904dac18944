"""Which platform a device is, from what it calls itself. Pure."""

from shared.events.words import Platform

_PREFIXES = {
    "iPhone": Platform.IOS,
    "iPad": Platform.IOS,
    "iPod": Platform.IOS,
    "AppleTV": Platform.TVOS,
    "Watch": Platform.WATCHOS,
    "RealityDevice": Platform.VISIONOS,
}


def platform_of(*names: str | None) -> Platform | None:
    """Return the platform of the first name that says it (ProductName, Model: `iPad14,1`, `MacBookPro18,3`).

    Every Mac has "Mac" in its name (`Mac14,2`, `iMac21,1`, `VirtualMac2,1`). None where no name says anything.
    """
    for name in names:
        for prefix, platform in _PREFIXES.items():
            if name and name.startswith(prefix):
                return platform
        if name and "mac" in name.lower():
            return Platform.MACOS
    return None
