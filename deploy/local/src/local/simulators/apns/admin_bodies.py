"""What is said at the push service's admin door."""

from collections.abc import Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt

from local.simulators.admin import LONGEST_SECONDS, Body
from local.simulators.apns.script import (
    Answer,
    BodyForm,
    Echo,
    GoAway,
    HalfOpen,
    HangUp,
    LimitStreams,
    Mischief,
    Reset,
    Silence,
)

Token = Annotated[str, Field(pattern=r"^([0-9a-f]{2})+$")]
Number = Annotated[int, Field(ge=0, lt=2**31)]  # that fits into a frame, RFC 9113, section 4.1
KINDS: Mapping[str, type[Mischief]] = MappingProxyType(
    {
        "answer": Answer,
        "reset": Reset,
        "silence": Silence,
        "goaway": GoAway,
        "hang_up": HangUp,
        "half_open": HalfOpen,
        "limit_streams": LimitStreams,
    }
)


class TokensBody(Body):
    """Tokens in lower-case hex."""

    tokens: list[Token]


class RegisterBody(TokensBody):
    """Tokens that become valid for one topic; `courier` names the line on which their pushes leave."""

    topic: str
    courier: str = ""


class UnregisterBody(TokensBody):
    """Tokens that are gone, since `at` (seconds since 1970; now when left out)."""

    at: float | None = Field(default=None, ge=0, le=LONGEST_SECONDS)


class ProviderKeyBody(Body):
    """The public half of a key that signs provider tokens (PEM), its id and its team."""

    key_id: str
    team_id: str
    public_key_pem: str


class LimitBody(Body):
    """A new MAX_CONCURRENT_STREAMS."""

    max_concurrent_streams: Number


class GoAwayBody(Body):
    """The goodbye; `reason` of null sends none, `last_stream_id` is the newest one when left out."""

    reason: str | None = "Shutdown"
    error_code: Number = 0
    last_stream_id: Number | None = None


class TurnAwayBody(Body):
    """How many connections to come are closed right after the handshake."""

    times: NonNegativeInt


class RuleBody(Body):
    """One rule of the script; the fields that its `kind` does not use are ignored."""

    kind: Literal["answer", "reset", "silence", "goaway", "hang_up", "half_open", "limit_streams"]
    prefix: str = ""
    times: int | None = Field(default=None, ge=1)
    status: int = Field(default=200, ge=200, le=599)
    reason: str | None = None
    timestamp_ms: NonNegativeInt | None = None
    body_form: BodyForm = "whole"
    delay_seconds: float = Field(default=0.0, ge=0)
    retry_after_seconds: NonNegativeInt | None = None
    echo: Echo = "lower"
    error_code: Number = 7
    max_concurrent_streams: Number = 1

    def mischief(self) -> Mischief:
        """Say it in the script's own words; what was not said is as the script has it."""
        kind = KINDS[self.kind]
        said = {each.name for each in fields(kind)} & {*self.model_fields_set, "status"}
        return kind(**{name: getattr(self, name) for name in said})
