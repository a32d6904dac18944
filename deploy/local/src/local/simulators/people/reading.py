"""Looks for invitations: in the letters of the mailbox, and on the screens of devices."""

import re
from dataclasses import dataclass, field
from typing import Any, Protocol

import httpx2

LINK = re.compile(r"https://[^\s\"'<>]*[?&]inviteCode=[^\s\"'<>]+")


@dataclass(frozen=True, slots=True)
class Invitation:
    """A link for one person, from `letter <number>` or `device <serial number>`."""

    source: str
    address: str
    link: str = field(repr=False)


class Reader(Protocol):
    """Sees each invitation once, in the order of their arrival."""

    async def look(self) -> list[Invitation]:
        """Answer the invitations that came since the last look. Raises `httpx2.HTTPError`."""
        ...


class Letters:
    """Reads the letters of a mailbox."""

    def __init__(self, mailbox: httpx2.AsyncClient) -> None:
        self._mailbox = mailbox
        self._read = 0

    async def look(self) -> list[Invitation]:
        """Answer the invitations that came since the last look. Raises `httpx2.HTTPError`."""
        response = await self._mailbox.get("/letters", params={"after": str(self._read)})
        response.raise_for_status()
        letters = response.json()
        self._read = max([self._read, *(letter["number"] for letter in letters)])
        return [
            Invitation(f"letter {letter['number']}", address, link)
            for letter in letters
            if (link := find_link(letter)) is not None
            for address in letter["envelope"]["to"]
        ]


class Screens:
    """Sees what InviteToProgram shows on the devices of a fleet; their holder is the person."""

    def __init__(self, fleet: httpx2.AsyncClient) -> None:
        self._fleet = fleet
        self._seen = 0

    async def look(self) -> list[Invitation]:
        """Answer the invitations that were shown since the last look. Raises `httpx2.HTTPError`."""
        response = await self._fleet.get("/invitations", params={"after": str(self._seen)})
        response.raise_for_status()
        shown = response.json()
        self._seen = max([self._seen, *(each["number"] for each in shown)])
        return [Invitation(f"device {each['serial']}", each["holder"], each["link"]) for each in shown]


def find_link(letter: dict[str, Any]) -> str | None:
    """Find the invitation's link in the plain text of a letter, or else where its HTML has it."""
    for part in (letter["text"], letter["html"]):
        found = LINK.search((part or "").replace("&amp;", "&"))
        if found is not None:
            return found.group()
    return None
