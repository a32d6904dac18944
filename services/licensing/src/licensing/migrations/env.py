"""Alembic's way in: what shared.migrate asks for is run on the tables of this service."""

from licensing.tables import metadata
from shared.migrate import run_migrations

run_migrations(metadata)
