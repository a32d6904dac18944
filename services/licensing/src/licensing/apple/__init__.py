"""The outside party: Apple's App and Book Management API."""

from licensing.apple.client import Apple, Budget
from licensing.apple.wire import Wire, http_client

__all__ = ["Apple", "Budget", "Wire", "http_client"]
