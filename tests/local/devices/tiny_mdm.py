"""A tiny MDM server for the device tests: it remembers what it was told and hands out what it was given."""

import asyncio
import plistlib
from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.local.devices.tiny_ddm import TinyDdm

SHARED_USER = "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF"


@dataclass
class TinyMdm:
    """`replies` go out, first come first served, instead of the honest answer."""

    checkins: list[dict[str, Any]] = field(default_factory=list)
    reports: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    tokens: dict[str, tuple[str, str]] = field(default_factory=dict)  # channel -> (token hex, magic)
    queues: defaultdict[str, deque[dict[str, Any]]] = field(default_factory=lambda: defaultdict(deque))
    replies: deque[Response] = field(default_factory=deque)
    bootstrap_tokens: dict[str, bytes] = field(default_factory=dict)

    ddm: TinyDdm = field(default_factory=TinyDdm)
    service_tokens: dict[str, bytes] = field(default_factory=dict)  # what GetToken answers, by service

    connected: asyncio.Event = field(default_factory=asyncio.Event)

    def reset(self) -> None:
        self.__dict__.update(vars(TinyMdm()))

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/mdm/checkin", self.checkin, methods=["PUT"]),
                Route("/mdm/connect", self.connect, methods=["PUT"]),
            ]
        )

    def queue(self, udid: str, request_type: str, **arguments: Any) -> str:
        uuid = f"{request_type}-{len(self.queues[udid])}-{len(self.reports)}"
        command = {"RequestType": request_type, **arguments}
        self.queues[udid].append({"CommandUUID": uuid, "Command": command})
        return uuid

    def answers_to(self, uuid: str) -> list[dict[str, Any]]:
        return [report for report in self.reports if report.get("CommandUUID") == uuid]

    async def checkin(self, request: Request) -> Response:
        message = await self._read(request)
        self.checkins.append(message)
        if self.replies:
            return self.replies.popleft()
        match message["MessageType"]:
            case "TokenUpdate":
                self.tokens[channel_of(message)] = (message["Token"].hex(), message["PushMagic"])
            case "SetBootstrapToken":
                self.bootstrap_tokens[channel_of(message)] = message["BootstrapToken"]
            case "GetBootstrapToken" if channel_of(message) in self.bootstrap_tokens:
                token = self.bootstrap_tokens[channel_of(message)]
                return Response(plistlib.dumps({"BootstrapToken": token}))
            case "DeclarativeManagement":
                return self.ddm.answer(channel_of(message), message["Endpoint"], message.get("Data"))
            case "GetToken":
                return self._service_token(message["TokenServiceType"])
        return Response()

    def _service_token(self, service: str) -> Response:
        """Answer a token; 400 for a service that nobody knows."""
        if service not in self.service_tokens:
            return Response(status_code=400)
        return Response(plistlib.dumps({"TokenData": self.service_tokens[service]}))

    async def connect(self, request: Request) -> Response:
        """A command stays at the head until it was reported; NotNow puts it behind the others."""
        report = await self._read(request)
        self.reports.append(report)
        self.connected.set()
        if self.replies:
            return self.replies.popleft()
        queue = self.queues[channel_of(report)]
        refused = report["Status"] == "NotNow"
        if queue and queue[0]["CommandUUID"] == report.get("CommandUUID"):
            head = queue.popleft()
            if refused:
                queue.append(head)
        if not queue or (refused and queue[0]["CommandUUID"] == report["CommandUUID"]):
            return Response()
        return Response(plistlib.dumps(queue[0]), media_type="application/xml")

    async def _read(self, request: Request) -> dict[str, Any]:
        self.headers.append(dict(request.headers))
        self.bodies.append(await request.body())
        message: dict[str, Any] = plistlib.loads(self.bodies[-1])
        return message


def channel_of(message: dict[str, Any]) -> str:
    """Name a channel as servers do: `X` for a device, `X:Y` for a user."""
    device = message.get("UDID") or message["EnrollmentID"]
    if message.get("UserID") == SHARED_USER:
        return f"{device}:{message['UserShortName']}"
    user = message.get("UserID") or message.get("EnrollmentUserID")
    return f"{device}:{user}" if user else device
