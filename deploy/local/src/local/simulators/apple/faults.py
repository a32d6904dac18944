"""Faults on command: what the next requests to a path get instead of, or besides, an honest answer."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from enum import StrEnum
from typing import Annotated, Any, assert_never

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt
from starlette.responses import Response, StreamingResponse

from local.simulators.admin import LONGEST_SECONDS, STRICT
from local.simulators.apple.errors import error_body
from local.simulators.apple.events import Doom, Event
from local.simulators.serving import HangUp

SLOW_PARTS = 20  # a slow body comes in so many
GARBAGE = b"<html><body>upstream connect error</body></html>"


class Answer(StrEnum):
    """How a faulty request ends on the wire."""

    HONEST = "honest"  # as if nothing were wrong: with `seconds` a slow answer
    ERROR = "error"  # `status` with Apple's error body for `error_number`
    GARBAGE = "garbage"  # `status` with a body that is no JSON
    TRUNCATED = "truncated"  # `status` with the first half of the honest JSON
    SLOW_BODY = "slow_body"  # the honest answer, its body dripping in for `seconds`
    NOTHING = "nothing"  # the connection closes without a byte: with `seconds` a timeout
    FAILED = "failed"  # honest, but the tasks of `targets` (without: all) fail with `error_number`
    STUCK = "stuck"  # honest, but the event stays PENDING for ever


HONEST_WORK = frozenset({Answer.HONEST, Answer.SLOW_BODY, Answer.FAILED, Answer.STUCK})


class RetryAfterForm(StrEnum):
    """The two forms of RFC 9110, section 10.2.3."""

    SECONDS = "seconds"
    DATE = "date"


@dataclass(slots=True, kw_only=True)
class Fault:
    """Three independent choices: is the work done (`accepted`), how long it takes, how it is answered.

    `path` is relative to the base, such as `assets/associate`, or `*`; `uid` None means every library. The
    first `skip` matching requests stay honest, the next `times` get the fault. An honest answer is always
    accepted: nothing could be said honestly about work that was not done. With `old_connections` only requests
    meet it that come on connections opened before the fault was scripted: Apple's service has moved, and who
    connects anew finds it.
    """

    __pydantic_config__ = STRICT

    path: str
    answer: Answer
    uid: str | None = None
    times: PositiveInt = 1
    skip: NonNegativeInt = 0
    accepted: bool = False
    seconds: NonNegativeFloat = 0.0
    status: Annotated[int, Field(ge=200, le=599)] = 200
    error_number: int = 9603
    retry_after_seconds: Annotated[int, Field(ge=0, le=LONGEST_SECONDS)] | None = None
    retry_after_form: RetryAfterForm = RetryAfterForm.SECONDS
    targets: tuple[str, ...] = ()
    old_connections: bool = False
    scripted_at: float = 0.0  # seconds of the loop's clock; set when it is scripted

    def does_the_work(self) -> bool:
        """Tell whether the request is worked before it is answered falsely."""
        return self.accepted or self.answer in HONEST_WORK

    def curse(self, event: Event) -> None:
        """Let an event that this request leaves behind fail, or never begin."""
        event.stuck = self.answer is Answer.STUCK
        if self.answer is Answer.FAILED:
            event.doom = Doom(self.error_number, frozenset(self.targets))

    def meets(self, path: str, uid: str | None, *, opened_at: float) -> bool:
        """Tell whether a request is one of those it is scripted for; `opened_at` is its connection's time."""
        if self.path not in {"*", path} or self.uid not in {None, uid}:
            return False
        return not self.old_connections or opened_at < self.scripted_at

    def respond(self, honest: Response) -> Response:
        """Make the response to send in the place of `honest`."""
        match self.answer:
            case Answer.HONEST | Answer.FAILED | Answer.STUCK:
                return honest
            case Answer.SLOW_BODY:
                return _drip(honest, self.seconds)
            case Answer.ERROR:
                content = json.dumps(error_body(self.error_number)).encode()
            case Answer.GARBAGE:
                content = GARBAGE
            case Answer.TRUNCATED:
                content = bytes(honest.body)[: len(honest.body) // 2]
            case Answer.NOTHING:
                return HangUp()
            case _:
                assert_never(self.answer)
        return Response(content, self.status, headers=self._headers(), media_type="application/json")

    def _headers(self) -> dict[str, str]:
        if self.retry_after_seconds is None:
            return {}
        if self.retry_after_form is RetryAfterForm.SECONDS:
            return {"Retry-After": str(self.retry_after_seconds)}
        moment = datetime.now(UTC) + timedelta(seconds=self.retry_after_seconds)
        return {"Retry-After": format_datetime(moment, usegmt=True)}


class FaultScript:
    """The faults that are still to come, oldest first."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def __iter__(self) -> Iterator[Fault]:
        return iter(self._faults)

    def add(self, faults: Iterable[Fault], *, now: float) -> None:
        """Append to the script at `now`, seconds of the loop's clock."""
        for fault in faults:
            fault.scripted_at = now
            self._faults.append(fault)

    def clear(self) -> None:
        """From now on everything is honest."""
        self._faults.clear()

    def remaining(self) -> list[dict[str, Any]]:
        """List what is still to come: path, answer and how many times."""
        return [{"path": fault.path, "answer": fault.answer, "times": fault.times} for fault in self._faults]

    def take(self, path: str, uid: str | None, *, opened_at: float) -> Fault | None:
        """Use up one fault for this request; None where it is to be served honestly."""
        for fault in self._faults:
            if not fault.meets(path, uid, opened_at=opened_at):
                continue
            if fault.skip:
                fault.skip -= 1
                continue
            fault.times -= 1
            if not fault.times:
                self._faults.remove(fault)
            return fault
        return None


def _drip(honest: Response, seconds: float) -> Response:
    """Send an answer's head at once and its body in parts."""
    body = bytes(honest.body)
    size = max(1, -(-len(body) // SLOW_PARTS))

    async def parts() -> AsyncIterator[bytes]:
        for start in range(0, len(body), size):
            await asyncio.sleep(seconds / SLOW_PARTS)
            yield body[start : start + size]

    headers = {"Content-Length": str(len(body))}
    return StreamingResponse(parts(), honest.status_code, headers, media_type="application/json")
