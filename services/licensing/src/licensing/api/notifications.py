"""/apple/notifications: Apple calls here, shows the library's secret, and is answered at once.

What came with the secret and is no notification can be looked at under /v1/malformed-notifications.
"""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Request, Response

from licensing import queries
from licensing.handlers import Arrival, Intake, Reception, Sealer
from licensing.schemas import LibraryId, MalformedNotificationBody, MalformedNotificationDetail
from shared.auth import requires
from shared.database import Database
from shared.errors import NotFound, Problem, Unauthorized
from shared.metrics import APPLE_NOTIFICATIONS
from shared.web import Page, takes

PATH = "/apple/notifications/{library}"

_LARGEST = 256 * 1024
"""Bytes: Apple puts at most 100 elements into a notification."""


def router(database: Database, sealer: Sealer) -> APIRouter:
    """Return the door. There is no bearer token of ours here: the secret is the proof."""
    routes = APIRouter(tags=["notifications"])
    intake = Intake(database, sealer)

    @routes.post(
        PATH, summary="Apple tells that something happened", dependencies=[takes(_LARGEST)], status_code=200
    )
    async def receive(
        library: str, request: Request, authorization: Annotated[str, Header(include_in_schema=False)] = ""
    ) -> Response:
        """Keep the notification as it came; it is read afterwards."""
        reception = await intake.take(Arrival(library, authorization, await request.body()))
        APPLE_NOTIFICATIONS.labels(reception).inc()
        match reception:
            case Reception.KEPT:
                return Response()
            case Reception.WRONG_SECRET:
                raise Unauthorized("wrong_secret", "this is not the secret of this library's notifications")
            case Reception.MALFORMED:
                raise Problem(
                    "malformed_notification",
                    "a notification is a JSON object with a notificationId and a notificationType",
                )

    return routes


def malformed(database: Database, sealer: Sealer) -> APIRouter:
    """Return the routes about what was no notification."""
    routes = APIRouter(prefix="/v1/malformed-notifications", tags=["notifications"])

    @routes.get(
        "",
        summary="List what Apple's door refused as malformed, the newest first",
        dependencies=[requires("licenses:read")],
    )
    async def list_malformed(library_id: LibraryId | None = None) -> Page[MalformedNotificationBody]:
        """Return the last ones of each library, without what they say; there are few."""
        rows = await queries.list_malformed_notifications(database, library_id)
        return Page(items=[MalformedNotificationBody.of(row) for row in rows])

    @routes.get(
        "/{malformed_notification_id}",
        summary="One of them, with its body as it came",
        dependencies=[requires("licenses:admin")],
    )
    async def read_malformed(malformed_notification_id: UUID) -> MalformedNotificationDetail:
        """Return it whole: whoever sent it may have put anything into it."""
        row = await queries.find_malformed_notification(database, malformed_notification_id)
        if row is None:
            raise NotFound("unknown_malformed_notification", "there is no malformed notification by this id")
        body = sealer.open(row["sealed"], table="malformed_notification", column="sealed", row_id=row["id"])
        return MalformedNotificationDetail.showing(row, body)

    return routes
