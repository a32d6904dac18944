"""Reading a wish from the columns that assignments and entitlements have alike."""

from datetime import datetime
from functools import lru_cache

from asyncpg import Record

from assignment.model import Wish
from shared.events.words import AssignmentMode, InstallMode


def wish_of(row: Record) -> Wish:
    """Return the wish in a row; rows with the same wish share one."""
    return _wish(
        row["assignment_mode"],
        row["install_mode"],
        row["priority"],
        row["expires_at"],
        row["no_wait"],
        row["library_id"],
    )


@lru_cache(maxsize=256)
def _wish(
    assignment_mode: str,
    install_mode: str,
    priority: int,
    expires_at: datetime | None,
    no_wait: bool,  # noqa: FBT001 - a column, passed on by position to keep the cache's key short
    library_id: str | None,
) -> Wish:
    return Wish(
        assignment_mode=AssignmentMode(assignment_mode),
        install_mode=InstallMode(install_mode),
        priority=priority,
        expires_at=expires_at,
        no_wait=no_wait,
        library_id=library_id,
    )
