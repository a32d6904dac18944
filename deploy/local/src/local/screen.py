"""What a person sees: steps with their figures and times, one table, one verdict."""

import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self, TextIO

_NAME_WIDTH = 44
_BOLD, _DIM, _RED, _GREEN = 1, 2, 31, 32


@dataclass(frozen=True, slots=True)
class Style:
    """The marks of a check, and whether the terminal shows colors."""

    held: str = "ok"
    broken: str = "NO"
    arrow: str = "->"
    colors: bool = False

    @classmethod
    def of(cls, stream: TextIO, environment: Mapping[str, str]) -> Self:
        """Choose by what the stream can show; NO_COLOR and a dumb terminal are obeyed (no-color.org)."""
        colors = stream.isatty() and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"
        try:
            "✓✗→".encode(stream.encoding or "ascii")
        except UnicodeEncodeError:
            return cls(colors=colors)
        return cls("✓", "✗", "→", colors=colors)

    def paint(self, text: str, code: int) -> str:
        """Return the text in a color, or plain where there are none."""
        return f"\033[{code}m{text}\033[0m" if self.colors and text else text

    def show(self, value: object) -> str:
        """Return a value as a person writes it; a tuple is the way from the first to the last."""
        match value:
            case bool():
                return "yes" if value else "no"
            case tuple():
                return f" {self.arrow} ".join(map(self.show, value))
            case list():
                return ", ".join(map(self.show, value)) or "none"
            case _:
                return str(value)


@dataclass(frozen=True, slots=True)
class Check:
    """A figure that must have a certain value."""

    what: str
    found: object
    expected: object

    @property
    def held(self) -> bool:
        """Whether it has."""
        return self.found == self.expected


@dataclass(slots=True)
class Step:
    """One step of the story: what was checked, and how long it took."""

    title: str
    checks: list[Check] = field(default_factory=list)
    seconds: float = 0.0
    told: bool = False

    @property
    def held(self) -> bool:
        """Whether it came to its end and every check held."""
        return self.told and all(check.held for check in self.checks)


class Screen:
    """Prints the story as it goes."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._style = Style.of(self._stream, os.environ)
        self._since = time.perf_counter()
        self.steps: list[Step] = []

    def say(self, text: str = "") -> None:
        """Print a line."""
        self._stream.write(f"{text}\n")
        self._stream.flush()

    def title(self, text: str) -> None:
        """Print a line that stands out."""
        self.say(self._style.paint(text, _BOLD))

    def aside(self, text: str) -> None:
        """Print a line that stands back."""
        self.say(self._style.paint(text, _DIM))

    def begin(self, title: str, sentence: str) -> None:
        """Open a step; the sentence says what happens in it."""
        self.steps.append(Step(title))
        self.say()
        self.title(f"{len(self.steps):>2}  {title}")
        self.aside(f"    {sentence}")
        self._since = time.perf_counter()

    def check(self, what: str, found: object, expected: object) -> None:
        """Show a figure that must have this value."""
        style = self._style
        check = Check(what, found, expected)
        self.steps[-1].checks.append(check)
        mark = style.paint(style.held, _GREEN) if check.held else style.paint(style.broken, _RED)
        line = f"    {mark} {what:<{_NAME_WIDTH}} {style.show(found)}"
        self.say(line if check.held else f"{line}   (expected {style.show(expected)})")

    def end(self) -> bool:
        """Close the step and say whether it held."""
        step = self.steps[-1]
        step.seconds = time.perf_counter() - self._since
        step.told = True
        self.aside(f"      {'':<{_NAME_WIDTH}} {step.seconds:.1f} s")
        return step.held

    def verdict(self, *, steps: int, broken_by: BaseException | None = None) -> bool:
        """Print the table and the verdict; return whether all `steps` were told and everything held."""
        self._table()
        held = len(self.steps) == steps and all(step.held for step in self.steps)
        self.say()
        if held:
            checks = sum(len(step.checks) for step in self.steps)
            seconds = sum(step.seconds for step in self.steps)
            self._ending("Everything held", _GREEN, f"{checks} checks in {seconds:.1f} s.")
            return True
        self._ending("It did not hold", _RED, f"the story ended in step {len(self.steps)} of {steps}.")
        self._say_what_broke(broken_by)
        return False

    def _ending(self, words: str, color: int, rest: str) -> None:
        self.say(f"{self._style.paint(words, color)}: {rest}")

    def _say_what_broke(self, broken_by: BaseException | None) -> None:
        """Name the checks that did not hold, else the error: one after a failed check only follows from it."""
        style = self._style
        failed = [check for step in self.steps for check in step.checks if not check.held]
        for check in failed:
            found, expected = style.show(check.found), style.show(check.expected)
            self.say(f"  {check.what}: found {found}, expected {expected}")
        if broken_by is not None and not failed:
            self.say(f"  {type(broken_by).__name__}: {broken_by}")

    def _table(self) -> None:
        head = ("", "step", "checks", "time", "")
        rows = [
            (
                f"{number:>2}",
                step.title,
                f"{len(step.checks):>6}",
                f"{step.seconds:>5.1f} s",
                "held" if step.held else "BROKEN",
            )
            for number, step in enumerate(self.steps, 1)
        ]
        widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
        self.say()
        self.title(_row(head, widths))
        for row in rows:
            self.say(_row(row, widths))


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
