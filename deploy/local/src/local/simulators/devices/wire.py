"""The device's two HTTP conversations with its server: check-in and connect, PUTs of property lists."""

import json
import plistlib
import ssl
from typing import Any
from xml.parsers.expat import ExpatError

import httpx2

from local.simulators.devices.model import Channel, Device
from local.simulators.devices.settings import FleetSettings
from local.simulators.devices.trouble import (
    NotThereError,
    SentAwayError,
    ServerTroubleError,
    SignInNeededError,
)

CHECKIN_TYPE = "application/x-apple-aspen-mdm-checkin"
CONNECT_TYPE = "application/x-apple-aspen-mdm; charset=UTF-8"
WITHOUT_TOPIC = frozenset({"DeclarativeManagement", "GetToken"})
UNRECOGNIZED = "com.apple.unrecognized.device"


class Wire:
    """One HTTP client for all devices; each request carries its own device's proof.

    Every message raises `ServerTroubleError`, `SentAwayError` or `SignInNeededError` unless the answer is 2xx.
    """

    def __init__(self, settings: FleetSettings) -> None:
        self._settings = settings
        context = ssl.create_default_context()
        if settings.server_ca_file is not None:
            context.load_verify_locations(settings.server_ca_file)
        limits = httpx2.Limits(max_connections=settings.connections)
        self.client = httpx2.AsyncClient(
            verify=context, limits=limits, timeout=settings.request_timeout_seconds
        )

    async def close(self) -> None:
        """Close all connections."""
        await self.client.aclose()

    async def authenticate(self, device: Device) -> None:
        """Ask to be enrolled."""
        message: dict[str, Any] = {
            "OSVersion": device.os_version,
            "BuildVersion": device.hardware.build_version,
            "ProductName": device.hardware.product_name,
        }
        if not device.traits.personal:
            message["SerialNumber"] = device.serial
        if device.traits.is_mac:
            message |= {
                "DeviceName": device.title,
                "ModelName": device.hardware.model_name,
                "Model": device.hardware.model,
            }
        await self._check_in(device.channel, "Authenticate", message)

    async def authenticate_user(self, channel: Channel) -> bool:
        """Ask whether a user of a directory is managed; False where the server says 410 to it.

        A server that wants a digest gets a made-up one, and is taken at its word.
        """
        try:
            challenge = await self._check_in(channel, "UserAuthenticate", {})
            if _read(challenge).get("DigestChallenge"):
                answer = {"DigestResponse": "response of a simulated user"}
                token = await self._check_in(channel, "UserAuthenticate", answer)
                return bool(_read(token).get("AuthToken"))
        except ServerTroubleError as trouble:
            if str(trouble) == f"HTTP {int(httpx2.codes.GONE)}":
                return False
            raise
        return True

    async def update_token(self, channel: Channel) -> None:
        """Tell where pushes reach this channel."""
        message: dict[str, Any] = {"Token": channel.token, "PushMagic": channel.magic}
        if channel.user is None:
            message["AwaitingConfiguration"] = channel.device.awaits_configuration
        elif channel.device.traits.is_mac:
            message["NotOnConsole"] = not channel.present
        await self._check_in(channel, "TokenUpdate", message)

    async def keep_bootstrap_token(self, device: Device, token: bytes) -> None:
        """Leave a bootstrap token with the server; an empty one takes the former away."""
        await self._check_in(device.channel, "SetBootstrapToken", {"BootstrapToken": token})

    async def fetch_bootstrap_token(self, device: Device) -> bytes | None:
        """Ask for the bootstrap token; None where the server has none."""
        token = _read(await self._check_in(device.channel, "GetBootstrapToken", {})).get("BootstrapToken")
        return token if isinstance(token, bytes) else None

    async def declare(self, channel: Channel, endpoint: str, data: bytes | None = None) -> bytes:
        """Ask an endpoint of declarative management, or tell it JSON; answer what it says."""
        message: dict[str, Any] = {"Endpoint": endpoint} | ({} if data is None else {"Data": data})
        return await self._check_in(channel, "DeclarativeManagement", message)

    async def fetch_token(self, channel: Channel, service: str, parameters: dict[str, str]) -> bytes | None:
        """Ask for a token of a service (Apple: `GetToken`); None where the answer has no TokenData."""
        message: dict[str, Any] = {"TokenServiceType": service}
        if parameters:
            message["TokenParameters"] = parameters
        token = _read(await self._check_in(channel, "GetToken", message)).get("TokenData")
        return token if isinstance(token, bytes) else None

    async def check_out(self, device: Device) -> None:
        """Say that the profile was removed."""
        await self._check_in(device.channel, "CheckOut", {})

    async def connect(self, channel: Channel, report: dict[str, Any]) -> bytes:
        """Send a report; answer the next command's bytes, empty when there is nothing to do."""
        body = plistlib.dumps({**channel.identifiers, **report})
        return await self._put(channel.device, self._settings.connect_url, body, CONNECT_TYPE)

    async def _check_in(self, channel: Channel, message_type: str, message: dict[str, Any]) -> bytes:
        said = {"MessageType": message_type, **channel.identifiers, **message}
        if message_type not in WITHOUT_TOPIC:
            said["Topic"] = self._settings.topic
        return await self._put(channel.device, self._settings.checkin_url, plistlib.dumps(said), CHECKIN_TYPE)

    async def _put(self, device: Device, url: str, body: bytes, content_type: str) -> bytes:
        if device.proof is None:
            raise ServerTroubleError("the device was wiped meanwhile")
        name, value = device.proof.header(body)
        headers = {"Content-Type": content_type, name: value}
        if device.bearer is not None:
            headers["Authorization"] = f"Bearer {device.bearer}"
        try:
            response = await self.client.put(url, content=body, headers=headers)
        except httpx2.TransportError as failure:
            raise ServerTroubleError(f"{type(failure).__name__}: {failure}") from failure
        if response.is_success:
            return response.content
        raise _refusal(device, response)


def _refusal(device: Device, response: httpx2.Response) -> Exception:
    what = f"HTTP {response.status_code}"
    if response.status_code == httpx2.codes.UNAUTHORIZED:
        asks = device.traits.account_driven and "www-authenticate" in response.headers
        return SignInNeededError(what) if asks else SentAwayError(what)
    if response.status_code == httpx2.codes.NOT_FOUND:
        return NotThereError(what)
    return SentAwayError(what) if _is_unrecognized(response) else ServerTroubleError(what)


def _is_unrecognized(response: httpx2.Response) -> bool:
    if response.status_code != httpx2.codes.FORBIDDEN:
        return False
    if response.headers.get("content-type", "").startswith("application/json"):
        try:
            body = json.loads(response.content)
        except ValueError:
            return False
        return isinstance(body, dict) and body.get("code") == UNRECOGNIZED
    return _read(response.content).get("code") == UNRECOGNIZED


def _read(content: bytes) -> dict[str, Any]:
    """Read a property list's dictionary; empty where there is none."""
    try:
        body = plistlib.loads(content)
    except (ValueError, ExpatError):
        return {}
    return body if isinstance(body, dict) else {}
