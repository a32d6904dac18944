"""What others ask about content tokens: never their texts."""

from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa

from licensing.queries.rows import Rows
from licensing.tables import content_token, library
from shared.database import Database, Transaction
from shared.filters import where

_REPLACED = content_token.c.replaced_at.is_not(None)
_STATE = sa.case((_REPLACED, "replaced"), else_=library.c.state)


@dataclass(frozen=True, slots=True)
class ContentTokenFilter:
    """Which content tokens a list holds; None means any."""

    library_id: str | None = None
    state: str | None = None


async def list_content_tokens(
    database: Database, wanted: ContentTokenFilter, *, limit: int, before: UUID | None
) -> Rows:
    """Return content tokens, the newest first, those older than `before` only; never their texts."""
    question = _content_tokens().order_by(content_token.c.id.desc()).limit(limit)
    if before is not None:
        question = question.where(content_token.c.id < before)
    question = where(question, {content_token.c.library_id: wanted.library_id, _STATE: wanted.state})
    async with database.reading() as tx:
        return (await tx.sql.execute(question)).mappings().all()


async def find_content_token(database: Database, token_id: UUID) -> sa.RowMapping | None:
    """Return one content token, without its text."""
    question = _content_tokens().where(content_token.c.id == token_id)
    async with database.reading() as tx:
        return (await tx.sql.execute(question)).mappings().first()


async def content_token_in(tx: Transaction, token_id: UUID) -> sa.RowMapping:
    """Return a content token within the transaction that stored it."""
    question = _content_tokens().where(content_token.c.id == token_id)
    return (await tx.sql.execute(question)).mappings().one()


def _content_tokens() -> sa.Select[tuple[object, ...]]:
    return sa.select(
        content_token.c.id,
        content_token.c.library_id,
        content_token.c.organization_name,
        content_token.c.expires_at,
        content_token.c.created_by,
        content_token.c.created_at,
        library.c.location_name,
        library.c.country,
        library.c.notified,
        library.c.assets_read_at,
        sa.case((_REPLACED, sa.null()), else_=library.c.cause).label("cause"),
        sa.case((_REPLACED, sa.null()), else_=library.c.error_number).label("error_number"),
        _STATE.label("state"),
    ).join(library, library.c.id == content_token.c.library_id)
