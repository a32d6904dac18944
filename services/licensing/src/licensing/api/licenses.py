"""/v1/licenses and /v1/waitlist: who has a licence, who had one, and who waits at which place."""

from dataclasses import replace
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends

from licensing import queries
from licensing.model import State
from licensing.queries import LicenseFilter
from licensing.schemas import LicenseBody, WaitingBody
from shared.auth import requires
from shared.database import Database
from shared.errors import NotFound
from shared.events.event import SerialNumber
from shared.web import Cursor, Limit, Page, decode_cursor, page_of


def _of_waiting(
    pool_id: UUID | None = None,
    asset_id: UUID | None = None,
    serial_number: SerialNumber | None = None,
    user_id: UUID | None = None,
) -> LicenseFilter:
    return LicenseFilter(pool_id, asset_id, serial_number, user_id)


def _of_licenses(
    wanted: Annotated[LicenseFilter, Depends(_of_waiting)], state: State | None = None
) -> LicenseFilter:
    return replace(wanted, state=state)


def router(database: Database) -> APIRouter:
    """Return the routes about licences."""
    routes = APIRouter(prefix="/v1/licenses", tags=["licenses"], dependencies=[requires("licenses:read")])

    @routes.get("", summary="List licences, living and ended lives alike")
    async def list_licenses(
        wanted: Annotated[LicenseFilter, Depends(_of_licenses)],
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Page[LicenseBody]:
        """Return a page of the licences that match every filter given."""
        place = decode_cursor(cursor, UUID)
        rows = await queries.list_licenses(
            database, wanted, limit=limit + 1, after=place[0] if place else None
        )
        return page_of(rows, limit, LicenseBody.of, "entitlement_id")

    @routes.get("/{entitlement_id}", summary="The licence of one entitlement")
    async def read_license(entitlement_id: UUID) -> LicenseBody:
        """Return where the licence of an entitlement stands."""
        row = await queries.find_license(database, entitlement_id)
        if row is None:
            raise NotFound("unknown_license", "no licence was ever asked for this entitlement")
        return LicenseBody.of(row)

    return routes


def waitlist(database: Database) -> APIRouter:
    """Return the route about those who wait."""
    routes = APIRouter(prefix="/v1/waitlist", tags=["waitlist"], dependencies=[requires("licenses:read")])

    @routes.get("", summary="List who waits, with everybody's place as of now")
    async def list_waiting(
        wanted: Annotated[LicenseFilter, Depends(_of_waiting)],
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Page[WaitingBody]:
        """Return a page of the waitlists, pool by pool, in the order in which they are served."""
        place = decode_cursor(cursor, UUID, int)
        rows = await queries.list_waiting(
            database, wanted, limit=limit + 1, after=(place[0], place[1]) if place else None
        )
        return page_of(rows, limit, WaitingBody.of, "pool_id", "position")

    return routes
