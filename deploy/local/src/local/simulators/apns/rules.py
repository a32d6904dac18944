"""Apple's checks of one push request, in the order of "Sending notification requests to APNs". Pure."""

import json
import re
import uuid
from collections import Counter
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import NoReturn

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
APNS_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
TOKEN = re.compile(r"([0-9a-fA-F]{2})+")


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP/2 request and the topic of the certificate it came with (`None`: it carries no UID)."""

    headers: Sequence[tuple[str, str]]
    body: bytes
    certificate_topic: str | None


class RefusedError(Exception):
    """The request breaks one of Apple's rules; `answer` says which."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.answer = Answer(status, reason)


def apns_id_of(request: Request) -> str:
    """Choose the id to echo: the sender's in lower case, a new one when it sent none or a broken one."""
    given = dict(request.headers).get("apns-id", "")
    return given.lower() if APNS_ID.fullmatch(given) else str(uuid.uuid4())


def read_push(
    request: Request,
    *,
    apns_id: str,
    required: AbstractSet[str],
    now: float,
    storage_seconds: float,
) -> Push:
    """Turn a request into a push, or raise `RefusedError` with the answer Apple would give.

    `required` names the headers whose absence is refused; without an expiration a push is kept for
    `storage_seconds`.
    """
    headers = _unique(request.headers)
    token = _token(headers)
    _id(headers)
    expires_at = _expiration(headers, required, default=now + storage_seconds)
    priority = _priority(headers, required)
    topic = _topic(headers, required, request.certificate_topic)
    _push_type(headers, required, topic)
    if len(headers.get("apns-collapse-id", "").encode()) > COLLAPSE_ID_LIMIT:
        _refuse("BadCollapseId")
    return Push(token, topic, _magic(request.body, topic), apns_id, priority, expires_at, now)


def _refuse(reason: str, *, status: int = 400) -> NoReturn:
    raise RefusedError(status, reason)


def _unique(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    counts = Counter(name for name, _ in pairs)
    if any(count > 1 for name, count in counts.items() if name.startswith("apns-")):
        _refuse("DuplicateHeaders")
    return dict(pairs)


def _token(headers: dict[str, str]) -> str:
    if headers[":method"] != "POST":
        _refuse("MethodNotAllowed", status=405)
    path = headers[":path"]
    if not path.startswith(DEVICE_PATH):
        _refuse("BadPath", status=404)
    token = path.removeprefix(DEVICE_PATH)
    if not token:
        _refuse("MissingDeviceToken")
    if not TOKEN.fullmatch(token):
        _refuse("BadDeviceToken")
    return token.lower()


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
    if given not in {"5", "10"}:  # 1 exists too, but never wakes a device: no use for MDM
        _refuse("BadPriority")
    return int(given)


def _topic(headers: dict[str, str], required: AbstractSet[str], certificate_topic: str | None) -> str:
    given = headers.get("apns-topic")
    if given is None and "apns-topic" not in required and certificate_topic is not None:
        return certificate_topic  # a certificate for one topic speaks for itself
    if given is None:
        _refuse("MissingTopic")
    if not given.strip() or any(not character.isprintable() for character in given):
        _refuse("BadTopic")
    if given != certificate_topic:
        _refuse("TopicDisallowed")
    return given


def _push_type(headers: dict[str, str], required: AbstractSet[str], topic: str) -> None:
    given = headers.get("apns-push-type")
    if given is None and "apns-push-type" not in required:
        return
    allowed = {"mdm"} if topic.startswith(MDM_TOPIC) else PUSH_TYPES
    if given not in allowed:
        _refuse("InvalidPushType")


def _magic(body: bytes, topic: str) -> str:
    """Read the push magic of an MDM payload, exactly `{"mdm": "<magic>"}`; "" for another topic.

    Apple lists no reason for a payload of another shape; the box says `BadPayload`, so that it is seen.
    """
    if not body:
        _refuse("PayloadEmpty")
    if len(body) > PAYLOAD_LIMIT:
        _refuse("PayloadTooLarge", status=413)
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):
        _refuse("BadPayload")
    if not topic.startswith(MDM_TOPIC):
        return ""
    match payload:
        case {"mdm": str(magic), **rest} if magic and not rest:
            return magic
        case _:
            _refuse("BadPayload")
