"""What the push service may answer, and the rules by which somebody has it misbehave on purpose."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

BodyForm = Literal["whole", "none", "split", "cut"]
"""An error's body: in one frame, left out, in two frames, or in one frame whose second half comes later."""

Echo = Literal["lower", "upper", "none"]
"""How the answer names the apns-id; Apple's own is `lower`."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer; `reason` is one of Apple's words ("Handling notification responses from APNs")."""

    status: int
    reason: str | None = None
    timestamp_ms: int | None = None  # only with 410: since when the token is known to be gone
    body_form: BodyForm = "whole"
    delay_seconds: float = 0.0
    retry_after_seconds: int | None = None
    echo: Echo = "lower"

    def headers(self, apns_id: str) -> list[tuple[str, str]]:
        """Name the headers beside the status."""
        headers = []
        if self.echo != "none":
            headers.append(("apns-id", apns_id.upper() if self.echo == "upper" else apns_id))
        if self.retry_after_seconds is not None:
            headers.append(("retry-after", str(self.retry_after_seconds)))
        return headers

    def chunks(self) -> list[bytes]:
        """Cut the body into its DATA frames; none for a success and for a bodyless error."""
        if self.reason is None or self.body_form == "none":
            return []
        fields: dict[str, str | int] = {"reason": self.reason}
        if self.timestamp_ms is not None:
            fields["timestamp"] = self.timestamp_ms
        body = json.dumps(fields, separators=(",", ":")).encode()
        if self.body_form == "split":
            half = len(body) // 2
            return [body[:half], body[half:]]
        return [body]


@dataclass(frozen=True, slots=True)
class Reset:
    """RST_STREAM with an HTTP/2 error code; 7 is REFUSED_STREAM: never processed, safe to send again."""

    error_code: int = 7


@dataclass(frozen=True, slots=True)
class Silence:
    """The stream is never answered; the connection lives on."""


@dataclass(frozen=True, slots=True)
class GoAway:
    """GOAWAY that leaves this stream out: older ones are still answered, then the connection closes.

    Apple puts its JSON with the reason into the debug data; `None` sends none.
    """

    reason: str | None = "Shutdown"
    error_code: int = 0


@dataclass(frozen=True, slots=True)
class HangUp:
    """The connection is torn down without a word, this stream and all others unanswered."""


@dataclass(frozen=True, slots=True)
class HalfOpen:
    """The connection stays open, but nothing is written to it any more, and what comes is thrown away."""


@dataclass(frozen=True, slots=True)
class LimitStreams:
    """Tell all connections a new MAX_CONCURRENT_STREAMS, then treat the push as usual."""

    max_concurrent_streams: int = 1


Reaction = Answer | Reset | Silence | GoAway | HangUp | HalfOpen
Mischief = Reaction | LimitStreams

FAILING_MARK = "bad"
# By status, in the order of their tokens: bad40001, bad40002 ... Apple's "Handling notification responses from APNs".
REASONS: Mapping[int, tuple[str, ...]] = MappingProxyType(
    {
        400: (
            *("BadDeviceToken", "DeviceTokenNotForTopic", "BadTopic", "IdleTimeout", "MissingTopic"),
            *("BadCollapseId", "BadExpirationDate", "BadMessageId", "BadPriority", "InvalidPushType"),
            *("DuplicateHeaders", "MissingDeviceToken", "PayloadEmpty", "TopicDisallowed"),
        ),
        403: (
            *("BadCertificate", "BadCertificateEnvironment", "Forbidden", "ExpiredProviderToken"),
            *("InvalidProviderToken", "UnrelatedKeyIdInToken", "BadEnvironmentKeyIdInToken"),
            "MissingProviderToken",
        ),
        404: ("BadPath",),
        405: ("MethodNotAllowed",),
        410: ("Unregistered", "ExpiredToken"),
        413: ("PayloadTooLarge",),
        429: ("TooManyRequests", "TooManyProviderTokenUpdates"),
        500: ("InternalServerError",),
        503: ("ServiceUnavailable", "Shutdown"),
    }
)
FAILING_TOKENS: Mapping[str, Reaction] = MappingProxyType(
    {
        f"{FAILING_MARK}{status}{place:02}": Answer(
            status, reason, timestamp_ms=1_700_000_000_000 if status == 410 else None
        )
        for status, reasons in REASONS.items()
        for place, reason in enumerate(reasons, start=1)
    }
    | {
        "bad50301": Answer(503, "ServiceUnavailable", retry_after_seconds=900),
        "bad00001": Answer(503, "ServiceUnavailable", body_form="none"),
        "bad00002": Silence(),
        "bad00003": Answer(503, "ServiceUnavailable", body_form="split"),
        "bad00004": Answer(503, "ServiceUnavailable", body_form="cut"),
        "bad00005": Reset(),
        "bad00006": GoAway(),
        "bad00007": GoAway(reason=None),
        "bad00008": HangUp(),
        "bad00009": HalfOpen(),
    }
)
"""Tokens that begin so always meet this, registered or not: a test without an admin door needs no more."""
_MARK_LENGTH = len("bad00000")


@dataclass(slots=True)
class Rule:
    """Tokens that begin with `prefix` meet this mischief, `times` times (`None`: always)."""

    mischief: Mischief
    prefix: str = ""
    times: int | None = None


class Script:
    """The rules in force; the first one that fits counts, then `FAILING_TOKENS`.

    A push that met a `Reaction` is never delivered.
    """

    def __init__(self) -> None:
        self.rules: list[Rule] = []

    def next_for(self, token: str) -> Mischief | None:
        """Take one turn of the first rule for `token`; `None` when the service shall behave."""
        for rule in self.rules:
            if not token.startswith(rule.prefix):
                continue
            if rule.times is not None:
                rule.times -= 1
                if rule.times <= 0:
                    self.rules.remove(rule)
            return rule.mischief
        return FAILING_TOKENS.get(token[:_MARK_LENGTH]) if token.startswith(FAILING_MARK) else None
