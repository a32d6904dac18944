"""What others ask about notifications: only about those that were none, to find out who sends what."""

from uuid import UUID

import sqlalchemy as sa

from licensing.queries.rows import Rows
from licensing.tables import malformed_notification
from shared.database import Database


async def list_malformed_notifications(database: Database, library_id: str | None) -> Rows:
    """Return them, of one library or of all, the newest first; never what they say."""
    table = malformed_notification
    question = sa.select(table.c.id, table.c.library_id, table.c.size, table.c.received_at)
    if library_id is not None:
        question = question.where(table.c.library_id == library_id)
    async with database.reading() as tx:
        return (await tx.sql.execute(question.order_by(table.c.id.desc()))).mappings().all()


async def find_malformed_notification(database: Database, malformed_id: UUID) -> sa.RowMapping | None:
    """Return one of them, with what it says, sealed."""
    question = sa.select(malformed_notification).where(malformed_notification.c.id == malformed_id)
    async with database.reading() as tx:
        return (await tx.sql.execute(question)).mappings().first()
