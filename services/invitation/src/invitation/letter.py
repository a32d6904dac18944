"""The letter: one invitation for one person, in their language, as the bytes that go over SMTP. Pure.

The header fields are set through the standard library's email policy, which encodes what is not ASCII and
refuses line breaks; addresses and names are cleaned before, so nothing told of a person can add a header.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from enum import StrEnum
from functools import cache
from urllib.parse import urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined, Template, select_autoescape

from shared.vault import Secret

_LOCAL = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS = re.compile(rf"(?P<local>{_LOCAL})@(?P<domain>{_LABEL}(?:\.{_LABEL})*)")
_LONGEST_LOCAL, _LONGEST_ADDRESS = 64, 254  # RFC 5321, sections 4.5.3.1.1 and 4.5.3.1.3
_LONGEST_NAME = 120


class Language(StrEnum):
    """The languages a letter is written in."""

    FRENCH = "fr"
    ENGLISH = "en"


@dataclass(frozen=True, slots=True)
class Sender:
    """Who invites: the organization by its name, from this address; letters in `language` unless told other."""

    organization: str
    mail_address: str
    language: Language


@dataclass(frozen=True, slots=True)
class Letter:
    """All that one letter says. `id` is the same on every try, so that a receiver can tell a repetition."""

    id: str
    name: str | None
    mail_address: str
    language: Language
    link: Secret
    written_at: datetime


def written(letter: Letter, sender: Sender) -> bytes:
    """Return the letter as a MIME message with a plain and an HTML part, lines ended by CRLF."""
    words = {
        "name": letter.name,
        "organization": sender.organization,
        "link": letter.link.reveal().decode(),
    }
    message = EmailMessage(policy=SMTP)
    message["From"] = Address(sender.organization, addr_spec=sender.mail_address)
    message["To"] = Address(letter.name or "", addr_spec=letter.mail_address)
    message["Subject"] = _template(letter.language, "subject.txt").render(words)
    message["Date"] = letter.written_at
    message["Message-ID"] = f"<{letter.id}@{sender.mail_address.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday notices, please
    message.set_content(_template(letter.language, "body.txt").render(words))
    message.add_alternative(_template(letter.language, "body.html").render(words), subtype="html")
    message["Content-Language"] = letter.language.value
    message.set_boundary(f"=_{letter.id}")
    return message.as_bytes()


def language_of(locale: str | None, default: Language) -> Language:
    """Return the language of a locale such as `fr`, `fr-CA` or `en_GB`; the default for any other."""
    spoken = re.split(r"[-_.@]", locale or "", maxsplit=1)[0].lower()
    return Language(spoken) if spoken in set(Language) else default


def usable_address(text: str | None) -> str | None:
    """Return an address that a letter can be sent to over any mail relay, None where `text` is no such one.

    The domain may be international and is returned in its ASCII form (RFC 5890); a local part beyond ASCII
    needs SMTPUTF8 (RFC 6531) on the whole way and is not usable here, nor are quoted local parts.
    """
    local, _, domain = (text or "").strip().rpartition("@")
    try:
        address = f"{local}@{domain.encode('idna').decode()}"
    except UnicodeError:
        return None
    fits = len(local) <= _LONGEST_LOCAL and len(address) <= _LONGEST_ADDRESS
    return address if fits and _ADDRESS.fullmatch(address) else None


def clean_name(text: str | None) -> str | None:
    """Return a name on one line: without control, format and other unprintable characters, and not endless."""
    printable = "".join(each if each.isprintable() else " " for each in text or "")
    return " ".join(printable.split())[:_LONGEST_NAME].strip() or None


def usable_link(link: bytes) -> bool:
    """Say whether this is a link as Apple gives them: https, ASCII, nothing that could end it early."""
    if not re.fullmatch(rb"https://[!-~]+", link) or re.search(rb"[\"'<>\\^`{|}]", link):
        return False
    try:
        return bool(urlsplit(link).hostname)
    except ValueError:
        return False


@cache
def _letters() -> Environment:
    return Environment(
        loader=PackageLoader("invitation", "letters"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _template(language: Language, part: str) -> Template:
    return _letters().get_template(f"{language.value}/{part}")
