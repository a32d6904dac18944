"""Dice from a seed: every draw follows from the seed and from what is drawn, never from who came first."""

import hashlib
import uuid

_RESOLUTION = 2**64


class Dice:
    """Draws of one seed. `what` names a draw; the same name draws the same, whatever happened in between."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def number(self, *what: object) -> float:
        """Draw from 0 up to, not including, 1."""
        return int.from_bytes(self.octets(8, *what), "big") / _RESOLUTION

    def happens(self, rate: float, *what: object) -> bool:
        """Whether something of this rate, 0 to 1, happens."""
        return rate > 0 and self.number(*what) < rate

    def octets(self, size: int, *what: object) -> bytes:
        """Draw up to 64 bytes."""
        name = "\x1f".join(str(part) for part in (self._seed, *what))
        return hashlib.blake2b(name.encode(), digest_size=size).digest()

    def uuid(self, *what: object) -> str:
        """Draw a UUID in its text form, lower case."""
        return str(uuid.UUID(bytes=self.octets(16, *what), version=4))
