"""What a measurement says: a value, beside what was measured as a yardstick in the same run."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the table. A yardstick is measured in the same run; None where there is none."""

    name: str
    value: float
    unit: str
    yardstick: float | None = None
    note: str = ""
    less_is_better: bool = False

    @property
    def ratio(self) -> float | None:
        """Return how near the value comes to the yardstick: 1.0 is as fast as that, more is faster."""
        if self.yardstick is None:
            return None
        return self.yardstick / self.value if self.less_is_better else self.value / self.yardstick


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured: everything, or a `divisor`-th of it for trying out, which the note then says."""

    divisor: int = 1

    def of(self, count: int) -> int:
        """Return how many things to do where a whole measurement does `count`."""
        return max(1, count // self.divisor)

    def note(self, text: str) -> str:
        """Return the note of a figure of this size."""
        return text if self.divisor == 1 else f"smaller, for trying out: {text}"
