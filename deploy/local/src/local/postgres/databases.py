"""Roles and databases on a PostgreSQL server, made through its administrator's URL."""

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg

IDENTIFIER = re.compile(r"[a-z][a-z0-9_]{0,62}")
SCRAM_ROUNDS = 4096


class Databases:
    """Makes and drops databases, each owned by a role that alone may connect to it."""

    def __init__(self, admin_url: str) -> None:
        """`admin_url` speaks for a role that may create roles and databases (libpq form, postgresql://...)."""
        self._admin_url = admin_url

    async def create(self, name: str, owner_role: str) -> str:
        """Make the role with a new random password and the database it owns; return the database's URL.

        What exists already is kept and only the password is new, so a kept server serves its next start.
        Raises ValueError for a name that is no plain lower-case identifier.
        """
        database, role = _identifier(name), _identifier(owner_role)
        password = secrets.token_urlsafe(24)
        async with _connected(self._admin_url) as connection:
            known = await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role)
            verb = "ALTER" if known else "CREATE"
            await connection.execute(f"{verb} ROLE {role} LOGIN PASSWORD '{scram_verifier(password)}'")
            if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", database):
                await connection.execute(f"GRANT {role} TO CURRENT_USER")
                await connection.execute(f"CREATE DATABASE {database} OWNER {role}")
                await connection.execute(f"REVOKE ALL ON DATABASE {database} FROM PUBLIC")
        return with_database(self._admin_url, database, user=role, password=password)

    async def drop(self, name: str, owner_role: str) -> None:
        """Drop the database, whoever is still connected, and its role. Harmless when they are gone."""
        database, role = _identifier(name), _identifier(owner_role)
        async with _connected(self._admin_url) as connection:
            await connection.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")
            await connection.execute(f"DROP ROLE IF EXISTS {role}")


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


def with_database(url: str, database: str, *, user: str, password: str) -> str:
    """Return `url` pointed at another database as another role."""
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{quote(user)}:{quote(password)}@{place}", path=f"/{database}"))


def scram_verifier(password: str) -> str:
    """Return what PostgreSQL stores for an ASCII `password` under SCRAM-SHA-256 (RFC 5802, RFC 7677).

    Sent in its place, so that the password itself can turn up in no statement log.
    """
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, SCRAM_ROUNDS)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    stored_key = hashlib.sha256(client_key).digest()
    salt64, stored64, server64 = (base64.b64encode(part).decode() for part in (salt, stored_key, server_key))
    return f"SCRAM-SHA-256${SCRAM_ROUNDS}:{salt64}${stored64}:{server64}"


def _identifier(name: str) -> str:
    if not IDENTIFIER.fullmatch(name):
        raise ValueError(f"not a plain lower-case identifier: {name!r}")
    return name
