"""/v1/libraries: how each library stands with Apple, what is set for it, and taking one over."""

from fastapi import APIRouter

from licensing import queries
from licensing.handlers import change_settings, take_over
from licensing.schemas import LibraryBody, LibraryChange, LibraryId, LibraryState
from shared.auth import requires
from shared.database import Database
from shared.errors import NotFound
from shared.web import CorrelationId, Cursor, Limit, Page, decode_cursor, page_of


def router(database: Database) -> APIRouter:
    """Return the routes about libraries."""
    routes = APIRouter(prefix="/v1/libraries", tags=["libraries"])
    _add_reads(routes, database)
    _add_acts(routes, database)
    return routes


def _add_reads(routes: APIRouter, database: Database) -> None:
    @routes.get(
        "",
        summary="List libraries, the one asked first at the head",
        dependencies=[requires("licenses:read")],
    )
    async def list_libraries(
        state: LibraryState | None = None, limit: Limit = 100, cursor: Cursor = None
    ) -> Page[LibraryBody]:
        """Return a page of the libraries that match every filter given."""
        place = decode_cursor(cursor, int, str)
        after = None if place is None else (place[0], place[1])
        rows = await queries.list_libraries(database, state, limit=limit + 1, after=after)
        return page_of(rows, limit, LibraryBody.of, "preference", "library_id")

    @routes.get("/{library_id}", summary="One library", dependencies=[requires("licenses:read")])
    async def read_library(library_id: LibraryId) -> LibraryBody:
        """Return how a library stands; where another service claims it, its name."""
        row = await queries.find_library(database, library_id)
        if row is None:
            raise NotFound("unknown_library", "there is no library by this id")
        return LibraryBody.of(row)


def _add_acts(routes: APIRouter, database: Database) -> None:
    @routes.patch(
        "/{library_id}", summary="Change a library's settings", dependencies=[requires("licenses:admin")]
    )
    async def change_library(library_id: LibraryId, body: LibraryChange) -> LibraryBody:
        """Set what is said, for all decisions from now on, and return the library."""
        async with database.transaction() as tx:
            await change_settings(tx, library_id, body.settings())
            return LibraryBody.of(await queries.library_in(tx, library_id))

    @routes.post(
        "/{library_id}/takeover",
        status_code=202,
        summary="Take a library over from another service",
        dependencies=[requires("licenses:admin")],
    )
    async def take_library_over(library_id: LibraryId, correlation_id: CorrelationId) -> LibraryBody:
        """Claim the library soon, whoever claims it now; its work goes on once Apple took the claim.

        409 where no other service was seen to claim it, or Apple refuses its content token.
        """
        async with database.transaction() as tx:
            await take_over(tx, library_id, correlation_id)
            return LibraryBody.of(await queries.library_in(tx, library_id))
