"""Every knob of a fleet of simulated devices."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from local.simulators.apns import ApnsSimulator
from local.simulators.authority import Authority
from local.simulators.devices.licenses import LicenseCheck


class ProofMode(StrEnum):
    """How devices prove who they are."""

    SIGNATURE = "signature"
    HEADER = "header"


class KeyType(StrEnum):
    """What kind of key a device's identity has."""

    EC = "ec"  # P-256
    RSA = "rsa"  # 2048 bits


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetSettings:
    """Where the server is and how the devices behave. Times are seconds, rates 0 to 1; port 0 takes a free one."""

    # The server, and what its enrollment profile says.
    checkin_url: str
    connect_url: str
    topic: str
    authority: Authority  # signs the devices' identities: the server's device CA
    apns: ApnsSimulator | str  # in this process, or the URL of its admin door
    server_ca_file: Path | None = None  # trusted beside the system's, for an https server
    proof_mode: ProofMode = ProofMode.SIGNATURE
    proof_header: str = "Client-Cert"
    key_type: KeyType = KeyType.EC
    rsa_keys: int = 16  # how many RSA keys are made, some 50 ms each; more devices than that share them
    access_rights: int = 8191  # a bit sum: 16 device information, 256 installed apps, 4096 app management
    check_out_when_removed: bool = True  # else nobody is told when a profile is removed
    user_channels: bool = True  # ServerCapabilities has com.apple.mdm.per-user-connections
    get_token: bool = True  # ServerCapabilities has com.apple.mdm.token
    bearer_token: str = field(
        default="simulated", repr=False
    )  # what account-driven enrollments show at first

    # The fleet itself.
    seed: int = 0  # of every token, magic and draw; also of what follows
    admin_port: int = 0
    connections: int = 32  # devices that talk to the server at the same time
    request_timeout_seconds: float = 30.0
    trace_length: int = 10_000  # exchanges remembered one by one; the counts are complete
    clock: Callable[[], float] = time.time  # `POST /clock` puts it forward
    ios_version: str = "17.6.1"
    mac_version: str = "13.6"

    # How long each stage of an install lasts; one of no time is not seen.
    queued_seconds: float = 0.0
    prompt_seconds: float = 0.0  # until an asked user has answered: unsupervised devices only
    validating_seconds: float = 0.0
    install_seconds: float = 1.0  # downloading and installing
    download_seconds: float = 0.0  # of a declared app, before it installs: apps by command do not tell it
    update_seconds: float = 0.0  # of an installed app that is installed again; 0: it was the newest

    # What users and networks do. Scripts for single devices come on top.
    rejection_rate: float = 0.0  # of the prompts that are answered with no
    failure_rate: float = 0.0  # of the installs whose download breaks
    not_now_rate: float = 0.0  # of the commands that a device may put off
    not_now_seconds: float = 1.0  # until a device whose last word was NotNow connects by itself
    night: tuple[float, float] | None = None  # hours of the day, UTC, during which devices are locked
    work_seconds: float = 0.0  # between a command and its report
    retry_seconds: float = 1.0  # until it brings an unheard report again; doubles with each failure
    longest_retry_seconds: float = 60.0
    full_report_seconds: float = (
        86_400.0  # between two full reports of declarative management, and a tenth more
    )

    # The App Store.
    bundle_ids: Mapping[int, str] = field(default_factory=dict)  # by adam id
    bundle_id_pattern: str = "com.example.app{adam_id}"  # for those the map does not name
    license_check: LicenseCheck | str | None = None  # a function, a URL (see licenses.py), or: all are known
    license_lag_seconds: float = 0.0  # how long after Apple's COMPLETE its stores do not know a license yet
    license_lag_errors: tuple[int, ...] = (9610, 506)  # what they say meanwhile, drawn; 12064 is known too

    def bundle_id(self, adam_id: int) -> str:
        """Answer the bundle identifier of a store app."""
        return self.bundle_ids.get(adam_id) or self.bundle_id_pattern.format(adam_id=adam_id)

    def adam_id(self, bundle_id: str) -> int | None:
        """Find the store app of a bundle identifier; None where the store has none."""
        for adam_id, named in self.bundle_ids.items():
            if named == bundle_id:
                return adam_id
        before, _, after = self.bundle_id_pattern.partition("{adam_id}")
        digits = bundle_id.removeprefix(before).removesuffix(after)
        if not (digits.isascii() and digits.isdecimal()) or self.bundle_id(int(digits)) != bundle_id:
            return None
        return int(digits)
