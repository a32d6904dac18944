"""Storing when devices were last seen."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from mdm_push.store import pushes
from shared.database import Database


async def store_sightings(database: Database, seen: Mapping[UUID, datetime]) -> None:
    """Store the last call of each of these channels, in one statement."""
    if not seen:
        return
    async with database.transaction() as tx:
        await pushes.seen(tx, seen)
