"""Reads the text of a .vpptoken file: one line of Base64 around a JSON object."""

import base64
import binascii
import json
import re
from datetime import UTC, datetime
from typing import NoReturn

from licensing.model import ContentToken
from shared.errors import Invalid
from shared.vault import Secret

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
"""What JSON may spell and no database holds: NUL, and halves of surrogate pairs."""

_REFUSED = {
    9621: "Apple says that this content token has expired. Download a new one from Apple's portal.",
    9622: "Apple does not know this content token. Send the whole text of the .vpptoken file, unchanged.",
    9625: (
        "Apple says that this content token was revoked: the password of the account that downloaded it was "
        "changed, or a newer one was downloaded. Download a new one from Apple's portal."
    ),
}


def read_content_token(text: str, *, now: datetime) -> ContentToken:
    """Read a content token. Raises Invalid with the words that whoever uploaded it needs."""
    outer = text.strip()
    try:
        decoded = base64.b64decode(outer.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        _refuse(
            "token_not_base64",
            "This is not the text of a .vpptoken file: it is not Base64. Open the file that Apple's portal let "
            "you download, and send its whole content.",
        )
    try:
        content = json.loads(decoded)
        inner, organization = content["token"], content["orgName"]
        expires_at = apple_time(content["expDate"])
    except (ValueError, KeyError, TypeError, RecursionError):
        _refuse(
            "token_not_readable",
            "This Base64 text does not hold a content token (token, expDate and orgName): the file is damaged, "
            "or it is another one. Download the content token again.",
        )
    if not isinstance(inner, str) or not inner or not isinstance(organization, str):
        _refuse("token_not_readable", "This content token is empty. Download it again.")
    if expires_at <= now:
        _refuse(
            "token_expired",
            f"This content token expired on {expires_at:%Y-%m-%d}. Download a new one from Apple's portal.",
        )
    return ContentToken(Secret(outer.encode("ascii")), storable(organization), expires_at)


def apple_time(text: str) -> datetime:
    """Read Apple's times: ISO 8601 with an offset, with or without its colon. Raises ValueError, TypeError."""
    moment = datetime.fromisoformat(text)
    try:
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except OverflowError as error:
        raise ValueError("a time before or after all years") from error


def storable(text: str) -> str:
    """Return a text of strangers as a database can hold it; what it cannot hold is marked."""
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def refused_token(number: int) -> Invalid:
    """Return the words for a content token that Apple itself refuses."""
    words = _REFUSED.get(number, f"Apple does not accept this content token (Apple error {number}).")
    return Invalid("token_refused", words, fields={"content_token": words})


def _refuse(slug: str, words: str) -> NoReturn:
    raise Invalid(slug, words, fields={"content_token": words})
