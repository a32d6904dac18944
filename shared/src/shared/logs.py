"""One JSON object per line on stdout, for our words and for every library's; secrets are masked on the way.

What is neither plain nor known (bytes, models, clients) is shown by the name of its class only: what a log
line says must be said on purpose.
"""

import enum
import logging
import re
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, timedelta
from decimal import Decimal
from pathlib import PurePath
from typing import Any
from uuid import UUID

import structlog
from structlog.typing import EventDict, WrappedLogger

MASK = "***"

_SECRET_NAMES = frozenset(
    {"authorization", "cookie", "code", "keyset", "link", "magic", "password", "secret", "token"}
)
_SECRET_ENDINGS = ("_cookie", "_link", "_magic", "_password", "_secret", "_token")
_SECRET_TEXT = re.compile(
    r"(?i)(\b(?:bearer|basic)\s+)\S+|(://[^/\s:@]*:)[^/\s@]+(?=@)|\beyJ[\w-]+\.[\w-]+\.[\w-]*"
)
_REPEATED = (
    # What an error repeats of what it complains of: PostgreSQL the row, asyncpg the argument, pydantic the input.
    (re.compile(r"(?m)^DETAIL:.*$"), f"DETAIL: {MASK}"),
    (re.compile(r"(invalid input for query argument \$\d+: ).*"), rf"\1{MASK}"),
    (re.compile(r"input_value=.*?(?=, input_type=)", re.DOTALL), f"input_value={MASK}"),
)

_NOISY = ("aiokafka", "asyncio", "httpcore2", "httpx2", "uvicorn")


def configure(service: str, level: str) -> None:
    """Send all that is logged from now on, at `level` or above, through this room."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(formatter(service))
    handler.addFilter(_soften)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.captureWarnings(capture=True)
    for name in _NOISY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def formatter(service: str) -> logging.Formatter:
    """Return what turns a record of the standard library into our line."""
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.contextvars.merge_contextvars],
        processors=[
            structlog.stdlib.add_logger_name,
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            _Line(service),
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
    )


def _soften(record: logging.LogRecord) -> bool:
    """Make a warning of what aiokafka calls an error: an error here is what a person must see to.

    It says so of a broker that is away or changes hands, and tries again. What it cannot mend it raises too, and
    whoever catches that says how bad it is.
    """
    if record.name.startswith("aiokafka.") and record.levelno > logging.WARNING:
        record.levelno, record.levelname = logging.WARNING, logging.getLevelName(logging.WARNING)
    return True


@contextmanager
def bind_thread(**names: object) -> Iterator[None]:
    """Say these names (`correlation_id` above all) with every line logged inside the block."""
    with structlog.contextvars.bound_contextvars(**names):
        yield


class _Line:
    """Puts the service's name on a line, its traceback as text, and the mask over what is secret."""

    def __init__(self, service: str) -> None:
        self._service = service

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        problem = _exception(event.pop("exc_info", None))
        line: dict[str, Any] = {"service": self._service}
        line.update((name, shown(name, value)) for name, value in event.items())
        if problem is not None:
            line["exception"] = _masked("".join(traceback.format_exception(problem)))
        return line


def shown(name: str, value: object) -> Any:
    """Return what a log line may say of a value that is called `name`: JSON, masked where it is a secret."""
    if _is_secret(name):
        return MASK
    match value:
        case Mapping():
            return {str(key): shown(str(key), inner) for key, inner in value.items()}
        case list() | tuple() | set() | frozenset():
            return [shown("", inner) for inner in value]
        case enum.Enum():
            return _shown_plain(value.value)
        case _:
            return _shown_plain(value)


def _shown_plain(value: object) -> Any:
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            return _masked(value)
        case UUID() | Decimal() | PurePath() | date() | timedelta():
            return str(value)
        case BaseException():
            return _masked(f"{type(value).__name__}: {value}")
        case _:
            return f"<{type(value).__name__}>"


def _is_secret(name: str) -> bool:
    name = name.lower().replace("-", "_")
    return name in _SECRET_NAMES or name.endswith(_SECRET_ENDINGS)


def _masked(text: str) -> str:
    """Hide what free text repeats: bearer tokens, passwords in URLs, JWTs, and the values that errors complain of."""
    text = _SECRET_TEXT.sub(lambda found: f"{found[1] or found[2] or ''}{MASK}", text)
    for repeated, masked in _REPEATED:
        text = repeated.sub(masked, text)
    return text


def _exception(exc_info: Any) -> BaseException | None:
    match exc_info:
        case BaseException():
            return exc_info
        case (_, BaseException() as problem, _):
            return problem
        case True:
            return sys.exception()
        case _:
            return None
