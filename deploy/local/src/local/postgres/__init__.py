"""PostgreSQL from the binaries of a wheel: a data directory, its server, and the databases on it."""

from local.postgres.cluster import remove
from local.postgres.databases import Databases
from local.postgres.server import DURABLE, THROWAWAY, EmbeddedPostgres

__all__ = ["DURABLE", "THROWAWAY", "Databases", "EmbeddedPostgres", "remove"]
