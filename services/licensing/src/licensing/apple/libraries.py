"""What licensing asks Apple about a library itself: what a content token speaks for, and whose the library is."""

from typing import Any

from licensing.apple.answers import read_client_config
from licensing.apple.line import Line
from licensing.apple.service import Lengths
from licensing.apple.token import read_content_token, refused_token
from licensing.model import (
    Access,
    AppleFailure,
    AppleRefused,
    ClientConfig,
    ExaminedToken,
    MdmIdentity,
    Subscription,
)
from shared.clock import Clock

NOTIFICATION_TYPES = (
    "ASSET_MANAGEMENT",
    "ASSET_COUNT",
    "USER_MANAGEMENT",
    "USER_ASSOCIATED",
    "UNLIMITED_ASSET",
)
_TOO_LONG = 9711


class LibraryCalls:
    """The calls about libraries."""

    def __init__(self, line: Line, clock: Clock) -> None:
        self._line = line
        self._clock = clock

    async def examine(self, text: str) -> ExaminedToken:
        """Read the text of a .vpptoken file and ask Apple what it speaks for. Nothing is stored anywhere.

        Raises Invalid, with the words that whoever uploaded it needs, and Unavailable.
        """
        token = read_content_token(text, now=self._clock.now())
        try:
            body = await self._line.ask("clientConfig", Access("", token.text))
        except AppleRefused as refused:
            raise refused_token(refused.failure.number) from refused
        return ExaminedToken(token, read_client_config(body))

    async def client_config(self, access: Access) -> ClientConfig:
        """Return what Apple stores about a library; the guard hears whose it is."""
        return read_client_config(await self._line.read("clientConfig", access))

    async def claim(
        self, access: Access, mdm_info: MdmIdentity, subscription: Subscription | None
    ) -> ClientConfig:
        """Name us as the library's management service, and subscribe to its notifications.

        Name and metadata are cut to Apple's lengths. Apple calls the subscription's URL before it answers.
        Raises AppleRefused (9728: it got no 2xx; 9711: the URL or the secret is too long to be sent).
        """
        lengths = (await self._line.service.config()).lengths
        body: dict[str, Any] = {"mdmInfo": _mdm_info(mdm_info, lengths)}
        if subscription is not None:
            body |= _subscription(subscription, lengths)
        return read_client_config(await self._line.post("clientConfig", access, body))


def _mdm_info(mdm_info: MdmIdentity, lengths: Lengths) -> dict[str, str]:
    return {
        "id": mdm_info.id,
        "name": mdm_info.name[: lengths.mdm_name],
        "metadata": mdm_info.metadata[: lengths.mdm_metadata],
    }


def _subscription(subscription: Subscription, lengths: Lengths) -> dict[str, Any]:
    secret = subscription.secret.reveal().decode()
    if max(len(subscription.url), len(secret)) > lengths.notification:
        raise AppleRefused(AppleFailure(_TOO_LONG))
    return {
        "notificationUrl": subscription.url,
        "notificationAuthToken": secret,
        "notificationTypes": list(NOTIFICATION_TYPES),
    }
