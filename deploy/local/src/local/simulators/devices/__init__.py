"""Apple devices in a box: thousands of iPads and Macs in one process, speaking MDM to any server."""

from local.simulators.devices.fleet import DeviceFleet
from local.simulators.devices.model import App, Device, Enrollment, Kind
from local.simulators.devices.script import Mischief, Script
from local.simulators.devices.settings import FleetSettings, LicenseCheck, ProofMode

__all__ = [
    "App",
    "Device",
    "DeviceFleet",
    "Enrollment",
    "FleetSettings",
    "Kind",
    "LicenseCheck",
    "Mischief",
    "ProofMode",
    "Script",
]
