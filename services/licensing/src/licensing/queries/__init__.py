"""What others ask of this service: one function per question, each in one reading transaction."""

from licensing.queries.content_tokens import content_token_in, find_content_token, list_content_tokens
from licensing.queries.licenses import LicenseFilter, find_license, list_licenses, list_waiting
from licensing.queries.pools import PoolFilter, find_pool, list_pools

__all__ = [
    "LicenseFilter",
    "PoolFilter",
    "content_token_in",
    "find_content_token",
    "find_license",
    "find_pool",
    "list_content_tokens",
    "list_licenses",
    "list_pools",
    "list_waiting",
]
