"""Apple's checks of one push request, in the order of "Sending notification requests to APNs". Pure."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import NoReturn, Self

from cryptography import x509
from cryptography.x509.oid import NameOID

from local.simulators.apns.provider_tokens import ProviderTokens
from local.simulators.apns.registry import Push
from local.simulators.apns.script import Answer

PAYLOAD_LIMIT = 4096
COLLAPSE_ID_LIMIT = 64
MDM_TOPIC = "com.apple.mgmt."
DEVICE_PATH = "/3/device/"
PUSH_TYPES = frozenset(
    {"alert", "background", "complication", "controls", "fileprovider", "liveactivity", "location"}
    | {"mdm", "pushtotalk", "voip", "widgets"}
)
PARTS_OF_APPS = (
    *(".complication", ".location-query", ".pushkit.fileprovider", ".voip", ".voip-ptt"),
    *(".push-type.controls", ".push-type.liveactivity", ".push-type.widgets"),
)
"""Suffixes of an app's topic: "Sending notification requests to APNs", `apns-topic` by push type."""
APNS_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
TOKEN = re.compile(r"([0-9a-fA-F]{2})+")


@dataclass(frozen=True, slots=True)
class Certificate:
    """A client certificate; `topic` is the UID of its subject (`None`: it carries none)."""

    topic: str | None

    @classmethod
    def read(cls, certificate: x509.Certificate) -> Self:
        """Take the topic from the subject, as Apple's portal writes it there."""
        for attribute in certificate.subject.get_attributes_for_oid(NameOID.USER_ID):
            return cls(str(attribute.value))
        return cls(None)


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP/2 request with its pseudo headers, and the certificate of its connection (`None`: there is none).

    `mint_id` makes an id for a push that came without one.
    """

    headers: Sequence[tuple[str, str]]
    body: bytes
    certificate: Certificate | None
    mint_id: Callable[[], str]


class RefusedError(Exception):
    """The request breaks one of Apple's rules; `answer` says which."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.answer = Answer(status, reason)


def apns_id_of(request: Request) -> str:
    """Choose the id to echo: the sender's in lower case, a new one when it sent none or a broken one."""
    given = dict(request.headers).get("apns-id", "")
    return given.lower() if APNS_ID.fullmatch(given) else request.mint_id()


@dataclass(frozen=True, slots=True)
class Rules:
    """Which headers may not be left out, how long a push without an expiration is kept, and who else is trusted.

    `strict_mdm` holds a push on an MDM topic to Apple's words: its type is `mdm`, its payload `{"mdm": "<magic>"}`.
    """

    required: AbstractSet[str]
    storage_seconds: float
    provider_tokens: ProviderTokens
    strict_mdm: bool

    def read_push(self, request: Request, *, apns_id: str, now: float) -> Push:
        """Turn a request into a push, or raise `RefusedError` with the answer Apple would give."""
        headers = _unique(request.headers)
        device_path = _device_path(headers)
        self._prove(headers, request.certificate)
        token = _token(device_path)
        _id(headers)
        expires_at = _expiration(headers, self.required, default=now + self.storage_seconds)
        priority = _priority(headers, self.required)
        topic = _topic(headers, self.required, request.certificate)
        strict = self.strict_mdm and topic.startswith(MDM_TOPIC)
        _push_type(headers, self.required, {"mdm"} if strict else PUSH_TYPES)
        collapse_id = headers.get("apns-collapse-id", "")
        if len(collapse_id.encode()) > COLLAPSE_ID_LIMIT:
            _refuse("BadCollapseId")
        magic = _magic(request.body, strict=strict)
        return Push(token, topic, magic, apns_id, priority, expires_at, now, collapse_id)

    def _prove(self, headers: dict[str, str], certificate: Certificate | None) -> None:
        """Accept whoever holds a certificate, else a provider token; Apple ignores the token beside a certificate."""
        if certificate is not None:
            return
        reason = self.provider_tokens.reason_against(headers.get("authorization"))
        if reason is not None:
            _refuse(reason, status=403)


def _refuse(reason: str, *, status: int = 400) -> NoReturn:
    raise RefusedError(status, reason)


def _unique(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    headers = dict(pairs)
    if len(headers) < len(pairs):
        names = [name for name, _ in pairs if name.startswith("apns-")]
        if len(set(names)) < len(names):
            _refuse("DuplicateHeaders")
    return headers


def _device_path(headers: dict[str, str]) -> str:
    if headers[":method"] != "POST":
        _refuse("MethodNotAllowed", status=405)
    path = headers[":path"]
    if not path.startswith(DEVICE_PATH):
        _refuse("BadPath", status=404)
    return path.removeprefix(DEVICE_PATH)


def _token(given: str) -> str:
    if not given:
        _refuse("MissingDeviceToken")
    if not TOKEN.fullmatch(given):
        _refuse("BadDeviceToken")
    return given.lower()


def _id(headers: dict[str, str]) -> None:
    given = headers.get("apns-id")
    if given is not None and not APNS_ID.fullmatch(given):
        _refuse("BadMessageId")


def _expiration(headers: dict[str, str], required: AbstractSet[str], *, default: float) -> float:
    given = headers.get("apns-expiration")
    if given is None and "apns-expiration" not in required:
        return default
    if given is None or not (given.isascii() and given.isdigit()):
        _refuse("BadExpirationDate")
    return float(given)


def _priority(headers: dict[str, str], required: AbstractSet[str]) -> int:
    given = headers.get("apns-priority")
    if given is None and "apns-priority" not in required:
        return 10
    if given not in {"1", "5", "10"}:
        _refuse("BadPriority")
    return int(given)


def _topic(headers: dict[str, str], required: AbstractSet[str], certificate: Certificate | None) -> str:
    """Read the topic. A certificate speaks for one; a provider token for those of apps, never for MDM."""
    given = headers.get("apns-topic")
    own = None if certificate is None else certificate.topic
    if given is None and "apns-topic" not in required and own is not None:
        return own  # a certificate for one topic speaks for itself
    if given is None:
        _refuse("MissingTopic")
    if not given.strip() or not given.isprintable():
        _refuse("BadTopic")
    if not (_for_tokens(given) if certificate is None else own is not None and given in _topics_of(own)):
        _refuse("TopicDisallowed")
    return given


def _for_tokens(topic: str) -> bool:
    return not topic.startswith(MDM_TOPIC)


def _topics_of(own: str) -> Iterator[str]:
    """Return the topics that a certificate for this one is good for: an app's also for its parts."""
    yield own
    if not own.startswith(MDM_TOPIC):
        yield from (own + part for part in PARTS_OF_APPS)


def _push_type(headers: dict[str, str], required: AbstractSet[str], allowed: AbstractSet[str]) -> None:
    given = headers.get("apns-push-type")
    if given is None and "apns-push-type" not in required:
        return
    if given not in allowed:
        _refuse("InvalidPushType")


def _magic(body: bytes, *, strict: bool) -> str:
    """Read the push magic of a payload; "", which wakes no managed device, where there is none.

    Apple lists no reason for a payload that cannot be read, or is not what `strict` asks; the box says `BadPayload`,
    so that it is seen.
    """
    if not body:
        _refuse("PayloadEmpty")
    if len(body) > PAYLOAD_LIMIT:
        _refuse("PayloadTooLarge", status=413)
    try:
        payload = json.loads(body.decode())
    except (ValueError, RecursionError):
        _refuse("BadPayload")
    match payload:
        case {"mdm": str(magic), **rest} if magic and not (strict and rest):
            return magic
        case {} if not strict:
            return ""
        case _:
            _refuse("BadPayload")
