"""The HTTP door, and a portal that calls it with tokens of some scopes."""

from typing import Any

import httpx2

from local.simulators.identity import Grant, IdentitySimulator

SCOPES = "assignments:read assignments:write directory:read directory:write"


class Door:
    """The app, called by a portal with a token of some scopes."""

    def __init__(self, client: httpx2.AsyncClient, identity: IdentitySimulator) -> None:
        self._client = client
        self._identity = identity

    def headers(self, scope: str | None = SCOPES, **more: str) -> dict[str, str]:
        """Return a call's headers; without a token where the scope is None."""
        if scope is None:
            return more
        token = self._identity.sign(Grant(subject="portal", scope=scope, audience="assignment"))
        return {"authorization": f"Bearer {token}", **more}

    async def call(self, method: str, path: str, **said: Any) -> httpx2.Response:
        """Make a call with every scope."""
        said.setdefault("headers", self.headers())
        return await self._client.request(method, path, **said)

    async def get(self, path: str, **query: Any) -> Any:
        """Return what a GET answers."""
        answer = await self.call("GET", path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def post(self, path: str, body: Any, *, expect: int = 200) -> Any:
        """Return what a POST answers."""
        answer = await self.call("POST", path, json=body)
        assert answer.status_code == expect, answer.text
        return answer.json()

    async def assign(self, *assignments: dict[str, Any]) -> Any:
        """Return what a request for these assignments answers."""
        return await self.post("/v1/assignments", {"assignments": assignments}, expect=202)
