"""HTTP: what callers may ask of this service, one file per kind of thing."""

from fastapi import APIRouter

from assignment.api import assignments, devices, entitlements, people
from shared.database import Database


def router(database: Database, *, max_targets: int) -> APIRouter:
    """Return all routes of this service; no group grows larger than `max_targets`, nor is a larger one taken."""
    routes = APIRouter()
    routes.include_router(people.router(database))
    routes.include_router(devices.router(database, max_targets=max_targets))
    routes.include_router(assignments.router(database, max_targets=max_targets))
    routes.include_router(entitlements.router(database))
    return routes
