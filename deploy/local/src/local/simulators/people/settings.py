"""Every knob of the simulated people."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from local.simulators.people.person import Habit


@dataclass(frozen=True, slots=True, kw_only=True)
class PeopleSettings:
    """Where their letters are and where they join. Times are seconds; port 0 takes a free one."""

    mailbox_admin_url: str  # the admin door of a simulated mailbox: every address is somebody's
    apple_url: (
        str  # its host is where links are opened, whatever host they name: nobody walks to the real Apple
    )
    devices_admin_url: str = ""  # of a fleet, whose users see invitations on their screens too
    trust_ca_file: Path | None = None  # trusted beside the system's, for an https `apple_url`
    admin_port: int = 0
    seed: int = 0  # of the habits drawn
    habits: Mapping[Habit, float] = field(default_factory=lambda: {Habit.FOLLOWS: 1.0})  # shares of each
    delay_seconds: float = 0.0  # from an invitation's arrival until it is read
    look_seconds: float = 0.1  # between two looks for invitations
    retry_seconds: float = 1.0  # until a link that nobody answered is opened again
