"""After a restore from a backup: versions rise above all that was told before it, or every copy would ignore us."""

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa

from shared.database import Database

EPOCH = 1_000_000
"""How far a restore raises versions: more than any of them rises between a backup and its restore."""

_PATIENCE = sa.text("SET LOCAL statement_timeout = '10min'")
"""Every row is changed, and there may be a million of them."""


async def raise_versions(database: Database, columns: Collection[sa.Column[Any]]) -> None:
    """Begin a new epoch of the versions that a service tells (scenario 19). To be done before it serves again.

    `columns` hold versions of the service's own, never those of its copies of what others tell: a copy with a
    raised version would ignore its publisher.
    """
    async with database.transaction() as tx:
        await tx.sql.execute(_PATIENCE)
        for column in columns:
            await tx.sql.execute(sa.update(column.table).values({column.name: column + EPOCH}))
