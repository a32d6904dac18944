"""The tables of licensing and their constraints."""

from licensing.tables.base import metadata
from licensing.tables.ledger import intent, license_, settlement
from licensing.tables.libraries import content_token, library
from licensing.tables.notifications import notification
from licensing.tables.pools import asset, foreign_assignment, pool

__all__ = [
    "asset",
    "content_token",
    "foreign_assignment",
    "intent",
    "library",
    "license_",
    "metadata",
    "notification",
    "pool",
    "settlement",
]
