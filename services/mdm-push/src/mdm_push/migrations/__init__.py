"""Alembic revisions of this service's schema."""
