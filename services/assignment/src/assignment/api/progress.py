"""An assignment's progress as server-sent events: each change, and a heartbeat while nothing changes.

Source: HTML Living Standard, Server-sent events.
"""

from collections.abc import AsyncIterator, Callable
from uuid import UUID

from assignment.queries.assignments import read_progress
from assignment.schemas.assignments import ProgressBody
from shared.database import Database

LOOK_SECONDS = 1.0
HEARTBEAT_SECONDS = 15.0
"""Below the idle timeout of any proxy on the way."""


async def progress_stream(
    database: Database, assignment_id: UUID, *, goes_on: Callable[[], bool]
) -> AsyncIterator[str]:
    """Yield events while it goes on and somebody listens: `progress` as the JSON answer, and heartbeats."""
    clock, last, told_at = database.clock, "", 0.0
    while goes_on() and (progress := await read_progress(database, assignment_id)) is not None:
        body = ProgressBody.of(progress).model_dump_json()
        if body != last:
            yield f"event: progress\ndata: {body}\n\n"
            last, told_at = body, clock.monotonic()
        elif clock.monotonic() - told_at >= HEARTBEAT_SECONDS:
            yield ": heartbeat\n\n"
            told_at = clock.monotonic()
        await clock.sleep(LOOK_SECONDS)
