"""What others ask about libraries."""

import sqlalchemy as sa

from licensing.queries.rows import Rows
from licensing.tables import content_token, library
from shared.database import Database, Transaction


async def list_libraries(
    database: Database, state: str | None, *, limit: int, after: tuple[int, str] | None
) -> Rows:
    """Return libraries, the one that is asked first at the head, those behind `after` only."""
    place = sa.tuple_(library.c.preference, library.c.id)
    question = _libraries().order_by(library.c.preference, library.c.id).limit(limit)
    if after is not None:
        question = question.where(place > sa.tuple_(sa.literal(after[0]), sa.literal(after[1])))
    if state is not None:
        question = question.where(library.c.state == state)
    async with database.reading() as tx:
        return (await tx.sql.execute(question)).mappings().all()


async def find_library(database: Database, library_id: str) -> sa.RowMapping | None:
    """Return one library."""
    async with database.reading() as tx:
        return (await tx.sql.execute(_libraries().where(library.c.id == library_id))).mappings().first()


async def library_in(tx: Transaction, library_id: str) -> sa.RowMapping:
    """Return a library within the transaction that changed it."""
    return (await tx.sql.execute(_libraries().where(library.c.id == library_id))).mappings().one()


def _libraries() -> sa.Select[tuple[object, ...]]:
    return sa.select(
        library,
        content_token.c.id.label("content_token_id"),
        content_token.c.organization_name,
        content_token.c.expires_at,
    ).join(
        content_token,
        sa.and_(content_token.c.library_id == library.c.id, content_token.c.replaced_at.is_(None)),
    )
