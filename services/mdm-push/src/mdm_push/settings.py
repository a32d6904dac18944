"""Everything the environment may say to this service, beside what it may say to all four."""

from typing import Annotated

from pydantic import Field, FilePath, PositiveFloat, PositiveInt

from mdm_push.model import Patience
from shared.settings import Commas, ServiceSettings

_Seconds = Annotated[tuple[PositiveFloat, ...], *Commas, Field(min_length=1)]


class MdmPushSettings(ServiceSettings):
    """Where APNs is, whose devices are ours, and how patient we are with them."""

    apns_host: str
    apns_port: PositiveInt
    apns_deadline_seconds: Annotated[PositiveFloat, Field(le=30)] = 10.0
    """For one push in all, its connection included."""
    device_ca_file: FilePath
    """The authorities that sign device identities, PEM."""
    device_ca_names_devices: bool = False
    """Whether those authorities, not the devices, choose the names in certificates: else a renewed one is refused."""

    push_lanes: PositiveInt = 4
    push_batch: Annotated[PositiveInt, Field(le=1000)] = 100
    """Together they bound the pushes in flight: lanes times batch."""
    push_again_seconds: _Seconds = Patience().push_again_seconds
    """Waits between wake-ups of a device that does not come; the last one repeats, as in the next three."""
    not_now_seconds: _Seconds = Patience().not_now_seconds
    install_retry_seconds: _Seconds = Patience().retry_seconds
    """Waits between installs while Apple's stores do not know the licence yet; then the install fails."""
    verify_seconds: _Seconds = Patience().verify_seconds
    """Waits between looks whether an acknowledged app is managed."""
    verify_limit_seconds: PositiveFloat = Patience().verify_limit_seconds
    keep_commands_days: PositiveInt = 30

    @property
    def patience(self) -> Patience:
        """Return how long installs are retried and looked for, and when devices are woken again."""
        return Patience(
            retry_seconds=self.install_retry_seconds,
            verify_seconds=self.verify_seconds,
            verify_limit_seconds=self.verify_limit_seconds,
            not_now_seconds=self.not_now_seconds,
            push_again_seconds=self.push_again_seconds,
        )
