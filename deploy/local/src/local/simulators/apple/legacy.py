"""Version 1 of the API, as far as clients still use it; documentation "App and Book Management (Legacy)".

Its calls are synchronous, carry the token in the body and answer errors with HTTP 200. Clients in the field send
JSON under any content type, forms, or GET with a body: all of them are read.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response

from local.simulators.apple.bodies import answer, ok
from local.simulators.apple.errors import ERRORS, LEGACY_ERRORS, AppleError, message_of
from local.simulators.apple.faults import Answer
from local.simulators.apple.legacy_licenses import get_assets, manage_licenses
from local.simulators.apple.legacy_users import get_user, get_users, register_user
from local.simulators.apple.library import Library
from local.simulators.apple.service_config import INVITATION_PATH, INVITATION_QUERY, LOOKUP_PATH
from local.simulators.apple.tokens import Token, apple_time
from local.simulators.apple.wire import linger
from local.simulators.apple.working import Scene
from local.simulators.apple.world import LoggedRequest, World

SERVICE_CONFIG = "VPPServiceConfigSrv"
ASSETS = "getVPPAssetsSrv"
USED_BY_V2 = "token being used in v2"  # what version 1 sees in the place of mdmInfo
LONGEST_CONTEXT = 255  # bytes
WARNING_DAYS = 15  # before a token's end, in which every answer names it

# The name of each call's address in the service config.
URLS = {
    "associateLicenseSrvUrl": "associateVPPLicenseWithVPPUserSrv",
    "clientConfigSrvUrl": "VPPClientConfigSrv",
    "disassociateLicenseSrvUrl": "disassociateVPPLicenseFromVPPUserSrv",
    "editUserSrvUrl": "editVPPUserSrv",
    "getLicensesSrvUrl": "getVPPLicensesSrv",
    "getUserSrvUrl": "getVPPUserSrv",
    "getUsersSrvUrl": "getVPPUsersSrv",
    "getVPPAssetsSrvUrl": "getVPPAssetsSrv",
    "manageVPPLicensesByAdamIdSrvUrl": "manageVPPLicensesByAdamIdSrv",
    "registerUserSrvUrl": "registerVPPUserSrv",
    "retireUserSrvUrl": "retireVPPUserSrv",
}

Said = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """One call with a good token: what it says, and where it changes something."""

    said: Said
    origin: str
    scene: Scene
    token: Token


class Legacy:
    """Answers what stands in its two tables; every other path of version 1 is closed, and all are with the knob off."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._reads: dict[str, Callable[[Call], Said]] = {
            "VPPClientConfigSrv": _client_config,
            ASSETS: lambda call: get_assets(call.said, call.scene),
            "getVPPUserSrv": lambda call: get_user(call.said, call.scene, call.origin),
            "getVPPUsersSrv": lambda call: get_users(call.said, call.scene, call.origin),
        }
        self._writes: dict[str, Callable[[Call], Said]] = {
            "manageVPPLicensesByAdamIdSrv": lambda call: manage_licenses(call.said, call.scene),
            "registerVPPUserSrv": lambda call: register_user(call.said, call.scene, call.origin),
        }

    async def serve(self, request: Request) -> Response:
        """Answer one request."""
        where = request.path_params
        name = where["name"] if "name" in where else where["stem"] + "Srv"
        uid = None
        if not self._is_open(name):
            response = answer(410, _failure(9634))
        else:
            said = await _read(request)
            token = self._world.tokens.get(str(said.get("sToken", "")))
            uid = token.library.uid if token else None
            response = await self._answer(name, uid, said, request)
        at = self._world.clock.now().isoformat()
        self._world.record(LoggedRequest(at, request.method, name, uid, response.status_code))
        return response

    async def _answer(self, name: str, uid: str | None, said: Said, request: Request) -> Response:
        fault = self._world.faults.take(name, uid, opened_at=request.scope["state"]["opened_at"])
        if fault is None:
            return self._honest(name, said, request)
        honest = self._honest(name, said, request) if fault.does_the_work() else Response()
        if fault.answer is not Answer.SLOW_BODY:
            await linger(request, fault.seconds)
        return fault.respond(honest)

    def _honest(self, name: str, said: Said, request: Request) -> Response:
        origin = str(request.base_url).rstrip("/")
        if name == SERVICE_CONFIG:
            return ok(self._service_config(origin))
        try:
            token = self._token(said)
            body = self._call(name, said, origin, token)
        except AppleError as error:
            return ok(_failure(error.number))
        return ok({"status": 0, **body, **self._common(token)})

    def _is_open(self, name: str) -> bool:
        knobs = self._world.knobs
        known = name in {SERVICE_CONFIG, *self._reads, *self._writes}
        return knobs.legacy and known and (knobs.legacy_assets or name != ASSETS)

    def _token(self, said: Said) -> Token:
        if not said.get("sToken"):
            raise AppleError(9600)
        token = self._world.valid_token(str(said["sToken"]))
        self._world.admit(token, now=asyncio.get_running_loop().time())
        return token

    def _call(self, name: str, said: Said, origin: str, token: Token) -> Said:
        if name in self._reads:
            return self._reads[name](Call(said, origin, self._world.scene(token.library), token))
        return self._writes[name](Call(said, origin, self._world.begin(token.library), token))

    def _service_config(self, origin: str) -> Said:
        numbers = sorted([*LEGACY_ERRORS, *(number for number in ERRORS if number < 9700)])
        return {
            "contentMetadataLookupUrl": origin + LOOKUP_PATH,
            "errorCodes": [{"errorNumber": number, "errorMessage": message_of(number)} for number in numbers],
            "invitationEmailUrl": f"{origin}{INVITATION_PATH}?cc=us&{INVITATION_QUERY}",
            "maxBatchAssociateLicenseCount": self._world.knobs.legacy_batch,
            "maxBatchDisassociateLicenseCount": self._world.knobs.legacy_batch,
            "status": 0,
            "vppWebsiteUrl": origin + "/",
            **{url: f"{origin}/mdm/{name}" for url, name in URLS.items()},
        }

    def _common(self, token: Token) -> Said:
        """Make what every answer to a token carries."""
        library = token.library
        fields: dict[str, Any] = {
            "uId": library.uid,
            "expirationMillis": round(token.expires_at.timestamp() * 1000),
        }
        context = client_context(library)
        if context:
            fields["clientContext"] = context
        if library.platform == "volumestore":
            fields["location"] = {"locationName": library.location_name, "locationId": 1}
        if (token.expires_at - self._world.clock.now()).days < WARNING_DAYS:
            fields["tokenExpDate"] = apple_time(token.expires_at)
        return fields


