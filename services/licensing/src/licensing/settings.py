"""Everything the environment may say to this service, beside what it may say to all four."""

from datetime import timedelta
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, PositiveFloat, PositiveInt, model_validator

from licensing.steps import Claims, Pace
from shared.settings import ServiceSettings
from shared.worker import WorkerSettings


def _https(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("it must be https, with a host and a path only")
    return url.rstrip("/")


_LONGEST_RETRY_SECONDS = 120.0
"""Apple's advice for error 9603: some quick tries, then minutes apart."""

HttpsUrl = Annotated[str, AfterValidator(_https)]


class LicensingSettings(ServiceSettings):
    """Where Apple is, where Apple reaches us, and how patient we are with it."""

    apple_base_url: HttpsUrl | None = None
    """Instead of Apple's own; then only this host is ever called. For the simulator."""
    notification_base_url: HttpsUrl
    """Our public address: Apple calls /apple/notifications/... under it, and accepts nothing but https."""
    installation_name: Annotated[str, Field(min_length=1, max_length=100)] = "Managed Distribution"
    """How Apple shows us to whoever else would manage the library (`mdmInfo.name`)."""
    apple_deadline_seconds: Annotated[PositiveFloat, Field(le=90)] = 60.0
    """For one exchange with Apple. A work row's lease must be longer: another worker would repeat it meanwhile."""

    status_first_seconds: PositiveFloat = 30.0
    """From the sending of a request to the first look at its event; notifications bring it forward."""
    status_next_seconds: PositiveFloat = 30.0
    """Between looks at an event that is still pending; Apple asks for 30 or more."""
    proof_seconds: PositiveFloat = 600.0
    """From then on, absence from Apple's list proves that a request without a known outcome was not done."""
    assets_seconds: PositiveFloat = 300.0
    """Between readings of what the libraries own."""
    notifications_seconds: PositiveFloat = 0.5
    """Between readings of the notifications that came in."""

    keep_ended_licenses_days: Annotated[int, Field(ge=30)] = 400
    """How long lives that ended can be looked up, with the proof of their return. Far longer than the bus keeps
    records: a request that came once more after its life was forgotten would begin a new one."""

    worker_concurrency: PositiveInt = 16
    worker_lease_seconds: Annotated[PositiveFloat, Field(ge=1)] = 120.0
    """How long a step may take, and how long the work of a process that died lies idle."""

    @model_validator(mode="after")
    def _an_exchange_ends_within_its_lease(self) -> Self:
        if self.worker_lease_seconds <= self.apple_deadline_seconds:
            raise ValueError(
                f"WORKER_LEASE_SECONDS={self.worker_lease_seconds:g} must be more than "
                f"APPLE_DEADLINE_SECONDS={self.apple_deadline_seconds:g}"
            )
        return self

    @property
    def pace(self) -> Pace:
        """Return how patient the steps are."""
        return Pace(
            first_status=timedelta(seconds=self.status_first_seconds),
            next_status=timedelta(seconds=self.status_next_seconds),
            proof=timedelta(seconds=self.proof_seconds),
            part=timedelta(seconds=(self.worker_lease_seconds - self.apple_deadline_seconds) / 2),
        )

    @property
    def ended_kept(self) -> timedelta:
        """Return how long ended lives are kept."""
        return timedelta(days=self.keep_ended_licenses_days)

    @property
    def claims(self) -> Claims:
        """Return what we say of ourselves to Apple."""
        return Claims(self.installation_name, self.notification_base_url)

    @property
    def worker(self) -> WorkerSettings:
        """Return how the work rows are worked."""
        return WorkerSettings(
            concurrency=self.worker_concurrency,
            lease_seconds=self.worker_lease_seconds,
            longest_retry_seconds=_LONGEST_RETRY_SECONDS,
        )
