"""The box as a whole: one authority, and the simulators asked for, started in one process."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar

from local.simulators.apns import ApnsSettings, ApnsSimulator, DoorKind
from local.simulators.apple import AppleSettings, AppleSimulator, Knobs
from local.simulators.authority import Authority, Identity
from local.simulators.devices import DeviceFleet, FleetSettings
from local.simulators.identity import IdentitySettings, IdentitySimulator
from local.simulators.knobs import turned
from local.simulators.mailbox import MailboxSettings, MailboxSimulator
from local.simulators.people import PeopleSettings, PeopleSimulator

HOSTS = (  # also Apple's own, for clients that know no other: the rest is up to the machine's hosts file
    "localhost",
    "127.0.0.1",
    "vpp.itunes.apple.com",
    "api.push.apple.com",
    "api.sandbox.push.apple.com",
    "api.development.push.apple.com",
)
TOPIC = "com.apple.mgmt.External.5f1d6a0e-8c1b-4a52-9d8e-3b1f7c0a9e44"
DOORS = ("apple", "apns", "identity", "mailbox")  # simulators with a door of their own beside the admin's
NAMES = (*DOORS, "devices", "people")

Settings = TypeVar("Settings")

Card = dict[str, str]  # what a user of the box must know: URLs and paths by name


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxSettings:
    """What is in the box. `ports` are by name, `apple` and `apple-admin` alike; one not named is a free one.

    `directory` keeps certificates and keys; an authority found there goes on signing. `names` are of `NAMES`.
    Devices need a `checkin_url`, and a push service in the box or at `apns_admin_url`; people need apple and a mailbox.
    """

    names: frozenset[str]
    directory: Path
    ports: Mapping[str, int] = field(default_factory=dict)
    seed: int = 0
    topic: str = TOPIC
    checkin_url: str = ""
    connect_url: str = ""  # the check-in URL, where there is none
    server_ca_file: Path | None = None  # whom devices trust beside the system's; the box's own where None
    apns_admin_url: str = ""
    apns_door: DoorKind = "scripted"
    knobs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # by the name of a simulator

    def __post_init__(self) -> None:
        """Refuse what is unknown, and devices and people that have nowhere to go."""
        unknown = (self.names | self.knobs.keys()) - set(NAMES)
        if unknown:
            raise ValueError(f"not in the box: {', '.join(sorted(unknown))}")
        if "people" in self.names and not {"apple", "mailbox"} <= self.names:
            raise ValueError("people need apple and mailbox in the box")
        if "devices" not in self.names:
            return
        if not self.checkin_url:
            raise ValueError("devices need the check-in URL of a server")
        if not self.apns_admin_url and "apns" not in self.names:
            raise ValueError("devices need apns in the box, or the URL of its admin door")

    def port(self, name: str) -> int:
        """Look up a port; 0 takes a free one."""
        return self.ports.get(name, 0)


class Box:
    """Use it as `async with`; what is in it then stands in `cards`, by name."""

    def __init__(self, settings: BoxSettings) -> None:
        self._settings = settings
        self._stack = AsyncExitStack()
        self._apns: ApnsSimulator | None = None
        settings.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._authority = _load_authority(settings.directory)
        self._ca_file = settings.directory / "authority.pem"
        server = self._authority.issue_server(hosts=HOSTS)
        self._certificate_file, self._key_file = server.write(settings.directory, "server")
        self.cards: dict[str, Card] = {"authority": {"certificate_file": str(self._ca_file)}}

    async def __aenter__(self) -> Self:
        starts = {
            "apple": self._start_apple,
            "apns": self._start_apns,
            "identity": self._start_identity,
            "mailbox": self._start_mailbox,
            "devices": self._start_devices,  # the last two: they need the others
            "people": self._start_people,
        }
        async with self._stack:
            for name, start in starts.items():
                if name in self._settings.names:
                    self.cards[name] = await start()
            self._stack = self._stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _start_apple(self) -> Card:
        settings = AppleSettings(
            certificate_file=self._certificate_file,
            key_file=self._key_file,
            trust_ca_file=self._ca_file,
            port=self._settings.port("apple"),
            admin_port=self._settings.port("apple-admin"),
            seed=self._settings.seed,
            knobs=Knobs().turned(self._settings.knobs.get("apple", {})),
        )
        apple = await self._stack.enter_async_context(AppleSimulator(settings))
        return {"url": apple.url, "admin_url": apple.admin_url}

    async def _start_apns(self) -> Card:
        settings = ApnsSettings(
            certificate_file=self._certificate_file,
            key_file=self._key_file,
            client_ca_file=self._ca_file,
            port=self._settings.port("apns"),
            admin_port=self._settings.port("apns-admin"),
            door=self._settings.apns_door,
            seed=self._settings.seed,
        )
        self._apns = await self._stack.enter_async_context(ApnsSimulator(self._turned("apns", settings)))
        push = self._authority.issue_push(topic=self._settings.topic)
        certificate_file, key_file = push.write(self._settings.directory, "push")
        return {
            "url": self._apns.url,
            "admin_url": self._apns.admin_url,
            "topic": self._settings.topic,
            "certificate_file": str(certificate_file),
            "key_file": str(key_file),
        }

    async def _start_identity(self) -> Card:
        settings = IdentitySettings(
            port=self._settings.port("identity"), admin_port=self._settings.port("identity-admin")
        )
        identity = await self._stack.enter_async_context(IdentitySimulator(settings))
        return {"url": identity.url, "jwks_url": identity.jwks_url, "admin_url": identity.admin_url}

    async def _start_mailbox(self) -> Card:
        settings = MailboxSettings(
            port=self._settings.port("mailbox"),
            admin_port=self._settings.port("mailbox-admin"),
            certificate_file=self._certificate_file,
            key_file=self._key_file,
        )
        mailbox = await self._stack.enter_async_context(MailboxSimulator(self._turned("mailbox", settings)))
        return {"url": mailbox.url, "admin_url": mailbox.admin_url}

    async def _start_people(self) -> Card:
        settings = PeopleSettings(
            mailbox_admin_url=self.cards["mailbox"]["admin_url"],
            apple_url=self.cards["apple"]["url"],
            devices_admin_url=self.cards.get("devices", {}).get("admin_url", ""),
            trust_ca_file=self._ca_file,
            admin_port=self._settings.port("people-admin"),
            seed=self._settings.seed,
        )
        people = await self._stack.enter_async_context(PeopleSimulator(self._turned("people", settings)))
        return {"admin_url": people.admin_url}

    async def _start_devices(self) -> Card:
        settings = self._settings
        apple = self.cards.get("apple")
        fleet = FleetSettings(
            checkin_url=settings.checkin_url,
            connect_url=settings.connect_url or settings.checkin_url,
            topic=settings.topic,
            authority=self._authority,
            apns=settings.apns_admin_url if self._apns is None else self._apns,
            server_ca_file=settings.server_ca_file or self._ca_file,
            admin_port=settings.port("devices-admin"),
            seed=settings.seed,
            license_check=None if apple is None else f"{apple['admin_url']}/licenses",
        )
        devices = await self._stack.enter_async_context(DeviceFleet(self._turned("devices", fleet)))
        return {"admin_url": devices.admin_url}

    def _turned(self, name: str, settings: Settings) -> Settings:
        return turned(settings, self._settings.knobs.get(name, {}))


def _load_authority(directory: Path) -> Authority:
    """Go on with the authority of an earlier run, or make one, so that what it signed stays good."""
    certificate_file, key_file = directory / "authority.pem", directory / "authority.key"
    if certificate_file.exists() and key_file.exists():
        return Authority.load(Identity(certificate_file.read_bytes(), key_file.read_bytes()))
    authority = Authority.create("Simulators")
    authority.identity.write(directory, "authority")
    return authority
