"""Everything the environment may say to this service, beside what it may say to all."""

from pydantic import PositiveFloat, PositiveInt

from shared.settings import ServiceSettings


class AssignmentSettings(ServiceSettings):
    """How patient assignment is."""

    lives_in_a_row: PositiveInt = 3
    """A licence that Apple or another hand takes back is asked for anew; after so many lost lives it stays lost."""
    install_attempts: PositiveInt = 3
    """A failed install is asked again until it was tried so often."""
    install_retry_seconds: PositiveFloat = 3600.0
    """The wait before the second attempt; each further one waits twice as long."""
    keep_ended_days: PositiveInt = 90
    """What has ended is told of so long: lives and their steps, covers, assignments, requests."""
