"""The people's admin door: say what somebody does, and see what they did."""

from typing import TYPE_CHECKING, Any

import httpx2
from fastapi import FastAPI, HTTPException
from pydantic import NonNegativeFloat, NonNegativeInt

from local.simulators.admin import Body, new_door
from local.simulators.people.person import Answer, Habit, Person

if TYPE_CHECKING:
    from local.simulators.people.simulator import PeopleSimulator


class PersonBody(Body):
    """What is to change; what is left out stays."""

    habit: Habit | None = None
    account: str | None = None
    letters_ignored: NonNegativeInt | None = None
    delay_seconds: NonNegativeFloat | None = None


class AccountBody(Body):
    """The Apple Account to sign in with; their own unless given."""

    account: str | None = None


class AdminDoor:
    """The routes' functions, with the people they act on."""

    def __init__(self, simulator: "PeopleSimulator") -> None:
        self._simulator = simulator

    async def list_people(self) -> list[dict[str, Any]]:
        """List who had a letter or was told something."""
        return [_describe(person) for person in self._simulator.people.values()]

    async def one_person(self, address: str) -> dict[str, Any]:
        """Answer one person, whom nobody may have heard of yet."""
        return _describe(self._simulator.person(address))

    async def change(self, address: str, body: PersonBody) -> dict[str, Any]:
        """Say what somebody does from now on."""
        person = self._simulator.person(address)
        for name, value in body.model_dump(exclude_none=True).items():
            setattr(person, name, value)
        return _describe(person)

    async def join(self, address: str, body: AccountBody) -> Answer:
        """Have somebody follow the newest link they have: agree after stalling, or try another account."""
        person = self._simulator.person(address)
        try:
            return await self._simulator.join_now(person, body.account or person.account)
        except LookupError:
            raise HTTPException(409, "there was no letter with an invitation yet") from None
        except httpx2.HTTPError as error:
            raise HTTPException(502, f"Apple: {type(error).__name__}") from None

    async def trace(self) -> list[tuple[str, Answer]]:
        """List what was done with invitations, oldest first."""
        return list(self._simulator.trace)


def _describe(person: Person) -> dict[str, Any]:
    return {
        "address": person.address,
        "habit": person.habit,
        "account": person.account,
        "letters_ignored": person.letters_ignored,
        "delay_seconds": person.delay_seconds,
        "answers": person.answers,
    }


def admin_door(simulator: "PeopleSimulator") -> FastAPI:
    """Build the app; its table of routes stands here."""
    app = new_door("Simulated people: the admin door")
    door = AdminDoor(simulator)
    app.get("/people")(door.list_people)
    app.get("/people/{address}")(door.one_person)
    app.put("/people/{address}")(door.change)
    app.post("/people/{address}/join")(door.join)
    app.get("/trace")(door.trace)
    return app
