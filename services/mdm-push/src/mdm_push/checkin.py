"""The doors that devices open: check-in and connect. Every refusal is a 400, never a 401.

On a 401 a device removes its management profile (Apple: "Handling HTTP status codes"), so no fault of ours or of
anybody between may look like one. Both paths serve both conversations: some profiles name one URL for all.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import structlog
from fastapi import APIRouter, Request
from starlette.datastructures import Headers
from starlette.responses import Response

from mdm_push.commands import bootstrap_token, render
from mdm_push.handlers import connecting, enrolling
from mdm_push.handlers.means import Means
from mdm_push.handlers.renewing import certificate_renewed
from mdm_push.identity import CERTIFICATE_HEADER, SIGNATURE_HEADER, Prover
from mdm_push.messages import (
    Authenticate,
    Malformed,
    Report,
    SetBootstrapToken,
    Speaker,
    Status,
    TokenUpdate,
    read,
    read_plist,
)
from mdm_push.model import CertificateNotBound, DeviceCertificate, DeviceRefused
from mdm_push.seen import LastSeen
from shared.database import Database
from shared.metrics import DEVICE_REQUESTS
from shared.web import CorrelationId

_log = structlog.get_logger(__name__)

DOORS = ("/mdm/checkin", "/mdm/connect")

_XML = "application/xml; charset=UTF-8"
_NOT_MANAGED_USER = 410  # UserAuthenticate: this server does not manage network users in this login session
_EMPTY = Response()


def router(database: Database, prover: Prover, means: Means) -> APIRouter:
    """Return the device doors. Who calls proves it with a device certificate; there is no bearer token here."""
    doors = _Doors(database, prover, means)
    routes = APIRouter(tags=["devices"])
    for path in DOORS:
        routes.add_api_route(
            path, doors.serve, methods=["PUT"], summary="A device speaks (Apple's MDM protocol)"
        )
    return routes


class _Doors:
    """What stands behind both paths."""

    def __init__(self, database: Database, prover: Prover, means: Means) -> None:
        self._database = database
        self._prover = prover
        self._means = means
        self._seen = LastSeen(database)

    async def serve(self, request: Request, correlation_id: CorrelationId) -> Response:
        """Answer one property list: 200 empty or with a property list; 400 for whatever cannot be believed or read."""
        body = await request.body()
        peer = request.client.host if request.client else None
        said = "unknown"
        try:
            certificate = self._prover.prove(_single(request.headers), body, peer=peer)
            content = read_plist(body)
            said = _said(content)
            answer = await self._answer(content, certificate, correlation_id)
        except (DeviceRefused, Malformed) as error:
            _log.warning("a device is refused", message=said, reason=str(error))
            DEVICE_REQUESTS.labels(said, "refused").inc()
            return Response(str(error), status_code=400, media_type="text/plain")
        DEVICE_REQUESTS.labels(said, "accepted").inc()
        return answer

    async def _answer(
        self, content: Mapping[str, Any], certificate: DeviceCertificate, correlation_id: UUID
    ) -> Response:
        """Take a message of either conversation; once more where it came with a renewed certificate."""
        speaker = read(Speaker, content)

        async def answer() -> Response:
            if "MessageType" in content:
                return await self._check_in(content, speaker, certificate, correlation_id)
            return await self._connect(content, speaker, certificate)

        try:
            return await answer()
        except CertificateNotBound:
            if not self._means.ca_names_devices:
                raise
            async with self._database.transaction() as tx:
                if not await certificate_renewed(tx, speaker, certificate):
                    raise
            return await answer()

    async def _check_in(
        self,
        content: Mapping[str, Any],
        speaker: Speaker,
        certificate: DeviceCertificate,
        correlation_id: UUID,
    ) -> Response:
        """Do what a check-in message asks; it is committed before it is answered."""
        async with self._database.transaction() as tx:
            match content["MessageType"]:
                case "Authenticate":
                    message = read(Authenticate, content)
                    await enrolling.authenticate(
                        tx, speaker, message, certificate, correlation_id=correlation_id
                    )
                case "TokenUpdate":
                    update = read(TokenUpdate, content)
                    await enrolling.token_update(
                        tx, speaker, update, certificate, correlation_id=correlation_id, means=self._means
                    )
                case "CheckOut":
                    await enrolling.check_out(tx, speaker, certificate, correlation_id=correlation_id)
                case "SetBootstrapToken":
                    token = read(SetBootstrapToken, content)
                    await enrolling.set_bootstrap_token(tx, speaker, token, certificate, means=self._means)
                case "GetBootstrapToken":
                    kept = await enrolling.get_bootstrap_token(tx, speaker, certificate, means=self._means)
                    return Response(bootstrap_token(kept), media_type=_XML) if kept else _EMPTY
                case "UserAuthenticate":
                    return Response(status_code=_NOT_MANAGED_USER)
                case _:
                    # DeclarativeManagement, GetToken, ReturnToService too: never promised, so never asked for.
                    raise Malformed("a message that this server does not take")
        return _EMPTY

    async def _connect(
        self, content: Mapping[str, Any], speaker: Speaker, certificate: DeviceCertificate
    ) -> Response:
        """Take a report and hand out the next command."""
        report = read(Report, content)
        if report.Status is Status.IDLE:
            served = await connecting.polled(self._database, speaker.channel, certificate, means=self._means)
        else:
            async with self._database.transaction() as tx:
                served = await connecting.report_received(
                    tx, speaker.channel, report, certificate, means=self._means
                )
        self._seen.note(served.channel_id)
        return Response(render(served.command), media_type=_XML) if served.command else _EMPTY


def _single(headers: Headers) -> Headers:
    """Return headers of which none that proves an identity came twice: one of the two is then not the proxy's."""
    if any(len(headers.getlist(name)) > 1 for name in (CERTIFICATE_HEADER, SIGNATURE_HEADER)):
        raise DeviceRefused("two_identities")
    return headers


_KNOWN = frozenset(
    {
        *Status,
        "Authenticate",
        "TokenUpdate",
        "CheckOut",
        "SetBootstrapToken",
        "GetBootstrapToken",
        "UserAuthenticate",
        "DeclarativeManagement",
        "GetToken",
    }
)


def _said(content: Mapping[str, Any]) -> str:
    """Return the message type or status for logs and metrics: a known word, or `other`."""
    word = content.get("MessageType", content.get("Status"))
    return word if isinstance(word, str) and word in _KNOWN else "other"
