"""What all HTTP doors have in common: problems, threads, paging, idempotent calls, health."""

from shared.web.app import build_app, keeps_serving, open_routes
from shared.web.body_limit import takes
from shared.web.health import Health, operations_app
from shared.web.idempotency import Answer, IdempotencyKey, answer_once, first_answer, forget_old_answers
from shared.web.paging import Cursor, Limit, Page, decode_cursor, encode_cursor, page_of
from shared.web.thread import CorrelationId

__all__ = [
    "Answer",
    "CorrelationId",
    "Cursor",
    "Health",
    "IdempotencyKey",
    "Limit",
    "Page",
    "answer_once",
    "build_app",
    "decode_cursor",
    "encode_cursor",
    "first_answer",
    "forget_old_answers",
    "keeps_serving",
    "open_routes",
    "operations_app",
    "page_of",
    "takes",
]
