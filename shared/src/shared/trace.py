"""The W3C trace that the present task works for; outgoing events carry it on."""

from contextvars import ContextVar

traceparent: ContextVar[str | None] = ContextVar("traceparent", default=None)
