"""What the use cases are given beside their transaction."""

from dataclasses import dataclass, field

from mdm_push.model import Patience
from shared.nudge import Nudge
from shared.vault import Vault


@dataclass(frozen=True, slots=True)
class Means:
    """The vault that seals what devices confide, the bell of the pusher, and how patient we are."""

    vault: Vault
    pusher: Nudge = field(default_factory=Nudge)
    patience: Patience = field(default_factory=Patience)
