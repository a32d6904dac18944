"""Which command exists where: by platform, channel, version and way of enrollment. Its table stands at the foot.

Apple: `device-management`, mdm/commands, `supportedOS` of each; "Device management commands".
"""

from dataclasses import dataclass

from local.simulators.devices.commands.reports import NOT_AUTHORIZED, Report, error, unknown
from local.simulators.devices.kinds import Version
from local.simulators.devices.model import Channel

INSPECT_PROFILES, DEVICE_INFORMATION, INSTALLED_APPS, SETTINGS, APP_MANAGEMENT = 1, 16, 256, 2048, 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Availability:
    """From which version on each channel, None: never. `right` is the bit of AccessRights that it takes."""

    ios: Version | None = None
    shared_user: Version | None = None  # whoever is signed in to a Shared iPad
    mac: Version | None = None
    mac_user: Version | None = None
    personal: bool = True  # under User Enrollment on iOS
    personal_mac: bool = True
    account_driven: bool = True
    right: int = 0

    def reaches(self, channel: Channel) -> bool:
        """Whether the command exists on this channel of this device."""
        device, traits = channel.device, channel.device.traits
        if traits.is_mac:
            since, personal = (self.mac if channel.user is None else self.mac_user), self.personal_mac
        else:
            since, personal = (self.ios if channel.user is None else self.shared_user), self.personal
        if since is None or device.version < since:
            return False
        return (personal or not traits.personal) and (self.account_driven or not traits.account_driven)


def refusal(channel: Channel, request_type: str, *, rights: int) -> Report | None:
    """Report why this device would not even look at the command; None where it would.

    Rights count on device channels alone, and not under User Enrollment, which has its own fixed ones.
    """
    available = AVAILABLE.get(request_type)
    if available is None or not available.reaches(channel):
        return unknown(request_type)
    exempt = channel.user is not None or channel.device.traits.personal
    if not exempt and available.right & ~rights:
        return error(NOT_AUTHORIZED, f"The MDM profile has no right to “{request_type}”.")
    return None


AVAILABLE = {
    "DeclarativeManagement": Availability(ios=(15,), shared_user=(15,), mac=(13,), mac_user=(13,)),
    "DeviceConfigured": Availability(ios=(9,), mac=(10, 11), personal=False, personal_mac=False),
    "DeviceInformation": Availability(
        ios=(4,), shared_user=(9, 3), mac=(10, 7), mac_user=(10, 7), right=DEVICE_INFORMATION
    ),
    "InstallApplication": Availability(ios=(5,), mac=(10, 10), mac_user=(10, 9), right=APP_MANAGEMENT),
    "InstallEnterpriseApplication": Availability(mac=(10, 13, 6), right=APP_MANAGEMENT),
    "InstallMedia": Availability(ios=(8,), right=APP_MANAGEMENT),
    "InstalledApplicationList": Availability(
        ios=(5,), mac=(10, 7), mac_user=(10, 7), personal_mac=False, right=INSTALLED_APPS
    ),
    "InviteToProgram": Availability(
        ios=(7,),
        shared_user=(9, 3),
        mac_user=(10, 9),
        personal=False,
        personal_mac=False,
        account_driven=False,
        right=APP_MANAGEMENT,
    ),
    "ManagedApplicationList": Availability(ios=(5,), mac=(11,), mac_user=(11, 3), right=APP_MANAGEMENT),
    "ManagedMediaList": Availability(ios=(8,), right=APP_MANAGEMENT),
    "ProfileList": Availability(
        ios=(4,), shared_user=(9, 3), mac=(10, 7), mac_user=(10, 7), right=INSPECT_PROFILES
    ),
    "RemoveApplication": Availability(ios=(5,), mac=(11,), personal_mac=False, right=APP_MANAGEMENT),
    "RemoveMedia": Availability(ios=(8,), right=APP_MANAGEMENT),
    "Settings": Availability(ios=(5,), mac=(10, 9), right=SETTINGS),
    "ValidateApplications": Availability(ios=(9, 2), right=APP_MANAGEMENT),
}
