"""HTTP: assignments, the requests they came in, and how far they have come."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from assignment.api.answers import asked_of, check_expiries, request_answer
from assignment.api.paging import page, part_of
from assignment.api.progress import progress_stream
from assignment.handlers.asking import ask
from assignment.handlers.withdrawing import revoke
from assignment.queries import assignments as queries
from assignment.schemas.asking import NewAssignments, RequestAnswer
from assignment.schemas.assignments import AssignmentBody, ProgressBody, RequestBody, RequestLine
from assignment.schemas.entitlements import EntitlementBody
from shared.auth import Caller, requires
from shared.database import Database, Transaction
from shared.errors import NotFound
from shared.events.words import RevokeReason
from shared.web import Answer, CorrelationId, Cursor, IdempotencyKey, Limit, Page, answer_once, keeps_serving

_READ = [requires("assignments:read")]
_STREAM = "text/event-stream"


def router(database: Database, *, max_targets: int) -> APIRouter:
    """Return the routes under /v1/assignments and /v1/requests."""
    routes = APIRouter(prefix="/v1")
    _add_asking(routes, database, max_targets)
    _add_reading(routes, database)
    _add_progress(routes, database)
    _add_requests(routes, database)
    return routes


def _add_asking(routes: APIRouter, database: Database, max_targets: int) -> None:
    @routes.post(
        "/assignments",
        status_code=202,
        response_model=RequestAnswer,
        tags=["assignments"],
        summary="Assign assets",
    )
    async def create(
        request: Request,
        new: NewAssignments,
        correlation_id: CorrelationId,
        caller: Annotated[Caller, requires("assignments:write")],
        idempotency_key: IdempotencyKey = None,
    ) -> JSONResponse:
        """Assign assets to devices and device groups.

        What cannot be is refused with its reason, target by target; the rest goes on. Up to 10,000 targets are
        reached before the answer, what goes beyond follows (`unfolding`).
        """
        check_expiries(new, database.clock.now())

        async def work(tx: Transaction) -> Answer:
            asked = [asked_of(one) for one in new.assignments]
            answers = await ask(
                tx, asked, request_id=correlation_id, caller=caller.subject, max_targets=max_targets
            )
            return Answer(202, request_answer(correlation_id, answers))

        return await answer_once(
            database,
            caller=caller,
            route="POST /v1/assignments",
            key=idempotency_key,
            body=await request.body(),
            work=work,
        )

    @routes.delete(
        "/assignments/{assignment_id}",
        status_code=202,
        dependencies=[requires("assignments:write")],
        tags=["assignments"],
        summary="Revoke an assignment",
    )
    async def end(assignment_id: UUID) -> AssignmentBody:
        """End an assignment: licences that nothing else covers go back, apps are removed. Twice is once."""
        async with database.transaction() as tx:
            await revoke(tx, assignment_id, RevokeReason.ENDED)
        return await _read(database, assignment_id)


def _add_reading(routes: APIRouter, database: Database) -> None:
    @routes.get("/assignments", dependencies=_READ, tags=["assignments"], summary="List assignments")
    async def list_assignments(
        asset_id: UUID | None = None,
        target_id: UUID | None = None,
        request_id: UUID | None = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Page[AssignmentBody]:
        """Return the assignments that match every filter given, ended ones among them."""
        part = part_of(limit, cursor)
        rows, progress = await queries.list_assignments(
            database, part, asset_id=asset_id, target_id=target_id, request_id=request_id
        )
        return page(rows, lambda row: AssignmentBody.of(row, progress[row["id"]]), part)

    @routes.get(
        "/assignments/{assignment_id}", dependencies=_READ, tags=["assignments"], summary="One assignment"
    )
    async def read_assignment(assignment_id: UUID) -> AssignmentBody:
        """Return one assignment and how far it has come."""
        return await _read(database, assignment_id)

    @routes.get(
        "/assignments/{assignment_id}/entitlements",
        dependencies=_READ,
        tags=["assignments"],
        summary="The entitlements of an assignment",
    )
    async def list_entitlements(
        assignment_id: UUID, limit: Limit = 100, cursor: Cursor = None
    ) -> Page[EntitlementBody]:
        """Return the latest life on each device that the assignment covers, or covered until its revoke."""
        part = part_of(limit, cursor)
        await _read(database, assignment_id)
        rows = await queries.list_entitlements_of(database, assignment_id, part)
        return page(rows, EntitlementBody.of, part, by="device_id")


def _add_progress(routes: APIRouter, database: Database) -> None:
    @routes.get(
        "/assignments/{assignment_id}/progress",
        dependencies=_READ,
        response_model=ProgressBody,
        responses={200: {"content": {_STREAM: {"schema": {"type": "string"}}}}},
        tags=["assignments"],
        summary="How far an assignment has come",
    )
    async def read_progress(request: Request, assignment_id: UUID) -> Response:
        """Return how far it has come; to `Accept: text/event-stream`, every change as it comes."""
        progress = await queries.read_progress(database, assignment_id)
        if progress is None:
            raise _unknown(assignment_id)
        if _STREAM in request.headers.get("accept", ""):
            stream = progress_stream(database, assignment_id, goes_on=lambda: keeps_serving(request))
            return StreamingResponse(stream, media_type=_STREAM)
        return JSONResponse(ProgressBody.of(progress).model_dump(mode="json"))


def _add_requests(routes: APIRouter, database: Database) -> None:
    @routes.get("/requests", dependencies=_READ, tags=["requests"], summary="List requests")
    async def list_requests(limit: Limit = 100, cursor: Cursor = None) -> Page[RequestLine]:
        """Return requests in the order in which they came."""
        part = part_of(limit, cursor)
        rows = await queries.list_requests(database, part)
        return page(rows, lambda row: RequestLine(**row), part)

    @routes.get(
        "/requests/{request_id}", dependencies=_READ, tags=["requests"], summary="What one request became"
    )
    async def read_request(request_id: UUID) -> RequestBody:
        """Return one request with its assignments, and those that were refused as a whole."""
        found = await queries.read_request(database, request_id)
        if found is None:
            raise NotFound("unknown_request", f"there is no request {request_id}")
        request, rows, progress = found
        return RequestBody.of(request, [AssignmentBody.of(row, progress[row["id"]]) for row in rows])


async def _read(database: Database, assignment_id: UUID) -> AssignmentBody:
    found = await queries.read_assignment(database, assignment_id)
    if found is None:
        raise _unknown(assignment_id)
    return AssignmentBody.of(*found)


def _unknown(assignment_id: UUID) -> NotFound:
    return NotFound("unknown_assignment", f"there is no assignment {assignment_id}")
