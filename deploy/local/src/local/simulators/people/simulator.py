"""The people, started: they look for invitations and do what they are used to."""

import asyncio
import heapq
import itertools
import ssl
from collections import deque
from typing import NamedTuple

import httpx2

from local.simulators.people.admin import admin_door
from local.simulators.people.joining import join, open_link
from local.simulators.people.person import Answer, Habit, Outcome, Person, somebody
from local.simulators.people.reading import Invitation, Letters, Reader, Screens
from local.simulators.people.settings import PeopleSettings
from local.simulators.simulator import Simulator

TRACE_LENGTH = 10_000


class _Due(NamedTuple):
    """An invitation that will be read; the earlier one goes first where two are due at once."""

    at: float
    number: int
    invitation: Invitation


class PeopleSimulator(Simulator):
    """Everybody who has an invitation. `people` are there to be looked at, by mail address."""

    def __init__(self, settings: PeopleSettings) -> None:
        super().__init__()
        self.settings = settings
        self.people: dict[str, Person] = {}
        self.trace: deque[tuple[str, Answer]] = deque(maxlen=TRACE_LENGTH)
        self._due: list[_Due] = []
        self._numbers = itertools.count()

    async def _open(self) -> None:
        """Begin to look for invitations, and open the admin door."""
        context = ssl.create_default_context()
        if self.settings.trust_ca_file is not None:
            context.load_verify_locations(self.settings.trust_ca_file)
        origin = httpx2.URL(self.settings.apple_url).join("/")
        self._apple = await self._client(origin, verify=context)
        self._readers: list[Reader] = [Letters(await self._client(self.settings.mailbox_admin_url))]
        if self.settings.devices_admin_url:
            self._readers.append(Screens(await self._client(self.settings.devices_admin_url)))
        await self._open_admin_door(admin_door(self), self.settings.admin_port)
        self._living = asyncio.create_task(self._live())
        self._stack.push_async_callback(self._rest)

    async def _rest(self) -> None:
        """Leave the letters unread."""
        self._living.cancel()
        await asyncio.wait([self._living])

    async def _client(
        self, base_url: httpx2.URL | str, *, verify: ssl.SSLContext | bool = True
    ) -> httpx2.AsyncClient:
        client = httpx2.AsyncClient(base_url=base_url, verify=verify, trust_env=False)
        return await self._stack.enter_async_context(client)

    def person(self, address: str) -> Person:
        """Find somebody, who may not have had a letter yet."""
        if address not in self.people:
            knobs = self.settings
            self.people[address] = somebody(
                address, habits=knobs.habits, seed=knobs.seed, delay_seconds=knobs.delay_seconds
            )
        return self.people[address]

    async def join_now(self, person: Person, account: str) -> Answer:
        """Have somebody open the newest link they have, with this account. Raises `LookupError`, `httpx2.HTTPError`."""
        if person.link is None:
            raise LookupError(person.address)
        outcome = await join(self._apple, person.link, account)
        return self._note(person, Answer(person.source, outcome, account))

    async def _live(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            for reader in self._readers:
                await self._look(reader)
            while self._due and self._due[0].at <= loop.time():
                await self._heed(heapq.heappop(self._due))
            await asyncio.sleep(self.settings.look_seconds)

    async def _look(self, reader: Reader) -> None:
        """Plan when each new invitation will be read; a door that is closed is looked behind later."""
        try:
            invitations = await reader.look()
        except httpx2.HTTPError:
            await asyncio.sleep(self.settings.retry_seconds)
            return
        now = asyncio.get_running_loop().time()
        for invitation in invitations:
            at = now + self.person(invitation.address).delay_seconds
            heapq.heappush(self._due, _Due(at, next(self._numbers), invitation))

    async def _heed(self, due: _Due) -> None:
        """Do what this person does; where nobody answers, later once more."""
        person = self.person(due.invitation.address)
        try:
            answer = await self._answer(person, due.invitation)
        except httpx2.HTTPError:
            heapq.heappush(self._due, due._replace(at=due.at + self.settings.retry_seconds))
            return
        self._note(person, answer)

    async def _answer(self, person: Person, invitation: Invitation) -> Answer:
        person.link, person.source = invitation.link, invitation.source
        if person.habit is Habit.IGNORES:
            return Answer(invitation.source, Outcome.IGNORED)
        if person.letters_ignored > 0:
            person.letters_ignored -= 1
            return Answer(invitation.source, Outcome.IGNORED)
        if person.habit is Habit.STALLS:
            valid = await open_link(self._apple, invitation.link)
            return Answer(invitation.source, Outcome.STALLED if valid else Outcome.GONE)
        account = person.signs_in_as
        return Answer(invitation.source, await join(self._apple, invitation.link, account), account)

    def _note(self, person: Person, answer: Answer) -> Answer:
        person.answers.append(answer)
        self.trace.append((person.address, answer))
        return answer
