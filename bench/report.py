"""Keeps the rows in bench.json, and shows them as a table."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from bench.figures import Figure

FILE = Path(__file__).parents[1] / "bench.json"

Row = dict[str, Any]

_COLUMNS = ("name", "value", "unit", "yardstick", "ratio", "note")
_LEFT = frozenset({"name", "unit", "note"})


def row(figure: Figure) -> Row:
    """Return a figure as the file keeps it, with as many digits as the machine is worth."""
    values = {column: getattr(figure, column) for column in _COLUMNS}
    return {
        name: float(f"{value:.4g}") if isinstance(value, float) else value for name, value in values.items()
    }


def read() -> list[Row]:
    """Return the rows of the file; none where there is no file yet."""
    if not FILE.exists():
        return []
    rows: list[Row] = json.loads(FILE.read_text())["figures"]
    return rows


def write(machine: Row, rows: Sequence[Row]) -> None:
    """Write the file."""
    said = {"machine": machine, "figures": rows}
    FILE.write_text(json.dumps(said, indent=1, ensure_ascii=False) + "\n")


def merge(kept: Iterable[Row], new: Iterable[Row], *, order: Sequence[str]) -> list[Row]:
    """Return the kept rows with the new ones in place of their namesakes, in this order of names."""
    rows = {each["name"]: each for each in (*kept, *new)}
    return [rows[name] for name in order if name in rows]


def table(rows: Iterable[Row]) -> str:
    """Return rows as lines of text in columns."""
    cells = [_COLUMNS, *([_shown(each[column]) for column in _COLUMNS] for each in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join("  ".join(_aligned(line, widths)).rstrip() for line in cells)


def _aligned(line: Sequence[str], widths: Sequence[int]) -> list[str]:
    return [
        cell.ljust(width) if column in _LEFT else cell.rjust(width)
        for column, cell, width in zip(_COLUMNS, line, widths, strict=True)
    ]


def _shown(value: float | str | None) -> str:
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"
