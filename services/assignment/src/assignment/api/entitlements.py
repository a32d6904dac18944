"""HTTP: entitlements, and why each stands where it stands."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends

from assignment.api.paging import page, part_of
from assignment.model import State
from assignment.queries import entitlements as queries
from assignment.queries.entitlements import Wanted
from assignment.schemas.entitlements import EntitlementBody, EntitlementStory
from assignment.schemas.words import SerialWanted
from shared.auth import requires
from shared.database import Database
from shared.errors import NotFound
from shared.web import Cursor, Limit, Page


async def _wanted(
    asset_id: UUID | None = None,
    device_id: UUID | None = None,
    serial_number: SerialWanted = None,
    state: State | None = None,
    assignment_id: UUID | None = None,
    request_id: UUID | None = None,
) -> Wanted:
    return Wanted(asset_id, device_id, serial_number, state, assignment_id, request_id)


def router(database: Database) -> APIRouter:
    """Return the routes under /v1/entitlements."""
    routes = APIRouter(
        prefix="/v1/entitlements", tags=["entitlements"], dependencies=[requires("assignments:read")]
    )

    @routes.get("", summary="List entitlements")
    async def list_entitlements(
        wanted: Annotated[Wanted, Depends(_wanted)], limit: Limit = 100, cursor: Cursor = None
    ) -> Page[EntitlementBody]:
        """Return the entitlements that match every filter given, lives that ended among them."""
        part = part_of(limit, cursor)
        rows = await queries.list_entitlements(database, wanted, part)
        return page(rows, EntitlementBody.of, part)

    @routes.get("/{entitlement_id}", summary="One entitlement, and why it stands where it stands")
    async def tell_story(entitlement_id: UUID) -> EntitlementStory:
        """Return every step with its time and cause, what blocks it, and what happens next by itself, and when."""
        story = await queries.tell_story(database, entitlement_id)
        if story is None:
            raise NotFound("unknown_entitlement", f"there is no entitlement {entitlement_id}")
        return EntitlementStory.telling(story)

    return routes
