"""What every simulator is: doors that open and close as one, one of them the admin door."""

from abc import ABC, abstractmethod
from contextlib import AsyncExitStack
from typing import Self

from starlette.types import ASGIApp

from local.simulators.serving import HOST, Serving


class Simulator(ABC):
    """Start it, or use it as `async with`. A start that fails leaves nothing open."""

    def __init__(self) -> None:
        self._stack = AsyncExitStack()  # what is open; closed in reverse order
        self._admin: Serving | None = None

    @abstractmethod
    async def _open(self) -> None:
        """Open everything, and push onto `_stack` what closes it."""

    async def start(self) -> None:
        """Open all doors. Raises `OSError` where a port is taken."""
        async with self._stack:
            await self._open()
            self._stack = self._stack.pop_all()

    async def stop(self) -> None:
        """Close all doors and break off what runs."""
        await self._stack.aclose()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def admin_url(self) -> str:
        """The admin door. Raises `RuntimeError` before the start."""
        if self._admin is None:
            raise RuntimeError("the simulator is not started")
        return f"http://{HOST}:{self._admin.port}"

    async def _open_admin_door(self, app: ASGIApp, port: int) -> None:
        self._admin = await Serving.start(app, port=port)
        self._stack.push_async_callback(self._admin.stop)
