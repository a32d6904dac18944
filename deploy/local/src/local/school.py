"""A sample school: its devices, its people, and what it bought."""

from dataclasses import dataclass

APP_ADAM_ID = "408709785"
BOOK_ADAM_ID = "1003000001"

IPADS = 40
MACS = 20
PEOPLE = 30
APP_LICENSES = 50
BOOK_LICENSES = 5

_GIVEN_NAMES = ("Camille", "Louis", "Inès", "Hugo", "Jade", "Arthur", "Léa", "Noah", "Zoé", "Gabriel")
_FAMILY_NAMES = ("Martin", "Bernard", "Dubois")


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody of the school; the first twenty own a Mac."""

    name: str
    mail_address: str
    locale: str

    def described(self) -> dict[str, object]:
        """Return the person as a directory tells of them."""
        return {"name": self.name, "mail_address": self.mail_address, "locale": self.locale}


def people() -> list[Person]:
    """Return the thirty people, some of whom read English."""
    return [
        Person(
            name=f"{given} {family}",
            mail_address=f"{given}.{family}@school.example".lower().replace("è", "e").replace("é", "e"),
            locale="en" if number % 5 == 4 else "fr",
        )
        for number, (given, family) in enumerate(
            (given, family) for family in _FAMILY_NAMES for given in _GIVEN_NAMES
        )
    ]


def purchases() -> list[dict[str, object]]:
    """Return what Apple lists for the school: one universal app, one book."""
    return [
        {"adam_id": APP_ADAM_ID, "total": APP_LICENSES, "supported_platforms": ["iOS", "macOS"]},
        {
            "adam_id": BOOK_ADAM_ID,
            "total": BOOK_LICENSES,
            "product_type": "Book",
            "supported_platforms": ["iOS"],
        },
    ]
