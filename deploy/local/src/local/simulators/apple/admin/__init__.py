"""The admin door: plain HTTP for stories, tests and other people's CI."""

from local.simulators.apple.admin.door import build_admin_door

__all__ = ["build_admin_door"]
