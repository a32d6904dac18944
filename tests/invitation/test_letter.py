"""The letter: two languages, two parts, and no way for a name or an address to become anything else."""

from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invitation.letter import (
    Language,
    Letter,
    Sender,
    clean_name,
    language_of,
    usable_address,
    usable_link,
    written,
)
from shared.vault import Secret

LINK = "https://buy.itunes.apple.com/associateVPPUserWithITSAccount?inviteCode=c0ffee&mt=8"
SENDER = Sender("Lycée Claudel", "invitations@school.example", Language.ENGLISH)
LETTER = Letter(
    id="0193f0a2.1",
    name="Zoë Łukasz",
    mail_address="zoe@school.example",
    language=Language.ENGLISH,
    link=Secret(LINK.encode()),
    written_at=datetime(2026, 11, 22, 18, 30, tzinfo=UTC),
)


def test_a_letter_carries_its_headers_and_the_link_in_both_parts() -> None:
    message = _read(written(LETTER, SENDER))
    assert message["To"].addresses[0].addr_spec == "zoe@school.example"
    assert message["To"].addresses[0].display_name == "Zoë Łukasz"
    assert message["From"].addresses[0].display_name == "Lycée Claudel"
    assert message["Subject"] == "Lycée Claudel invites you to receive apps and books"
    assert message["Message-ID"] == "<0193f0a2.1@school.example>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Date"].datetime == LETTER.written_at
    assert "Hello Zoë Łukasz," in _part(message, "plain")
    assert LINK in _part(message, "plain")
    assert LINK.replace("&", "&amp;") in _part(message, "html")


def test_a_letter_in_french_is_french_in_every_part() -> None:
    message = _read(written(replace(LETTER, language=Language.FRENCH), SENDER))
    assert message["Subject"] == "Lycée Claudel vous invite à recevoir des apps et des livres"
    assert message["Content-Language"] == "fr"
    for kind in ("plain", "html"):
        assert "Bonjour Zoë Łukasz," in _part(message, kind)
        assert "Ce lien vous est personnel" in _part(message, kind)


def test_a_letter_to_somebody_without_a_name_greets_all_the_same() -> None:
    message = _read(written(replace(LETTER, name=None), SENDER))
    assert _part(message, "plain").splitlines()[0] == "Hello,"
    assert "<p>Hello,</p>" in _part(message, "html")


def test_a_name_cannot_become_markup() -> None:
    message = _read(written(replace(LETTER, name="<b onload=x>Zoë</b>"), SENDER))
    assert "&lt;b onload=x&gt;Zoë&lt;/b&gt;" in _part(message, "html")


def test_the_same_letter_is_the_same_bytes_on_every_try() -> None:
    assert written(LETTER, SENDER) == written(LETTER, SENDER)


@given(st.text(), st.sampled_from(Language))
def test_no_name_adds_a_header_or_a_recipient(name: str, language: Language) -> None:
    letter = replace(LETTER, name=clean_name(name), language=language)
    message = _read(written(letter, SENDER))
    assert [address.addr_spec for address in message["To"].addresses] == ["zoe@school.example"]
    assert sorted(message.keys()) == sorted(_read(written(LETTER, SENDER)).keys())


@given(st.text())
def test_a_clean_name_is_one_printable_line_and_cleaning_it_again_changes_nothing(name: str) -> None:
    clean = clean_name(name)
    assert clean is None or (clean.isprintable() and len(clean) <= 120 and clean == clean.strip())
    assert clean_name(clean) == clean


@given(st.text() | st.emails())
def test_an_address_is_usable_only_if_it_can_travel_in_a_command_and_a_header(text: str) -> None:
    address = usable_address(text)
    if address is not None:
        assert address.isascii()
        assert not set(address) & set(' \r\n\t<>()[],;:"\\\0')
        message = _read(written(replace(LETTER, mail_address=address), SENDER))
        assert [each.addr_spec for each in message["To"].addresses] == [address]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("zoe@school.example", "zoe@school.example"),
        (" zoe@school.example ", "zoe@school.example"),
        ("zoe+apps@школа.example", "zoe+apps@xn--80atdl2c.example"),
        ("o'neil@school.example", "o'neil@school.example"),
        ("zoë@school.example", None),
        ("zoe", None),
        ("zoe@", None),
        ("@school.example", None),
        ("a@b@school.example", None),
        ("zoe@school.example\r\nRCPT TO:<eve@evil.example>", None),
        ("zoe@school.example>\n", None),
        ('"zoe l"@school.example', None),
        (f"{'z' * 65}@school.example", None),
        ("zoe@" + "a." * 130 + "example", None),
        ("", None),
        (None, None),
    ],
)
def test_what_a_usable_address_is(text: str | None, address: str | None) -> None:
    assert usable_address(text) == address


@pytest.mark.parametrize(
    ("locale", "language"),
    [
        ("fr", Language.FRENCH),
        ("fr-CA", Language.FRENCH),
        ("FR_fr.UTF-8", Language.FRENCH),
        ("en-GB", Language.ENGLISH),
        ("de-CH", Language.FRENCH),
        ("french", Language.FRENCH),
        ("", Language.FRENCH),
        (None, Language.FRENCH),
    ],
)
def test_the_language_follows_the_locale_else_the_default(locale: str | None, language: Language) -> None:
    assert language_of(locale, Language.FRENCH) is language


@pytest.mark.parametrize(
    "link",
    [
        b"http://buy.itunes.apple.com/x",
        b"https://",
        b"https:///x",
        b"https://buy.itunes.apple.com/x y",
        b"https://buy.itunes.apple.com/x\r\nBcc: eve@evil.example",
        b'https://buy.itunes.apple.com/"><script>',
        b"javascript:alert(1)",
        b"https://[",
        b"",
    ],
)
def test_what_is_no_link_is_not_sent_as_one(link: bytes) -> None:
    assert not usable_link(link)
    assert usable_link(LINK.encode())


def _read(raw: bytes) -> EmailMessage:
    assert b"\n" not in raw.replace(b"\r\n", b"")
    message = message_from_bytes(raw, policy=default)
    assert isinstance(message, EmailMessage)
    assert not message.defects
    return message


def _part(message: EmailMessage, kind: str) -> str:
    body = message.get_body((kind,))
    assert body is not None
    return str(body.get_content())
