"""Works events after their delay, a slice at a time, and lets the loop breathe between slices."""

import asyncio

from local.simulators.apple.errors import AppleError
from local.simulators.apple.events import ASSET_EVENTS, Event, EventStatus, EventType, Failure, Slice
from local.simulators.apple.library import Library
from local.simulators.apple.notify import MAX_ELEMENTS, Notifier
from local.simulators.apple.working import Row, work
from local.simulators.apple.world import World


class Worker:
    """Runs one task per open event; those of one delay run in the order in which they were accepted."""

    def __init__(self, world: World, notifier: Notifier) -> None:
        self._world = world
        self._notifier = notifier
        self._gate = asyncio.Event()
        self.heed_knobs()
        self._tasks: set[asyncio.Task[None]] = set()

    def accept(self, library: Library, event: Event) -> None:
        """Take an event; it is PENDING until the worker is through with it."""
        self._world.events[event.event_id] = event
        if event.stuck:
            return
        if not event.begins_at:
            event.begins_at = self._world.clock.seconds() + self._delay(event.type)
        task = asyncio.create_task(self._work(library, event))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def status(self, library: Library, event_id: str) -> Event:
        """Find an event of a library. Raises `AppleError` 9708, also for one that ended too long ago."""
        event = self._world.events.get(event_id)
        life = self._world.knobs.event_life_seconds
        if event is None or event.uid != library.uid:
            raise AppleError(9708)
        if life and event.ended_at is not None and event.ended_at + life <= self._world.clock.seconds():
            raise AppleError(9708)
        return event

    def heed_knobs(self) -> None:
        """Begin or cease to hold events, as the knobs say."""
        if self._world.knobs.hold_events:
            self._gate.clear()
        else:
            self._gate.set()

    def resume(self) -> None:
        """Go on with all events that are open and that nobody works."""
        for event in self._world.events.values():
            if event.open:
                self.accept(self._world.libraries[event.uid], event)

    async def stop(self) -> None:
        """Leave open events as they are."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _work(self, library: Library, event: Event) -> None:
        clock = self._world.clock
        await clock.sleep(event.begins_at - clock.seconds())
        for part in event.slices(MAX_ELEMENTS):
            await self._work_slice(library, event, part)
            self._tell(library, event, part)
            event.note_told(part)
        event.finish(clock.seconds())

    async def _work_slice(self, library: Library, event: Event, part: Slice) -> None:
        """Work all targets that are left at once, or one by one where each takes its time."""
        pace = self._world.knobs.task_seconds
        size = 1 if pace else MAX_ELEMENTS
        for start in range(event.worked - event.told, len(part.targets), size):
            await self._world.clock.sleep(pace)
            await self._gate.wait()
            scene = self._world.begin(library)
            work(event, part._replace(targets=part.targets[start : start + size]), scene)
            if self._world.knobs.report_processing:
                event.status = EventStatus.PROCESSING

    def _tell(self, library: Library, event: Event, part: Slice) -> None:
        """One notification for what succeeded and one for each error number."""
        if not self._notifier.wanted(
            library, "ASSET_MANAGEMENT" if event.type in ASSET_EVENTS else "USER_MANAGEMENT"
        ):
            return
        failed = event.untold_failures
        for number, targets in failed.items():
            failure = Failure()
            failure.add(part, targets)
            error = failure.wire(number, names_targets=self._world.knobs.shortage_names == "targets")
            self._tell_rows(library, event, _rows(library, event, part, targets), error=error)
        unlucky = {target for targets in failed.values() for target in targets}
        done = [target for target in part.targets if target not in unlucky]
        rows = event.untold_rows if event.type is EventType.REVOKE else _rows(library, event, part, done)
        for start in range(0, len(rows), MAX_ELEMENTS):
            self._tell_rows(library, event, rows[start : start + MAX_ELEMENTS], error=None)

    def _tell_rows(self, library: Library, event: Event, rows: list[Row], *, error: Row | None) -> None:
        body: Row = {
            "type": event.type,
            "result": "SUCCESS" if error is None else "FAILURE",
            "eventId": event.event_id,
            "assignments" if event.type in ASSET_EVENTS else "users": rows,
        }
        kind = "ASSET_MANAGEMENT" if event.type in ASSET_EVENTS else "USER_MANAGEMENT"
        self._notifier.tell(library, kind, body if error is None else {**body, "error": error})

    def _delay(self, kind: EventType) -> float:
        knobs = self._world.knobs
        if kind is EventType.DISASSOCIATE and knobs.disassociate_delay_seconds is not None:
            return knobs.disassociate_delay_seconds
        return knobs.event_delay_seconds


def _rows(library: Library, event: Event, part: Slice, targets: list[str]) -> list[Row]:
    """Name targets as Apple does: assignments of an asset, bare targets of a revoke, or users."""
    if event.type in ASSET_EVENTS:
        base = {} if part.asset is None else part.asset.wire()
        return [{**base, part.kind: target} for target in targets]
    users = ((target, library.users.latest(target)) for target in targets)
    return [{"clientUserId": target} if user is None else user.wire() for target, user in users]
