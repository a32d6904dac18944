"""HTTP: who was invited, how far each invitation has come, and why it stands where it stands."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from invitation import queries
from invitation.model import State
from invitation.queries import Filter
from invitation.schemas import InvitationBody, InvitationStory
from shared.auth import requires
from shared.database import Database
from shared.errors import NotFound
from shared.web import Cursor, Limit, Page, decode_cursor, encode_cursor


def router(database: Database) -> APIRouter:
    """Return the routes of this service."""
    routes = APIRouter(
        prefix="/v1/invitations", tags=["invitations"], dependencies=[requires("invitations:read")]
    )

    @routes.get("", summary="List invitations, oldest first")
    async def list_invitations(
        user_id: UUID | None = None,
        library_id: Annotated[str | None, Query(max_length=64, pattern="^[!-~]+$")] = None,
        state: State | None = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Page[InvitationBody]:
        """Return a page of the invitations that match every filter given."""
        place = decode_cursor(cursor, UUID)
        wanted = Filter(user_id=user_id, library_id=library_id, state=state)
        found = await queries.list_invitations(
            database, wanted, limit=limit + 1, after=place[0] if place else None
        )
        shown = found[:limit]
        return Page(
            items=[InvitationBody.of(invitation) for invitation in shown],
            next_cursor=encode_cursor(shown[-1].id) if len(found) > limit else None,
        )

    @routes.get("/{invitation_id}", summary="One invitation, and why it stands where it stands")
    async def tell_story(invitation_id: UUID) -> InvitationStory:
        """Return one invitation with every step, what blocks it, and what happens next and when."""
        story = await queries.tell_story(database, invitation_id)
        if story is None:
            raise NotFound("unknown_invitation", "there is no invitation by this id")
        return InvitationStory.telling(story)

    return routes
