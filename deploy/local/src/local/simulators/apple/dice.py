"""Ids and chances from a seed: the same order of questions gives the same answers, and a number holds the state."""

import hashlib
import uuid


class Dice:
    """Counts its throws. Each kind of throw has a count of its own, so that chances do not disturb ids."""

    def __init__(self, seed: int, *, ids: int = 0, chances: int = 0) -> None:
        self.seed = seed
        self.ids = ids
        self.chances = chances

    def new_id(self) -> str:
        """Mint a UUID in its text form."""
        self.ids += 1
        return str(uuid.UUID(bytes=self._digest("id", self.ids), version=4))

    def new_code(self) -> str:
        """Mint 32 hexadecimal digits, the form of an invitation code."""
        return self.new_id().replace("-", "")

    def chance(self) -> float:
        """Throw a number from 0 to just below 1."""
        self.chances += 1
        return int.from_bytes(self._digest("chance", self.chances)[:6]) / 2**48

    def _digest(self, kind: str, count: int) -> bytes:
        return hashlib.blake2b(f"{self.seed}:{kind}:{count}".encode(), digest_size=16).digest()
