"""Letters that come back: taken with a 250, and some time later a report says that nobody got them (RFC 3464)."""

from collections.abc import Iterable
from email.message import Message
from email.mime.multipart import MIMEMultipart
from email.mime.nonmultipart import MIMENonMultipart
from email.mime.text import MIMEText
from email.parser import BytesHeaderParser
from email.policy import SMTP
from typing import Annotated

from pydantic import NonNegativeFloat, PositiveInt, StringConstraints

from local.simulators.admin import Body

MAILER = "mailer-daemon@localhost"


class Bounce(Body):
    """What happens to letters for one address; `times` None: to all of them."""

    address: str
    after_seconds: NonNegativeFloat = 0.0
    status: Annotated[str, StringConstraints(pattern=r"^[45]\.\d{1,3}\.\d{1,3}$")] = "5.1.1"  # RFC 3463
    diagnostic: Annotated[str, StringConstraints(pattern=r"^[ -~]+$")] = "550 5.1.1 no such user"
    times: PositiveInt | None = None


class Bounces:
    """The addresses whose letters come back, the oldest order first."""

    def __init__(self) -> None:
        self._bounces: list[Bounce] = []

    def add(self, bounces: Iterable[Bounce]) -> None:
        """Let letters come back from now on."""
        self._bounces.extend(bounces)

    def clear(self) -> None:
        """From now on every letter stays."""
        self._bounces.clear()

    def take(self, address: str) -> Bounce | None:
        """Use up one bounce for this address; None where its letter stays."""
        for bounce in self._bounces:
            if bounce.address == address:
                if bounce.times == 1:
                    self._bounces.remove(bounce)
                elif bounce.times is not None:
                    bounce.times -= 1
                return bounce
        return None


def report(raw: bytes, *, sender: str, recipient: str, bounce: Bounce) -> bytes:
    """Write the delivery status notification about a letter to `sender`; it carries the letter's header."""
    message = MIMEMultipart("report", report_type="delivery-status", policy=SMTP)
    message["From"] = f"Mail Delivery System <{MAILER}>"
    message["To"] = sender
    message["Subject"] = "Undelivered Mail Returned to Sender"
    message["Auto-Submitted"] = "auto-replied"
    message.attach(MIMEText(f"The letter to {recipient} could not be delivered:\n{bounce.diagnostic}\n"))
    message.attach(_status(recipient, bounce))
    header = BytesHeaderParser(policy=SMTP).parsebytes(raw).as_string().replace("\r\n", "\n")
    message.attach(MIMEText(header.partition("\n\n")[0], "rfc822-headers"))
    return message.as_bytes()


def _status(recipient: str, bounce: Bounce) -> Message:
    """Write the part for programs: about the mailer, then about the recipient (RFC 3464, section 2)."""
    mailer, fate = Message(), Message()
    mailer["Reporting-MTA"] = "dns; localhost"
    fate["Final-Recipient"] = f"rfc822; {recipient}"
    fate["Action"] = "failed" if bounce.status.startswith("5") else "delayed"
    fate["Status"] = bounce.status
    fate["Diagnostic-Code"] = f"smtp; {bounce.diagnostic}"
    part = MIMENonMultipart("message", "delivery-status")
    part.set_payload([mailer, fate])
    return part
