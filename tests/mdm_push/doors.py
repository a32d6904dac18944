"""The service's doors as seen from outside: devices that sign, and callers with a token."""

import plistlib
from dataclasses import dataclass
from typing import Any

import httpx2

from local.simulators.authority import Authority, Identity
from local.simulators.devices.proof import by_signature
from local.simulators.identity import Grant, IdentitySimulator
from tests.mdm_push.workbench import TOPIC, Workbench


@dataclass(slots=True)
class Doors:
    bench: Workbench
    http: httpx2.AsyncClient
    url: str
    authority: Authority
    identity_provider: IdentitySimulator

    async def put(
        self,
        content: dict[str, Any] | bytes,
        *,
        identity: Identity | None,
        path: str = "/mdm/connect",
        **headers: str,
    ) -> httpx2.Response:
        """Send a property list, signed where an identity is given."""
        body = content if isinstance(content, bytes) else plistlib.dumps(content)
        if identity is not None:
            name, value = by_signature(identity).header(body)
            headers = {name: value, **headers}
        return await self.http.put(path, content=body, headers=headers)

    async def enroll(self, udid: str) -> Identity:
        """Enroll an iPad over the wire."""
        identity = self.authority.issue_device(common_name=udid)
        for message in (
            {"MessageType": "Authenticate", "UDID": udid, "Topic": TOPIC, "ProductName": "iPad14,1"},
            {
                "MessageType": "TokenUpdate",
                "UDID": udid,
                "Topic": TOPIC,
                "Token": udid.encode(),
                "PushMagic": "magic",
            },
        ):
            answer = await self.put(message, identity=identity, path="/mdm/checkin")
            assert (answer.status_code, answer.content) == (200, b"")
        return identity

    async def call(
        self, method: str, path: str, *, scope: str = "devices:read", **rest: Any
    ) -> httpx2.Response:
        """Call the HTTP API with a token of this scope."""
        grant = Grant(subject="portal", scope=scope, audience="mdm-push")
        headers = {"authorization": f"Bearer {self.identity_provider.sign(grant)}", **rest.pop("headers", {})}
        return await self.http.request(method, path, headers=headers, **rest)
