"""What the push service may answer, and the rules by which somebody has it misbehave on purpose."""

import json
from dataclasses import dataclass
from typing import Literal

BodyForm = Literal["whole", "split", "none"]


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer; `reason` is one of Apple's words ("Handling notification responses from APNs")."""

    status: int
    reason: str | None = None
    timestamp_ms: int | None = None  # only with 410: since when the token is known to be gone
    body_form: BodyForm = "whole"
    delay_seconds: float = 0.0

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
    """The stream is never answered."""


@dataclass(frozen=True, slots=True)
class GoAway:
    """GOAWAY that leaves this stream out: older ones are still answered, then the connection closes."""

    reason: str = "Shutdown"
    error_code: int = 0


@dataclass(frozen=True, slots=True)
class LimitStreams:
    """Tell all connections a new MAX_CONCURRENT_STREAMS, then treat the push as usual."""

    max_concurrent_streams: int


Reaction = Answer | Reset | Silence | GoAway
Mischief = Reaction | LimitStreams


@dataclass(slots=True)
class Rule:
    """Tokens that begin with `prefix` meet this mischief, `times` times (`None`: always)."""

    mischief: Mischief
    prefix: str = ""
    times: int | None = None


class Script:
    """The rules in force; the first one that fits counts. A push that met a `Reaction` is never delivered."""

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
        return None
