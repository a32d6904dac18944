"""What the figures were measured on: without it they say little."""

import importlib.metadata
import importlib.util
import os
import platform
import resource
import subprocess
from pathlib import Path
from typing import Any

from local.broker.maven import KAFKA_VERSION
from local.postgres.cluster import INSTALLATIONS, WHEEL

_LIBRARIES = ("aiokafka", "asyncpg", "pydantic", "uvloop")


def describe() -> dict[str, Any]:
    """Return the machine, how busy it was already, and the versions of what is measured on it."""
    return {
        "cores": os.cpu_count(),
        "processor": _processor(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": platform.platform(),
        "load_before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "postgresql": _postgres_version(),
        "kafka": KAFKA_VERSION,
        **{name: importlib.metadata.version(name) for name in _LIBRARIES},
    }


def resident_megabytes(pid: int) -> float:
    """Return how much memory of this machine a process occupies now."""
    said = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=True)  # noqa: S603, S607 - the system's own ps
    return int(said.stdout) / 1024


def most_resident_megabytes() -> float:
    """Return the most memory that this process ever occupied.

    Linux's ru_maxrss would count what the parent occupied before this program was started in its copy.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2  # bytes on macOS
    [held] = [line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
    return int(held) / 1024


def _processor() -> str:
    """Return the processor's own name where the system tells it."""
    facts = Path("/proc/cpuinfo")
    if facts.exists():
        for line in facts.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _postgres_version() -> str:
    """Ask the wheel's binary that the local system runs."""
    found = importlib.util.find_spec(WHEEL)
    if found is None or found.origin is None:
        return "not installed"
    program = Path(found.origin).parent / INSTALLATIONS[16] / "bin" / "postgres"
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)  # noqa: S603 - our wheel's
    return said.stdout.split()[2]
