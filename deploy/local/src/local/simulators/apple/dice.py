"""Ids and chances from a seed: the same order of questions gives the same answers, and a number holds the state."""

from local.simulators.dice import Dice


class CountingDice:
    """Counts its throws. Each kind of throw has a count of its own, so that chances do not disturb ids."""

    def __init__(self, seed: int, *, ids: int = 0, chances: int = 0) -> None:
        self.seed = seed
        self.ids = ids
        self.chances = chances
        self._dice = Dice(seed)

    def new_id(self) -> str:
        """Mint a UUID in its text form."""
        self.ids += 1
        return self._dice.uuid("id", self.ids)

    def new_code(self) -> str:
        """Mint 32 hexadecimal digits, the form of an invitation code."""
        return self.new_id().replace("-", "")

    def chance(self) -> float:
        """Throw a number from 0 to just below 1."""
        self.chances += 1
        return self._dice.number("chance", self.chances)
