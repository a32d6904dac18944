"""HTTP: content tokens, pools, licences, waitlists, and the door that Apple's notifications come in by."""

from fastapi import APIRouter

from licensing.api import content_tokens, licenses, notifications, pools
from licensing.api.content_tokens import Examiner
from licensing.handlers import Sealer
from shared.database import Database

DOORS = (notifications.PATH,)
"""Opened by Apple, with the secret of the library as its proof."""

__all__ = ["DOORS", "router"]


def router(database: Database, apple: Examiner, sealer: Sealer) -> APIRouter:
    """Return the routes of this service."""
    routes = APIRouter()
    for part in (
        content_tokens.router(database, apple, sealer),
        pools.router(database),
        licenses.router(database),
        licenses.waitlist(database),
        notifications.router(database, sealer),
    ):
        routes.include_router(part)
    return routes
