"""One function per use case, each one transaction."""

from licensing.handlers.clockwork import Clockwork
from licensing.handlers.notices import Sealer, keep_notification
from licensing.handlers.tokens import install_token
from licensing.handlers.wishes import release, reserve

__all__ = ["Clockwork", "Sealer", "install_token", "keep_notification", "release", "reserve"]
