"""Everything the environment may say to this service, beside what it may say to all four."""

from typing import Annotated

from pydantic import AfterValidator, Field, PositiveFloat, PositiveInt, SecretStr

from invitation.letter import Language, Sender, clean_name, usable_address
from invitation.smtp import RelayAddress, relay_address
from shared.settings import ServiceSettings


def _relay(url: SecretStr) -> SecretStr:
    relay_address(url.get_secret_value())
    return url


def _address(text: str) -> str:
    if (address := usable_address(text)) is None:
        raise ValueError("it must be a mail address")
    return address


def _line(text: str) -> str:
    if (name := clean_name(text)) is None:
        raise ValueError("it must be a name")
    return name


class InvitationSettings(ServiceSettings):
    """What the letters need: a relay, a sender, and a language for whom none is known."""

    smtp_url: Annotated[SecretStr, AfterValidator(_relay)]
    """`smtp://user:pass@host:port?starttls=require|off` (require unless said) or `smtps://...`."""
    smtp_connections: PositiveInt = 4
    smtp_deadline_seconds: Annotated[PositiveFloat, Field(le=90)] = 60.0
    """For one letter in all, its connection included; a work row's lease is longer."""
    letter_retry_seconds: PositiveFloat = 60.0
    """Before the first retry of a letter; each further one waits twice as long, an hour at most."""

    mail_from: Annotated[str, AfterValidator(_address)]
    organization_name: Annotated[str, AfterValidator(_line)]
    default_locale: Language = Language.ENGLISH

    @property
    def relay(self) -> RelayAddress:
        """Return where the mail relay is."""
        return relay_address(self.smtp_url.get_secret_value())

    @property
    def sender(self) -> Sender:
        """Return who invites."""
        return Sender(self.organization_name, self.mail_from, self.default_locale)
