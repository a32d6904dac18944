"""HTTP for people and other services: what became of each device and command, and the push certificates."""

from collections.abc import Sequence
from typing import Annotated, TypeVar
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel
from starlette.responses import JSONResponse

from mdm_push import queries
from mdm_push.certificates import read_certificate
from mdm_push.handlers.certificates import store_certificate
from mdm_push.handlers.means import Means
from mdm_push.model import CommandState, EnrollmentState
from mdm_push.schemas import (
    CommandBody,
    DeliveryBody,
    EnrollmentBody,
    EnrollmentStory,
    PushBody,
    PushCertificateBody,
    PushCertificateUpload,
    WhyBody,
)
from shared.auth import Caller, requires
from shared.database import Database, Transaction
from shared.errors import NotFound
from shared.events.words import Platform
from shared.web import (
    Answer,
    Cursor,
    IdempotencyKey,
    Limit,
    Page,
    answer_once,
    decode_cursor,
    page_of,
)

B = TypeVar("B", bound=BaseModel)

_Text = Annotated[str | None, Query(max_length=64, pattern="^[!-~]+$")]
_READ = requires("devices:read")


def router(database: Database, means: Means) -> APIRouter:
    """Return the routes of this service that people and other services call."""
    routes = APIRouter(prefix="/v1")
    _enrollment_routes(routes, database)
    _command_routes(routes, database)
    _certificate_routes(routes, database, means)
    return routes


def _enrollment_routes(routes: APIRouter, database: Database) -> None:
    @routes.get("/enrollments", tags=["enrollments"], dependencies=[_READ])
    async def list_enrollments(
        serial_number: _Text = None,
        state: EnrollmentState | None = None,
        platform: Platform | None = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Page[EnrollmentBody]:
        """List device and user channels, in the order in which they were first seen."""
        which = queries.WhichEnrollments(serial_number, state, platform)
        rows = await queries.list_enrollments(database, which, after=_after(cursor), limit=limit + 1)
        return _page(EnrollmentBody, rows, limit)

    @routes.get("/enrollments/{enrollment_id}", tags=["enrollments"], dependencies=[_READ])
    async def tell_enrollment(enrollment_id: UUID) -> EnrollmentStory:
        """Show one channel: its deliveries, what holds its queue up, and what happens next."""
        story = await queries.tell_enrollment(database, enrollment_id)
        if story is None:
            raise NotFound("unknown_enrollment", f"there is no enrollment {enrollment_id}")
        return EnrollmentStory(
            **story.enrollment,
            push=PushBody(**story.enrollment),
            open_commands=story.open_commands,
            deliveries=[DeliveryBody(**delivery) for delivery in story.deliveries],
            why=WhyBody(
                blocked_by=story.why.blocked_by,
                next_action=story.why.next_action,
                next_at=story.why.next_at,
            ),
        )


def _command_routes(routes: APIRouter, database: Database) -> None:
    @routes.get("/commands", tags=["commands"], dependencies=[_READ])
    async def list_commands(
        enrollment_id: UUID | None = None,
        delivery_id: UUID | None = None,
        state: CommandState | None = None,
        request_type: _Text = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Page[CommandBody]:
        """List commands in the order in which they were queued; ended ones are kept for some weeks."""
        which = queries.WhichCommands(enrollment_id, delivery_id, state, request_type)
        rows = await queries.list_commands(database, which, after=_after(cursor), limit=limit + 1)
        return _page(CommandBody, rows, limit)


def _certificate_routes(routes: APIRouter, database: Database, means: Means) -> None:
    @routes.get("/push-certificates", tags=["push certificates"], dependencies=[_READ])
    async def list_certificates(limit: Limit = 100, cursor: Cursor = None) -> Page[PushCertificateBody]:
        """List the push certificates, oldest first; their keys are never read back."""
        rows = await queries.list_certificates(database, after=_after(cursor), limit=limit + 1)
        return _page(PushCertificateBody, rows, limit)

    @routes.post(
        "/push-certificates",
        status_code=201,
        response_model=PushCertificateBody,
        tags=["push certificates"],
    )
    async def store(
        request: Request,
        upload: PushCertificateUpload,
        caller: Annotated[Caller, requires("devices:command")],
        idempotency_key: IdempotencyKey = None,
    ) -> JSONResponse:
        """Store a push certificate; it is used for its topic within seconds, no push is lost over the change."""
        read = read_certificate(upload.certificate_pem, upload.private_key_pem, now=database.clock.now())

        async def work(tx: Transaction) -> Answer:
            stored = await store_certificate(
                tx,
                read,
                apple_account=upload.apple_account,
                all_devices_must_reenroll=upload.all_devices_must_reenroll,
                stored_by=caller.subject,
                means=means,
            )
            body = PushCertificateBody(
                id=stored.id,
                topic=stored.topic,
                not_before=stored.not_before,
                not_after=stored.not_after,
                apple_account=upload.apple_account,
                stored_at=tx.now,
                in_use=True,
            )
            return Answer(201, body)

        return await answer_once(
            database,
            caller=caller,
            route="POST /v1/push-certificates",
            key=idempotency_key,
            body=await request.body(),
            work=work,
        )


def _after(cursor: str | None) -> UUID | None:
    place = decode_cursor(cursor, UUID)
    return place[0] if place else None


def _page(kind: type[B], rows: Sequence[queries.Row], limit: int) -> Page[B]:
    return page_of(rows, limit, lambda row: kind(**row), "id")
