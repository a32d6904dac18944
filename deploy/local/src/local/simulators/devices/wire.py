"""The device's two HTTP conversations with its server: check-in and connect, PUTs of property lists."""

import json
import plistlib
import ssl
from typing import Any
from xml.parsers.expat import ExpatError

import httpx2

from local.simulators.devices.model import Device, Kind
from local.simulators.devices.settings import FleetSettings

CHECKIN_TYPE = "application/x-apple-aspen-mdm-checkin"
CONNECT_TYPE = "application/x-apple-aspen-mdm; charset=UTF-8"
UNRECOGNIZED = "com.apple.unrecognized.device"


class ServerTroubleError(Exception):
    """No 2xx: the device keeps what it had to say and comes again."""


class SentAwayError(Exception):
    """401, or 403 with `com.apple.unrecognized.device`: the device must remove its enrollment."""


class Wire:
    """One HTTP client for all devices; each request carries its own device's proof."""

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
            "SerialNumber": device.serial,
        }
        if device.kind is Kind.MAC:
            message |= {
                "DeviceName": f"{device.hardware.model_name} {device.serial}",
                "ModelName": device.hardware.model_name,
                "Model": device.hardware.model,
            }
        await self._check_in(device, "Authenticate", message)

    async def update_token(self, device: Device) -> None:
        """Tell where pushes reach the device."""
        message = {"Token": device.token, "PushMagic": device.magic, "AwaitingConfiguration": False}
        await self._check_in(device, "TokenUpdate", message)

    async def check_out(self, device: Device) -> None:
        """Say that the profile was removed."""
        await self._check_in(device, "CheckOut", {})

    async def connect(self, device: Device, report: dict[str, Any]) -> bytes:
        """Send a report; answer the next command's bytes, empty when there is nothing to do."""
        body = plistlib.dumps({"UDID": device.udid, **report})
        return await self._put(device, self._settings.connect_url, body, CONNECT_TYPE)

    async def _check_in(self, device: Device, message_type: str, message: dict[str, Any]) -> None:
        identifiers = {"MessageType": message_type, "Topic": self._settings.topic, "UDID": device.udid}
        body = plistlib.dumps(identifiers | message)
        await self._put(device, self._settings.checkin_url, body, CHECKIN_TYPE)

    async def _put(self, device: Device, url: str, body: bytes, content_type: str) -> bytes:
        if device.proof is None:
            raise ServerTroubleError("the device was wiped meanwhile")
        name, value = device.proof.header(body)
        headers = {"Content-Type": content_type, name: value}
        try:
            response = await self.client.put(url, content=body, headers=headers)
        except httpx2.TransportError as failure:
            raise ServerTroubleError(f"{type(failure).__name__}: {failure}") from failure
        if response.is_success:
            return response.content
        if response.status_code == httpx2.codes.UNAUTHORIZED or _is_unrecognized(response):
            raise SentAwayError(f"HTTP {response.status_code}")
        raise ServerTroubleError(f"HTTP {response.status_code}")


def _is_unrecognized(response: httpx2.Response) -> bool:
    if response.status_code != httpx2.codes.FORBIDDEN:
        return False
    try:
        if response.headers.get("content-type", "").startswith("application/json"):
            body = json.loads(response.content)
        else:
            body = plistlib.loads(response.content)
    except (ValueError, ExpatError):
        return False
    return isinstance(body, dict) and body.get("code") == UNRECOGNIZED
