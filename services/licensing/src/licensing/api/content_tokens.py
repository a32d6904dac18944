"""/v1/content-tokens: a token goes in, and what it speaks for can be read; the token itself never again."""

from typing import Annotated, Protocol
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse

from licensing import queries
from licensing.handlers import Sealer, Upload, install_token
from licensing.model import ExaminedToken
from licensing.queries import ContentTokenFilter
from licensing.schemas import ContentTokenBody, ContentTokenState, LibraryId, NewContentToken
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
    first_answer,
    page_of,
)


class Examiner(Protocol):
    """Asks Apple what a content token speaks for."""

    async def examine(self, text: str) -> ExaminedToken:
        """Return it, or raise Invalid with the words that whoever uploaded it needs."""
        ...


def router(database: Database, apple: Examiner, sealer: Sealer) -> APIRouter:
    """Return the routes about content tokens."""
    routes = APIRouter(prefix="/v1/content-tokens", tags=["content tokens"])
    _add_upload(routes, database, apple, sealer)
    _add_reads(routes, database)
    return routes


def _add_upload(routes: APIRouter, database: Database, apple: Examiner, sealer: Sealer) -> None:
    @routes.post(
        "",
        status_code=201,
        response_model=ContentTokenBody,
        summary="Install a content token, of a new library or as a renewal; its purchases appear soon after",
    )
    async def upload(
        request: Request,
        body: NewContentToken,
        caller: Annotated[Caller, requires("licenses:admin")],
        correlation_id: CorrelationId,
        idempotency_key: IdempotencyKey = None,
    ) -> JSONResponse:
        """Validate the token with Apple, seal it, and have its library claimed. Refused: nothing is stored."""
        route, sent = "POST /v1/content-tokens", await request.body()
        if answered := await first_answer(
            database, caller=caller, route=route, key=idempotency_key, body=sent
        ):
            return answered
        examined = await apple.examine(body.content_token.get_secret_value())
        given = Upload(examined, renews=body.library_id, takes_over=body.takeover)

        async def install(tx: Transaction) -> Answer:
            token_id = await install_token(
                tx, given, sealer=sealer, caller=caller.subject, correlation_id=correlation_id
            )
            return Answer(201, ContentTokenBody.of(await queries.content_token_in(tx, token_id)))

        return await answer_once(
            database, caller=caller, route=route, key=idempotency_key, body=sent, work=install
        )


def _add_reads(routes: APIRouter, database: Database) -> None:
    @routes.get("", summary="List content tokens, the newest first", dependencies=[requires("licenses:read")])
    async def list_content_tokens(
        library_id: LibraryId | None = None,
        state: ContentTokenState | None = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Page[ContentTokenBody]:
        """Return a page of the content tokens that match every filter given."""
        place = decode_cursor(cursor, UUID)
        rows = await queries.list_content_tokens(
            database,
            ContentTokenFilter(library_id, state),
            limit=limit + 1,
            before=place[0] if place else None,
        )
        return page_of(rows, limit, ContentTokenBody.of, "id")

    @routes.get("/{content_token_id}", summary="One content token", dependencies=[requires("licenses:read")])
    async def read_content_token(content_token_id: UUID) -> ContentTokenBody:
        """Return what is known of a content token."""
        row = await queries.find_content_token(database, content_token_id)
        if row is None:
            raise NotFound("unknown_content_token", "there is no content token by this id")
        return ContentTokenBody.of(row)
