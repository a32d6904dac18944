"""The outside party: Apple's App and Book Management API."""

from licensing.apple.client import Apple
from licensing.apple.guard import Guard
from licensing.apple.libraries import NOTIFICATION_TYPES
from licensing.apple.line import Budget
from licensing.apple.wire import Wire, http_client

__all__ = ["NOTIFICATION_TYPES", "Apple", "Budget", "Guard", "Wire", "http_client"]
