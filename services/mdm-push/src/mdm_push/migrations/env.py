"""Alembic's way in."""

from mdm_push.tables import metadata
from shared.migrate import run_migrations

run_migrations(metadata)