def client_context(library: Library) -> str:
    """Return who has claimed the library, as version 1 sees it."""
    return USED_BY_V2 if library.mdm_info is not None else library.client_context


def _client_config(call: Call) -> Said:
    library = call.scene.library
    context = call.said.get("clientContext")
    if context is not None:
        if not isinstance(context, str) or len(context.encode()) > LONGEST_CONTEXT:
            raise AppleError(9602)
        library.client_context = context
    body = {
        "countryCode": library.country,
        "defaultPlatform": library.platform,
        "email": call.token.account,
        "organizationId": 2_168_850_000_179_778,
        "organizationIdHash": "5a2bd0b4b1e1f2d04d9b4ff0",
    }
    return body | {"appleId": call.token.account} if call.said.get("verbose") else body


async def _read(request: Request) -> Said:
    """Read what a request says, in whichever form; null is as good as absent."""
    text = (await request.body()).decode(errors="replace")
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        body = _form(text)
    said = {**request.query_params, **(body if isinstance(body, dict) else {})}
    return {name: value for name, value in said.items() if value is not None}


def _form(text: str) -> Said:
    """Read a form: a name that ends in `[]` is a list, as Ruby's rest-client writes it."""
    form: dict[str, Any] = {}
    for name, value in parse_qsl(text):
        if name.endswith("[]"):
            form.setdefault(name.removesuffix("[]"), []).append(value)
        else:
            form[name] = value
    return form


def _failure(number: int) -> Said:
    return {"status": -1, "errorNumber": number, "errorMessage": message_of(number)}
