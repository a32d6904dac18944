"""/apple/notifications: Apple calls here, shows the library's secret, and is answered at once."""

from typing import Annotated

from fastapi import APIRouter, Header, Request, Response

from licensing.handlers import Sealer, keep_notification
from shared.database import Database
from shared.errors import Problem, Unauthorized
from shared.metrics import APPLE_NOTIFICATIONS
from shared.web import takes

PATH = "/apple/notifications/{library}"

_LARGEST = 256 * 1024
"""Bytes: Apple puts at most 100 elements into a notification."""


def router(database: Database, sealer: Sealer) -> APIRouter:
    """Return the door. There is no bearer token of ours here: the secret is the proof."""
    routes = APIRouter(tags=["notifications"])

    @routes.post(
        PATH, summary="Apple tells that something happened", dependencies=[takes(_LARGEST)], status_code=200
    )
    async def receive(
        library: str, request: Request, authorization: Annotated[str, Header(include_in_schema=False)] = ""
    ) -> Response:
        """Keep the notification as it came; it is read afterwards."""
        body = await request.body()
        try:
            async with database.transaction() as tx:
                await keep_notification(tx, library, authorization=authorization, body=body, sealer=sealer)
        except Unauthorized:
            APPLE_NOTIFICATIONS.labels("wrong_secret").inc()
            raise
        except Problem:
            APPLE_NOTIFICATIONS.labels("malformed").inc()
            raise
        APPLE_NOTIFICATIONS.labels("kept").inc()
        return Response()

    return routes
