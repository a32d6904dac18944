"""Every knob of a fleet of simulated devices."""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from local.simulators.apns import ApnsSimulator
from local.simulators.authority import Authority

LicenseCheck = Callable[[str, int], Awaitable[bool]]  # (serial number, adam id) -> does Apple know one


class ProofMode(StrEnum):
    """How devices prove who they are."""

    SIGNATURE = "signature"
    HEADER = "header"


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetSettings:
    """Where the server is and how the devices behave. Times are seconds; port 0 takes a free one."""

    checkin_url: str
    connect_url: str
    topic: str
    authority: Authority  # signs the devices' identities: the server's device CA
    apns: ApnsSimulator | str  # in this process, or the URL of its admin door
    server_ca_file: Path | None = None  # trusted beside the system's, for an https server
    proof_mode: ProofMode = ProofMode.SIGNATURE
    proof_header: str = "Client-Cert"
    admin_port: int = 0
    connections: int = 32  # devices that talk to the server at the same time
    request_timeout_seconds: float = 30.0
    install_seconds: float = 1.0  # from InstallApplication to Managed
    not_now_seconds: float = 1.0  # until a device whose last word was NotNow connects by itself
    retry_seconds: float = 1.0  # until it brings an unheard report again; doubles with each failure
    longest_retry_seconds: float = 60.0
    ios_version: str = "17.6.1"
    mac_version: str = "13.6"
    bundle_ids: Mapping[int, str] = field(default_factory=dict)  # by adam id
    bundle_id_pattern: str = "com.example.app{adam_id}"  # for those the map does not name
    # A URL is asked `GET ?serial_number=&adam_id=`: 404 means that Apple knows no such license.
    license_check: LicenseCheck | str | None = None
    clock: Callable[[], float] = time.time

    def bundle_id(self, adam_id: int) -> str:
        """Answer the bundle identifier of a store app."""
        return self.bundle_ids.get(adam_id) or self.bundle_id_pattern.format(adam_id=adam_id)
