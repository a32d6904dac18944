"""/v1/apple-users: who is registered, invited and joined in which library, and binding somebody anew."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse

from licensing import queries
from licensing.handlers import reinvite
from licensing.queries import AppleUserFilter
from licensing.schemas import AppleUserBody, AppleUserState, LibraryId, Reinvitation
from shared.auth import Caller, requires
from shared.database import Database, Transaction
from shared.errors import NotFound
from shared.web import (
    Answer,
    CorrelationId,
    Cursor,
    IdempotencyKey,
    Limit,
    Page,
    answer_once,
    decode_cursor,
    page_of,
)

_MOST_LIBRARIES = 1_000


def router(database: Database) -> APIRouter:
    """Return the routes that show Apple users."""
    routes = APIRouter(
        prefix="/v1/apple-users", tags=["apple users"], dependencies=[requires("licenses:read")]
    )

    @routes.get("", summary="List Apple users")
    async def list_apple_users(
        library_id: LibraryId | None = None,
        state: AppleUserState | None = None,
        user_id: UUID | None = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Page[AppleUserBody]:
        """Return a page of the Apple users that match every filter given."""
        place = decode_cursor(cursor, UUID, str)
        rows = await queries.list_apple_users(
            database,
            AppleUserFilter(library_id, user_id, state),
            limit=limit + 1,
            after=(place[0], place[1]) if place else None,
        )
        return page_of(rows, limit, AppleUserBody.of, "user_id", "library_id")

    @routes.get("/{user_id}", summary="One person's Apple users, one a library")
    async def read_apple_users(user_id: UUID) -> Page[AppleUserBody]:
        """Return a person as Apple knows them in each library."""
        wanted = AppleUserFilter(user_id=user_id)
        rows = await queries.list_apple_users(database, wanted, limit=_MOST_LIBRARIES, after=None)
        if not rows:
            raise NotFound("unknown_apple_user", "this person has no Apple user in any library")
        return Page(items=[AppleUserBody.of(row) for row in rows])

    return routes


def reinvitations(database: Database) -> APIRouter:
    """Return the route that binds a person anew."""
    routes = APIRouter(prefix="/v1/apple-users", tags=["apple users"])

    @routes.post(
        "/{user_id}/reinvite",
        status_code=202,
        summary="Bind a person anew, after a wrong account was bound: retire, create, invite",
    )
    async def reinvite_user(
        request: Request,
        user_id: UUID,
        body: Reinvitation,
        caller: Annotated[Caller, requires("licenses:admin")],
        correlation_id: CorrelationId,
        idempotency_key: IdempotencyKey = None,
    ) -> JSONResponse:
        """Begin it. Revocable licences that they hold in the library come back; books stay spent."""

        async def begin(tx: Transaction) -> Answer:
            await reinvite(tx, user_id, body.library_id, correlation_id)
            return Answer(202, {"user_id": str(user_id), "library_id": body.library_id})

        return await answer_once(
            database,
            caller=caller,
            route=f"POST /v1/apple-users/{user_id}/reinvite",
            key=idempotency_key,
            body=await request.body(),
            work=begin,
        )

    return routes
