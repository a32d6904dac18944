"""What the logs of a run complain of, in a few lines for a person who wonders why it failed."""

import json
from pathlib import Path
from typing import Any

_ERRORS = {"error", "critical"}


def complaints(logs: Path) -> list[str]:
    """Return a line for each log that tells of errors: how many, and what the last one was.

    Lines are JSON with `level` and `event`, as the services write them; other lines are passed over.
    """
    found = {log.name: _errors(log) for log in sorted(logs.glob("*.log"))}
    return [
        f"{name}: {_times(len(told))}, the last: {_said(told[-1])}" for name, told in found.items() if told
    ]


def _errors(log: Path) -> list[dict[str, Any]]:
    lines = map(_read, log.read_text(errors="replace").splitlines())
    return [line for line in lines if line.get("level") in _ERRORS]


def _read(line: str) -> dict[str, Any]:
    try:
        read = json.loads(line)
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}


def _said(line: dict[str, Any]) -> str:
    """Return what happened, with the last line of the traceback where there is one: there the error stands."""
    traceback = str(line.get("exception", "")).strip().splitlines()
    return f"{line.get('event')} ({traceback[-1].strip()})" if traceback else str(line.get("event"))


def _times(count: int) -> str:
    return "one error" if count == 1 else f"{count} errors"
