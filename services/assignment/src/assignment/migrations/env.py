"""Alembic's way in."""

from assignment.tables import metadata
from shared.migrate import run_migrations

run_migrations(metadata)
