"""Works events after their delay, a slice at a time, and lets the loop breathe between slices."""

import asyncio

from local.simulators.apple.events import NOT_ENOUGH_LICENSES, Event, EventType, Failure, Slice
from local.simulators.apple.library import Library
from local.simulators.apple.notify import MAX_ELEMENTS, Notifier
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
        task = asyncio.create_task(self._work(library, event))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def heed_knobs(self) -> None:
        """Begin or cease to hold events, as the knobs say."""
        if self._world.knobs.hold_events:
            self._gate.clear()
        else:
            self._gate.set()

    async def stop(self) -> None:
        """Leave open events as they are."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _work(self, library: Library, event: Event) -> None:
        await asyncio.sleep(self._delay(event.type))
        for part in event.slices(MAX_ELEMENTS):
            refused = await self._work_slice(library, event, part)
            self._tell(library, event, part, refused)
        event.finish()

    async def _work_slice(self, library: Library, event: Event, part: Slice) -> list[str]:
        """Work all targets at once, or one by one where each takes its time, and answer those that failed."""
        pace = self._world.knobs.task_seconds
        size = 1 if pace else MAX_ELEMENTS
        refused: list[str] = []
        for start in range(0, len(part.targets), size):
            await asyncio.sleep(pace)
            await self._gate.wait()
            refused += event.work(part._replace(targets=part.targets[start : start + size]))
            self._world.touch(library)
        return refused

    def _tell(self, library: Library, event: Event, part: Slice, refused: list[str]) -> None:
        if refused:
            failure = Failure({part.asset.key: None}, {part.kind: dict.fromkeys(refused)})
            error = failure.wire(NOT_ENOUGH_LICENSES)
            self._notifier.tell_slice(library, event, part._replace(targets=refused), error=error)
        failed = set(refused)
        done = [target for target in part.targets if target not in failed]
        if done:
            self._notifier.tell_slice(library, event, part._replace(targets=done), error=None)

    def _delay(self, kind: EventType) -> float:
        knobs = self._world.knobs
        if kind is EventType.DISASSOCIATE and knobs.disassociate_delay_seconds is not None:
            return knobs.disassociate_delay_seconds
        return knobs.event_delay_seconds
