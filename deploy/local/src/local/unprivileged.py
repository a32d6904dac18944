"""The account that runs what refuses to run as root, and the folders that account can reach."""

import os
import pwd
import tempfile
from dataclasses import dataclass
from pathlib import Path

ACCOUNT_NAME = "nobody"


@dataclass(frozen=True, slots=True)
class Account:
    """A user of this machine, by number."""

    uid: int
    gid: int

    def can_enter(self, path: Path) -> bool:
        """Say whether every folder from the root to `path` lets this account pass (access lists not read)."""
        return all(self._may_search(folder) for folder in (path, *path.parents) if folder.is_dir())

    def _may_search(self, folder: Path) -> bool:
        status = folder.stat()
        if status.st_uid == self.uid:
            return bool(status.st_mode & 0o100)
        if status.st_gid == self.gid:
            return bool(status.st_mode & 0o010)
        return bool(status.st_mode & 0o001)

    def own(self, path: Path) -> None:
        """Give `path` to this account; what lies inside it keeps its owner."""
        os.chown(path, self.uid, self.gid)


def unprivileged_account() -> Account | None:
    """Return the account to run as, or None where we are not root and can be ourselves.

    It exists already on every Unix; none is made, and nobody's permissions are loosened for it.
    """
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam(ACCOUNT_NAME)
    return Account(entry.pw_uid, entry.pw_gid)


def reachable_folder(account: Account, *, name: str) -> Path:
    """Make a fresh folder of unguessable name that belongs to `account` and that it can reach.

    /var/tmp comes first because it outlives a restart of the machine.
    """
    for parent in (Path("/var") / "tmp", Path(tempfile.gettempdir()).resolve()):
        if parent.is_dir() and account.can_enter(parent):
            folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=parent))
            account.own(folder)
            return folder
    raise PermissionError(f"no temporary folder can be entered by the account {ACCOUNT_NAME!r}")
