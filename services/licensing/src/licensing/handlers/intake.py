"""Apple's notifications come in: each is proven and stored as it came, before it is answered.

A request about many devices comes back in hundreds of them: those that arrive while one set is being stored are
the next set, one transaction for all.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from licensing.decide.notice import name, notification_id
from licensing.handlers.notices import Sealer
from licensing.notification_secret import shows_secret
from licensing.store import notifications
from licensing.store.notifications import Malformed, Sealed
from shared.database import Database, Transaction
from shared.ids import new_id

MALFORMED_KEPT = 20
"""Of each library: the last ones say what is wrong, and a sender gone mad fills no disk."""

_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Arrival:
    """What somebody brought to the door of a library, and the Authorization header it was shown with."""

    library_id: str
    authorization: str
    body: bytes


class Reception(StrEnum):
    """What became of it."""

    KEPT = "kept"
    MALFORMED = "malformed"
    WRONG_SECRET = "wrong_secret"  # noqa: S105 - the word for it


class Intake:
    """Stores what comes in to one process."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer
        self._waiting: list[tuple[Arrival, asyncio.Future[Reception]]] = []
        self._storing: asyncio.Task[None] | None = None

    async def take(self, arrival: Arrival) -> Reception:
        """Return what became of it, once that is on the disk. Raises what the database raises."""
        received: asyncio.Future[Reception] = asyncio.get_running_loop().create_future()
        self._waiting.append((arrival, received))
        if self._storing is None:
            self._storing = asyncio.create_task(self._store_all())
        return await received

    async def _store_all(self) -> None:
        """Store set after set until nobody waits."""
        while self._waiting:
            some, self._waiting = self._waiting[:_AT_ONCE], self._waiting[_AT_ONCE:]
            await self._store(some)
        self._storing = None

    async def _store(self, some: Sequence[tuple[Arrival, asyncio.Future[Reception]]]) -> None:
        try:
            async with self._database.transaction() as tx:
                receptions = await keep_notifications(tx, [each for each, _ in some], sealer=self._sealer)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer of all who wait
            for _, received in some:
                if not received.done():
                    received.set_exception(error)
        else:
            for (_, received), reception in zip(some, receptions, strict=True):
                if not received.done():  # its caller went away
                    received.set_result(reception)


async def keep_notifications(
    tx: Transaction, arrived: Sequence[Arrival], *, sealer: Sealer
) -> list[Reception]:
    """Store what shows its library's secret, sealed: notifications once, and what is none to be inspected."""
    libraries = {each.library_id for each in arrived if name(each.library_id)}
    hashes = await notifications.secret_hashes(tx, libraries)
    kept: list[Sealed] = []
    malformed: list[Malformed] = []
    receptions = []
    for each in arrived:
        if not shows_secret(each.authorization, hashes.get(each.library_id, ())):
            receptions.append(Reception.WRONG_SECRET)
        elif (known_as := notification_id(each.body)) is None:
            malformed.append(_malformed(each, sealer))
            receptions.append(Reception.MALFORMED)
        else:
            kept.append(_sealed(each, known_as, sealer))
            receptions.append(Reception.KEPT)
    if kept:
        await notifications.store(tx, kept)
    if malformed:
        await notifications.store_malformed(tx, malformed, kept=MALFORMED_KEPT)
    return receptions


def _sealed(arrival: Arrival, known_as: str, sealer: Sealer) -> Sealed:
    sealed = sealer.seal(arrival.body, table="notification", column="sealed", row_id=known_as)
    return Sealed(arrival.library_id, known_as, sealed)


def _malformed(arrival: Arrival, sealer: Sealer) -> Malformed:
    malformed_id = new_id()
    sealed = sealer.seal(arrival.body, table="malformed_notification", column="sealed", row_id=malformed_id)
    return Malformed(malformed_id, arrival.library_id, sealed, len(arrival.body))
