"""The body of `client/config`: what a management service wants stored, checked against Apple's rules."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from local.simulators.apple.errors import AppleError
from local.simulators.apple.library import Library, Subscription
from local.simulators.apple.notify import TYPES

Limits = Mapping[str, int]

WEBSITES = {
    "enterprisestore": "https://business.apple.com",
    "volumestore": "https://school.apple.com",
}
MDM_INFO_LENGTHS = {
    "id": (9724, "maxMdmIdLength"),
    "name": (9725, "maxMdmNameLength"),
    "metadata": (9713, "maxMdmMetadataLength"),
}


@dataclass(frozen=True, slots=True)
class ConfigChange:
    """What the library is to store; with `must_answer` only once a call of the URL has succeeded."""

    mdm_info: dict[str, str] | None
    subscription: Subscription
    must_answer: bool

    def store(self, library: Library) -> None:
        """Make it so."""
        library.mdm_info = self.mdm_info
        library.subscription = self.subscription


def read_config_change(body: Mapping[str, Any], *, library: Library, limits: Limits) -> ConfigChange:
    """Read what a POST changes; absent and null fields keep what is stored.

    An empty URL together with an empty token ends the subscription, for which Apple documents no other way.
    Raises `AppleError` 9602, 9710 to 9713, 9723 to 9725.
    """
    former = library.subscription
    types = _read_types(body, former)
    mdm_info = library.mdm_info if body.get("mdmInfo") is None else _read_mdm_info(body["mdmInfo"], limits)
    url, auth_token = body.get("notificationUrl"), body.get("notificationAuthToken")
    if url is None and auth_token is None:
        return ConfigChange(mdm_info, Subscription(former.url, former.auth_token, types), must_answer=False)
    if not isinstance(url, str) or not isinstance(auth_token, str) or bool(url) != bool(auth_token):
        raise AppleError(9710)
    if not url:
        return ConfigChange(mdm_info, Subscription(), must_answer=False)
    if max(len(url), len(auth_token)) > limits["maxNotificationLength"]:
        raise AppleError(9711)
    if not _is_callable(url):
        raise AppleError(9712)
    return ConfigChange(mdm_info, Subscription(url, auth_token, types), must_answer=True)


def config_answer(library: Library) -> dict[str, Any]:
    """Describe the library, for GET and POST alike. The secret comes back in clear, as Apple does it."""
    subscription = library.subscription
    answer: dict[str, Any] = {
        "countryISO2ACode": library.country,
        "defaultPlatform": library.platform,
        "locationName": library.location_name,
        "websiteURL": WEBSITES[library.platform],
    }
    if subscription.url:
        answer["notificationUrl"] = subscription.url
        answer["notificationAuthToken"] = subscription.auth_token
    if subscription.types:
        answer["subscribedNotificationTypes"] = list(subscription.types)
    return answer


def _read_types(body: Mapping[str, Any], former: Subscription) -> tuple[str, ...]:
    """Read the complete set wanted: it replaces the earlier one."""
    types = body.get("notificationTypes")
    if types is None:
        return former.types
    if not isinstance(types, list) or any(kind not in TYPES for kind in types):
        raise AppleError(9602, detail="notificationTypes")
    return tuple(dict.fromkeys(types))


def _read_mdm_info(mdm_info: Any, limits: Limits) -> dict[str, str]:
    if not isinstance(mdm_info, dict) or not all(
        isinstance(mdm_info.get(name), str) for name in MDM_INFO_LENGTHS
    ):
        raise AppleError(9723)
    for name, (number, limit) in MDM_INFO_LENGTHS.items():
        if len(mdm_info[name]) > limits[limit]:
            raise AppleError(number)
    return {name: mdm_info[name] for name in MDM_INFO_LENGTHS}


def _is_callable(url: str) -> bool:
    """Tell whether it is an https URL of host and path, without a query."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme == "https" and bool(parts.hostname) and not parts.query and not parts.fragment
