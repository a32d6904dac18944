"""The W3C trace that the present task works for; outgoing events carry it on."""

from collections.abc import Mapping
from contextvars import ContextVar
from uuid import UUID

traceparent: ContextVar[str | None] = ContextVar("traceparent", default=None)
"""Of the request that is being answered."""

traces_heard: ContextVar[Mapping[UUID, str]] = ContextVar("traces_heard", default={})  # noqa: B039 - never changed
"""Of the events that are being handled, by their ids: a set of them may belong to many traces."""


def trace_of(cause: UUID | None) -> str | None:
    """Return the trace of what an event with this cause goes on with."""
    heard = traces_heard.get().get(cause) if cause is not None else None
    return heard or traceparent.get()
