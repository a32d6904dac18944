"""What others ask of this service: one function per question, each in one reading transaction."""

from licensing.queries.apple_users import AppleUserFilter, list_apple_users
from licensing.queries.content_tokens import (
    ContentTokenFilter,
    content_token_in,
    find_content_token,
    list_content_tokens,
)
from licensing.queries.libraries import find_library, library_in, list_libraries
from licensing.queries.licenses import LicenseFilter, find_license, list_licenses, list_waiting
from licensing.queries.notifications import find_malformed_notification, list_malformed_notifications
from licensing.queries.pools import PoolFilter, find_pool, list_pools
from licensing.queries.reconciliations import (
    DifferenceFilter,
    find_reconciliation,
    list_differences,
    list_reconciliations,
    reconciliation_in,
    reconciliations_in,
)

__all__ = [
    "AppleUserFilter",
    "ContentTokenFilter",
    "DifferenceFilter",
    "LicenseFilter",
    "PoolFilter",
    "content_token_in",
    "find_content_token",
    "find_library",
    "find_license",
    "find_malformed_notification",
    "find_pool",
    "find_reconciliation",
    "library_in",
    "list_apple_users",
    "list_content_tokens",
    "list_differences",
    "list_libraries",
    "list_licenses",
    "list_malformed_notifications",
    "list_pools",
    "list_reconciliations",
    "list_waiting",
    "reconciliation_in",
    "reconciliations_in",
]
