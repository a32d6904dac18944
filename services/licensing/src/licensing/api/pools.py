"""/v1/pools: how many licences of each asset there are, held, free and waited for."""

from uuid import UUID

from fastapi import APIRouter

from licensing import queries
from licensing.handlers import prefer_pool
from licensing.queries import PoolFilter
from licensing.schemas import LibraryId, PoolBody
from shared.auth import requires
from shared.database import Database
from shared.errors import NotFound
from shared.events.event import AdamId
from shared.web import Cursor, Limit, Page, decode_cursor, page_of


def router(database: Database) -> APIRouter:
    """Return the routes about pools."""
    routes = APIRouter(prefix="/v1/pools", tags=["pools"], dependencies=[requires("licenses:read")])

    @routes.get("", summary="List pools")
    async def list_pools(
        asset_id: UUID | None = None,
        library_id: LibraryId | None = None,
        adam_id: AdamId | None = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Page[PoolBody]:
        """Return a page of the pools that match every filter given."""
        place = decode_cursor(cursor, UUID)
        wanted = PoolFilter(asset_id=asset_id, library_id=library_id, adam_id=adam_id)
        rows = await queries.list_pools(database, wanted, limit=limit + 1, after=place[0] if place else None)
        return page_of(rows, limit, PoolBody.of, "id")

    @routes.get("/{pool_id}", summary="One pool")
    async def read_pool(pool_id: UUID) -> PoolBody:
        """Return a pool's counts as of now, beside Apple's last reading."""
        row = await queries.find_pool(database, pool_id)
        if row is None:
            raise NotFound("unknown_pool", "there is no pool by this id")
        return PoolBody.of(row)

    @routes.put(
        "/{pool_id}/default",
        status_code=204,
        summary="Take the asset from this library first",
        dependencies=[requires("licenses:admin")],
    )
    async def make_default(pool_id: UUID) -> None:
        """Make the pool's library the asset's default. What is held already stays where it is."""
        async with database.transaction() as tx:
            if not await prefer_pool(tx, pool_id):
                raise NotFound("unknown_pool", "there is no pool by this id")

    return routes
