"""HTTP: content tokens, pools, licences, waitlists, Apple users, and the door that Apple's notifications come in by."""

from fastapi import APIRouter

from licensing.api import (
    apple_users,
    content_tokens,
    libraries,
    licenses,
    notifications,
    pools,
    reconciliations,
)
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
        libraries.router(database),
        pools.router(database),
        licenses.router(database),
        licenses.waitlist(database),
        apple_users.router(database),
        apple_users.reinvitations(database),
        reconciliations.router(database),
        notifications.router(database, sealer),
        notifications.malformed(database, sealer),
    ):
        routes.include_router(part)
    return routes
