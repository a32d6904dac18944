"""What can go wrong, as a tree.

    ManagedDistributionError
    ├── SettingsError      the environment lacks a setting: the start is refused with its name
    ├── Unavailable        an outside party, the database or the broker cannot be reached: wait, never skip
    ├── Poison             this record, or this target of it, can never be handled: park it
    ├── LeaseLost          another worker took the row of work meanwhile (shared.worker)
    ├── LogLost            the broker in memory forgot what was not read yet: the end (shared.bus)
    ├── LockOrderBroken    our own fault: locks taken against the one order (shared.locks)
    └── Problem            an HTTP answer (RFC 9457)
        ├── Unauthorized   401
        ├── Forbidden      403
        ├── NotFound       404
        ├── Conflict       409
        ├── TooLarge       413
        └── Invalid        422, names the fields

An expected "no" about a target is none of these: it is a refusal, a value (shared.events.words.Refusal).
"""

from collections.abc import Mapping
from typing import ClassVar


class ManagedDistributionError(Exception):
    """The root of every error that this project raises on purpose."""


class SettingsError(ManagedDistributionError):
    """The environment lacks a setting or says something that cannot be read."""


class Unavailable(ManagedDistributionError):
    """Somebody we need does not answer now. Nothing was decided; the same call may succeed later."""

    def __init__(self, reason: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_seconds = retry_after_seconds


class Poison(ManagedDistributionError):
    """A record or a target that no repetition can make right. `reason` is a slug, `detail` a sentence."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class LockOrderBroken(ManagedDistributionError):
    """A transaction asked for a lock of a lower rung than one it holds already."""


class Problem(ManagedDistributionError):
    """An HTTP answer that says no: `slug` is the stable type, `detail` a sentence for a person."""

    status: ClassVar[int] = 400

    def __init__(self, slug: str, detail: str, *, fields: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.slug = slug
        self.detail = detail
        self.fields = dict(fields or {})


class Unauthorized(Problem):
    """No token, or one that proves nothing."""

    status = 401


class Forbidden(Problem):
    """A good token without the scope that this route asks for."""

    status = 403


class NotFound(Problem):
    """No such thing under this path."""

    status = 404


class Conflict(Problem):
    """The thing is in a state, or another call under way, that does not allow this now."""

    status = 409


class TooLarge(Problem):
    """The body is larger than this route reads."""

    status = 413


class Invalid(Problem):
    """The body or a parameter cannot be read; `fields` says which and why."""

    status = 422
