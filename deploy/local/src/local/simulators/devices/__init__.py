"""Apple devices in a box: thousands of iPads and Macs in one process, speaking MDM to any server."""

from local.simulators.devices.content import App, Book
from local.simulators.devices.fleet import DeviceFleet
from local.simulators.devices.kinds import Kind
from local.simulators.devices.licenses import LicenseCheck, Question
from local.simulators.devices.model import Channel, Device, Enrollment
from local.simulators.devices.script import Mischief, Script
from local.simulators.devices.settings import FleetSettings, KeyType, ProofMode

__all__ = [
    "App",
    "Book",
    "Channel",
    "Device",
    "DeviceFleet",
    "Enrollment",
    "FleetSettings",
    "KeyType",
    "Kind",
    "LicenseCheck",
    "Mischief",
    "ProofMode",
    "Question",
    "Script",
]
