"""Asks whoever plays Apple whether a device holds a license, as its App Store would."""

import httpx2

from local.simulators.devices.settings import LicenseCheck
from local.simulators.devices.wire import ServerTroubleError


def license_check(setting: LicenseCheck | str | None, client: httpx2.AsyncClient) -> LicenseCheck:
    """Make the question from the setting: a function, a URL, or none (then every license is known)."""
    if setting is None:
        return _always
    if not isinstance(setting, str):
        return setting
    url = setting

    async def ask(serial: str, adam_id: int) -> bool:
        """Raise `ServerTroubleError` when nobody answers: the device tries again later."""
        try:
            response = await client.get(url, params={"serial_number": serial, "adam_id": adam_id})
        except httpx2.TransportError as failure:
            raise ServerTroubleError(f"license check: {type(failure).__name__}") from failure
        if response.status_code == httpx2.codes.NOT_FOUND:
            return False
        if not response.is_success:
            raise ServerTroubleError(f"license check: HTTP {response.status_code}")
        return True

    return ask


async def _always(serial: str, adam_id: int) -> bool:
    del serial, adam_id
    return True
