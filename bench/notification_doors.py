"""The two doors that take notifications, each served by a process of its own: licensing's, and the least there is."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal, get_args

import asyncpg
import httpx2
import uvloop
from fastapi import APIRouter, FastAPI, Request, Response

from licensing.api import notifications
from shared import logs
from shared.auth import Verifier
from shared.clock import SystemClock
from shared.database import Database
from shared.ids import new_id
from shared.lifecycle import HttpServer
from shared.program import calm_the_collector
from shared.vault import Vault
from shared.web import Health, build_app

Door = Literal["licensing", "bare"]

BARE_TABLE = "CREATE TABLE bare (id uuid PRIMARY KEY, body bytea NOT NULL)"

PATH = "/apple/notifications/library"

_CONNECTIONS = 8
"""To PostgreSQL: as many as a service has."""


@asynccontextmanager
async def opened(door: Door, database_url: str, keys_file: Path) -> AsyncIterator[int]:
    """Start a door in a process of its own; yield its port."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", __name__, door, database_url, str(keys_file)), stdout=asyncio.subprocess.PIPE
    )
    try:
        yield int(await process.stdout.readline() if process.stdout else b"")
    finally:
        process.terminate()
        await process.wait()


async def _serve(door: Door, database_url: str, keys_file: Path) -> None:
    """Be a door until the process is ended."""
    app = _licensing(database_url, keys_file) if door == "licensing" else await _bare(database_url)
    server = HttpServer(door, app, address=("127.0.0.1", 0))
    serving = await server.start()
    calm_the_collector()
    print(server.port, flush=True)
    await serving


def _licensing(database_url: str, keys_file: Path) -> FastAPI:
    """Return the service's own app, with this one door in it."""
    database = Database(database_url, pool_size=_CONNECTIONS)
    routes = APIRouter()
    routes.include_router(notifications.router(database, Vault.load(keys_file)))
    return build_app(
        title="licensing",
        description="",
        verifier=Verifier({}, audience="bench", http=httpx2.AsyncClient(), clock=SystemClock()),
        health=Health(stuck=list, unready=_ready),
        routers=[routes],
        open_doors=(notifications.PATH,),
    )


async def _ready() -> list[str]:
    return []


async def _bare(database_url: str) -> FastAPI:
    """Return an app whose one route runs one INSERT of what it is given."""
    pool = await asyncpg.create_pool(database_url, min_size=_CONNECTIONS, max_size=_CONNECTIONS)
    app = FastAPI()

    @app.post(PATH)
    async def receive(request: Request) -> Response:
        await pool.execute("INSERT INTO bare VALUES ($1, $2)", new_id(), await request.body())
        return Response()

    return app


if __name__ == "__main__":
    logs.configure("bench", "critical")
    [chosen] = [door for door in get_args(Door) if door == sys.argv[1]]
    uvloop.run(_serve(chosen, sys.argv[2], Path(sys.argv[3])))
