"""The tables of licensing and their constraints."""

from licensing.tables.base import metadata
from licensing.tables.ledger import intent, license_, settlement
from licensing.tables.libraries import content_token, library
from licensing.tables.notifications import malformed_notification, notification
from licensing.tables.people import (
    apple_user,
    apple_user_record,
    digest_key,
    person,
    user_reading,
    user_write,
)
from licensing.tables.pools import asset, foreign_assignment, pool
from licensing.tables.reconciling import difference, listed_assignment, reconciliation

__all__ = [
    "apple_user",
    "apple_user_record",
    "asset",
    "content_token",
    "difference",
    "digest_key",
    "foreign_assignment",
    "intent",
    "library",
    "license_",
    "listed_assignment",
    "malformed_notification",
    "metadata",
    "notification",
    "person",
    "pool",
    "reconciliation",
    "settlement",
    "user_reading",
    "user_write",
]
