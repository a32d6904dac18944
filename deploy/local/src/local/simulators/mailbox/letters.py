"""The letters a mailbox keeps, and how they read."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from typing import Any

PARSER = BytesParser(policy=policy.default)


@dataclass(frozen=True, slots=True)
class Letter:
    """One message as it came over the wire, with the envelope it came in."""

    number: int
    received_at: datetime
    sender: str
    recipients: Sequence[str]
    encrypted: bool
    user: str | None
    raw: bytes

    def described(self) -> dict[str, Any]:
        """Show the letter to a reader: `envelope` is what SMTP said, the rest is what the message says."""
        message = PARSER.parsebytes(self.raw)
        return {
            "number": self.number,
            "received_at": self.received_at.isoformat(),
            "envelope": {"from": self.sender, "to": list(self.recipients)},
            "encrypted": self.encrypted,
            "user": self.user,
            "headers": {name: str(value) for name, value in message.items()},
            "from": str(message["from"] or ""),
            "to": str(message["to"] or ""),
            "subject": str(message["subject"] or ""),
            "text": _part(message, "plain"),
            "html": _part(message, "html"),
            "raw": self.raw.decode("utf-8", errors="replace"),
        }


def _part(message: EmailMessage, kind: str) -> str | None:
    """Read the body of one kind; None where the message has none."""
    body = message.get_body(preferencelist=(kind,))
    return None if body is None else str(body.get_content()).replace("\r\n", "\n")
