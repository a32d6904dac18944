"""What aiokafka's consumer needs around it: an end that looks like a failure, and a stop in bounded time."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

T = TypeVar("T")

_LAST_SECONDS = 2.0
"""What a consumer that does not stop gets to unwind, once its tasks were cancelled."""


async def own(of_aiokafka: Coroutine[Any, Any, T]) -> T:
    """Await something of aiokafka's. Raises KafkaError where it says that it was cancelled, and was not by us.

    (Its coordination ends so, for instance, when it is asked to rejoin while it leaves the group.)
    """
    task = asyncio.create_task(of_aiokafka)
    try:
        await asyncio.wait({task})
    finally:
        task.cancel()
    if task.cancelled():
        raise KafkaError("the consumer came to its end by itself")
    return task.result()


async def stop_within(consumer: AIOKafkaConsumer, seconds: float) -> None:
    """Stop a consumer; what is left of it after so many seconds, or after an error, is torn down.

    A stop hangs while brokers are down; a fetch in back-off makes it raise CancelledError and skip closing the
    client (aiokafka issue 647).
    """
    stopping = asyncio.create_task(consumer.stop())
    await asyncio.wait({stopping}, timeout=seconds)
    if failure(stopping) is None:
        return
    tasks = {task for task in (stopping, *_tasks_of(consumer)) if not task.done()}
    for task in tasks:
        task.cancel()
    closing = asyncio.create_task(consumer._client.close())  # noqa: SLF001 - there is no public way
    await asyncio.wait({closing, *tasks}, timeout=_LAST_SECONDS)
    failure(stopping)


def failure(task: asyncio.Task[Any]) -> str | None:
    """Return in a word why a task did not end well, None if it did.

    Its exception counts as seen then: asyncio would complain of it otherwise.
    """
    if not task.done() or task.cancelled():
        return "not_done"
    error = task.exception()
    return None if error is None else type(error).__name__


def _tasks_of(consumer: AIOKafkaConsumer) -> Iterable[asyncio.Task[Any]]:
    """Return the tasks that a consumer keeps to itself: they would go on, and connect again."""
    parts = [getattr(consumer, part) for part in ("_coordinator", "_fetcher")]
    names = ("_coordination_task", "_heartbeat_task", "_commit_refresh_task", "_fetch_task")
    tasks = [getattr(part, name, None) for part in parts for name in names]
    return [task for task in (*tasks, *getattr(parts[1], "_pending_tasks", ())) if task is not None]
