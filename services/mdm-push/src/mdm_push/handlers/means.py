"""What the use cases are given beside their transaction."""

from dataclasses import dataclass, field

from mdm_push.model import Patience
from shared.nudge import Nudge
from shared.vault import Vault


@dataclass(frozen=True, slots=True)
class Means:
    """The vault that seals what devices confide, the bell of the pusher, how patient we are, and whom we believe.

    `ca_names_devices` says that the names in a device's certificate are the device CA's word, not the device's own.
    """

    vault: Vault
    pusher: Nudge = field(default_factory=Nudge)
    patience: Patience = field(default_factory=Patience)
    ca_names_devices: bool = False
