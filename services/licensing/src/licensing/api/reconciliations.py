"""/v1/reconciliations: our ledger beside Apple's lists; the plan is shown, and applied if somebody says so."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse

from licensing import queries
from licensing.handlers import begin_reconciliations, repair
from licensing.model.reconciling import DifferenceClass, DifferenceState
from licensing.queries import DifferenceFilter
from licensing.schemas import (
    DifferenceBody,
    FullReconciliationBody,
    LibraryId,
    NewReconciliation,
    NewRepair,
    ReconciliationBody,
)
from shared.auth import Caller, requires
from shared.database import Database, Transaction
from shared.errors import NotFound
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

_UNKNOWN = NotFound("unknown_reconciliation", "there is no reconciliation by this id")


def router(database: Database) -> APIRouter:
    """Return the routes about reconciliations."""
    routes = APIRouter(prefix="/v1/reconciliations", tags=["reconciliations"])
    for add in (_add_begin, _add_apply, _add_reads, _add_differences):
        add(routes, database)
    return routes


def _add_begin(routes: APIRouter, database: Database) -> None:
    @routes.post(
        "",
        status_code=202,
        response_model=Page[ReconciliationBody],
        summary="Reconcile a library, or all; one that is being reconciled is answered, not begun again",
    )
    async def reconcile(
        request: Request,
        body: NewReconciliation,
        caller: Annotated[Caller, requires("licenses:admin")],
        idempotency_key: IdempotencyKey = None,
    ) -> JSONResponse:
        """Begin to read what Apple says; nothing is changed by that."""

        async def begin(tx: Transaction) -> Answer:
            begun = await begin_reconciliations(tx, body.library_id, asked_by=caller.subject)
            rows = await queries.reconciliations_in(tx, begun)
            return Answer(202, Page(items=[ReconciliationBody.of(row) for row in rows]))

        return await answer_once(
            database,
            caller=caller,
            route="POST /v1/reconciliations",
            key=idempotency_key,
            body=await request.body(),
            work=begin,
        )


def _add_apply(routes: APIRouter, database: Database) -> None:
    @routes.post(
        "/{reconciliation_id}/apply",
        status_code=202,
        response_model=FullReconciliationBody,
        summary="Repair what a reconciliation found, all or some classes of it",
    )
    async def apply(
        request: Request,
        reconciliation_id: UUID,
        body: NewRepair,
        caller: Annotated[Caller, requires("licenses:admin")],
        idempotency_key: IdempotencyKey = None,
    ) -> JSONResponse:
        """Have what is open repaired. Each difference is looked at again before: what went away stays untouched."""

        async def begin(tx: Transaction) -> Answer:
            await repair(tx, reconciliation_id, body.wanted)
            found = await queries.reconciliation_in(tx, reconciliation_id)
            if found is None:
                raise _UNKNOWN
            return Answer(202, FullReconciliationBody.with_counts(*found))

        return await answer_once(
            database,
            caller=caller,
            route=f"POST /v1/reconciliations/{reconciliation_id}/apply",
            key=idempotency_key,
            body=await request.body(),
            work=begin,
        )


def _add_reads(routes: APIRouter, database: Database) -> None:
    @routes.get(
        "", summary="List reconciliations, the newest first", dependencies=[requires("licenses:read")]
    )
    async def list_reconciliations(
        library_id: LibraryId | None = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Page[ReconciliationBody]:
        """Return a page of the reconciliations."""
        place = decode_cursor(cursor, UUID)
        rows = await queries.list_reconciliations(
            database, library_id, limit=limit + 1, before=place[0] if place else None
        )
        return page_of(rows, limit, ReconciliationBody.of, "id")

    @routes.get(
        "/{reconciliation_id}",
        summary="One reconciliation, with what it found by class",
        dependencies=[requires("licenses:read")],
    )
    async def read_reconciliation(reconciliation_id: UUID) -> FullReconciliationBody:
        """Return how far it is, and the plan."""
        found = await queries.find_reconciliation(database, reconciliation_id)
        if found is None:
            raise _UNKNOWN
        return FullReconciliationBody.with_counts(*found)


def _add_differences(routes: APIRouter, database: Database) -> None:
    @routes.get(
        "/{reconciliation_id}/differences",
        summary="What differs, and what would repair each",
        dependencies=[requires("licenses:read")],
    )
    async def list_differences(
        reconciliation_id: UUID,
        kind: Annotated[DifferenceClass | None, Query(alias="class")] = None,
        state: DifferenceState | None = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Page[DifferenceBody]:
        """Return a page of the differences that match every filter given."""
        place = decode_cursor(cursor, UUID)
        rows = await queries.list_differences(
            database,
            reconciliation_id,
            DifferenceFilter(kind, state),
            limit=limit + 1,
            after=place[0] if place else None,
        )
        if rows is None:
            raise _UNKNOWN
        return page_of(rows, limit, DifferenceBody.of, "id")
