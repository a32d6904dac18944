"""Wake-ups: who is to be woken, with what, and what APNs answered."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from shared.vault import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class WakeUp:
    """A push about to leave. `token` and `magic` are sealed still; `version` fences what is written back."""

    enrollment_id: UUID
    topic: str
    token: bytes
    magic: bytes
    token_updated_at: datetime
    version: int
    attempts: int
    problem: str | None
    correlation_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class PushOutcome:
    """What is written back after a push: when to push again (None: not before a new token), and the problem."""

    enrollment_id: UUID
    version: int
    attempts: int
    next_push_at: datetime | None
    pushed_at: datetime | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PushCertificate:
    """A push certificate as it is stored; the private key is sealed."""

    id: UUID
    topic: str
    certificate_pem: bytes
    private_key: bytes
    not_before: datetime
    not_after: datetime


@dataclass(frozen=True, slots=True)
class Credentials:
    """An opened push certificate: `pem` holds certificate and private key."""

    id: UUID
    topic: str
    pem: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class PushAnswer:
    """What APNs answered (Apple: "Handling notification responses from APNs").

    `gone_since` comes with 410 only: since when the token is known to be worth nothing.
    """

    status: int
    reason: str | None = None
    gone_since: datetime | None = None

    @property
    def accepted(self) -> bool:
        """Say whether APNs took the push; whether the device got it nobody says."""
        return self.status == 200

    @property
    def bad_token(self) -> bool:
        """Say whether APNs does not know the token: it is worth nothing, or of another environment."""
        return self.reason == "BadDeviceToken"
