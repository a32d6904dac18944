"""Alembic's way in: what shared.migrate asks for is run on the tables of this service."""

from invitation.tables import METADATA
from shared.migrate import run_migrations

run_migrations(METADATA)
