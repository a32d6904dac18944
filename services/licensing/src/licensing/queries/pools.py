"""What others ask about pools."""

from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa

from licensing.queries.rows import Rows
from licensing.tables import asset, library, pool
from shared.database import Database
from shared.filters import where


@dataclass(frozen=True, slots=True)
class PoolFilter:
    """Which pools a list holds; None means any."""

    asset_id: UUID | None = None
    library_id: str | None = None
    adam_id: str | None = None


async def list_pools(database: Database, wanted: PoolFilter, *, limit: int, after: UUID | None) -> Rows:
    """Return pools in id order, those behind `after` only."""
    question = _pools().order_by(pool.c.id).limit(limit)
    if after is not None:
        question = question.where(pool.c.id > after)
    question = where(
        question,
        {
            pool.c.asset_id: wanted.asset_id,
            pool.c.library_id: wanted.library_id,
            asset.c.adam_id: wanted.adam_id,
        },
    )
    async with database.reading() as tx:
        return (await tx.sql.execute(question)).mappings().all()


async def find_pool(database: Database, pool_id: UUID) -> sa.RowMapping | None:
    """Return one pool."""
    async with database.reading() as tx:
        return (await tx.sql.execute(_pools().where(pool.c.id == pool_id))).mappings().first()


def _pools() -> sa.Select[tuple[object, ...]]:
    return (
        sa.select(
            pool,
            asset.c.adam_id,
            asset.c.pricing_param,
            asset.c.is_book,
            asset.c.device_assignable,
            asset.c.revocable,
            asset.c.platforms,
            library.c.assets_read_at,
        )
        .join(asset, asset.c.id == pool.c.asset_id)
        .join(library, library.c.id == pool.c.library_id)
    )
