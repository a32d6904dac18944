import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import structlog
from pydantic import BaseModel, SecretStr, ValidationError

from shared import logs
from shared.database import Database
from shared.vault import Secret

WORD = "hunter2"
THREAD = UUID("018f0000-0000-7000-8000-000000000001")


class Paper:
    """What was logged, line by line."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]


@pytest.fixture
def paper(monkeypatch: pytest.MonkeyPatch) -> Iterator[Paper]:
    """Logs go to paper for one test; the session's own settings come back afterwards."""
    paper, root = Paper(), logging.getLogger()
    handlers, level, structure = root.handlers[:], root.level, structlog.get_config()
    monkeypatch.setattr("sys.stdout", paper.stream)
    logs.configure("licensing", "info")
    yield paper
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**structure)


class Color(StrEnum):
    RED = "red"


class Person(BaseModel):
    mail: str


def test_a_line_is_one_json_object_with_its_service_level_time_and_logger(paper: Paper) -> None:
    structlog.get_logger("shared.relay").info("lease taken", bucket=7, at=datetime(2026, 11, 22, tzinfo=UTC))
    (line,) = paper.lines
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "service": "licensing",
        "logger": "shared.relay",
        "level": "info",
        "event": "lease taken",
        "bucket": 7,
        "at": "2026-11-22 00:00:00+00:00",
    }


def test_libraries_speak_through_the_same_room(paper: Paper) -> None:
    logging.getLogger("some.library").warning("lost %s of %d", "one", 3)
    (line,) = paper.lines
    assert (line["event"], line["level"], line["logger"]) == ("lost one of 3", "warning", "some.library")


def test_the_chatter_of_libraries_is_left_out(paper: Paper) -> None:
    logging.getLogger("uvicorn.error").info("Started server process")
    logging.getLogger("httpx2").info("HTTP Request: GET https://example.org/?code=hunter2")
    structlog.get_logger().debug("below the level")
    assert paper.text == ""


def test_what_the_kafka_client_tries_again_by_itself_is_no_error(paper: Paper) -> None:
    logging.getLogger("aiokafka.consumer.group_coordinator").error("Request failed: %s", "NotAvailable")
    logging.getLogger("uvicorn.error").error("Exception in ASGI application")
    assert [line["level"] for line in paper.lines] == ["warning", "error"]


def test_the_thread_is_on_every_line_of_its_block(paper: Paper) -> None:
    with logs.bind_thread(correlation_id=THREAD):
        structlog.get_logger().info("one")
        logging.getLogger("library").warning("two")
    structlog.get_logger().info("three")
    assert [line.get("correlation_id") for line in paper.lines] == [str(THREAD), str(THREAD), None]


@pytest.mark.parametrize(
    "name",
    [
        "authorization",
        "Authorization",
        "token",
        "push_token",
        "password",
        "push_magic",
        "code",
        "link",
        "client-secret",
    ],
)
def test_what_is_called_like_a_secret_is_masked(paper: Paper, name: str) -> None:
    structlog.get_logger().info("said", **{name: WORD}, headers={name: WORD}, list=[{name: WORD}])
    assert WORD not in paper.text
    assert paper.lines[0][name] == "***"


def test_what_only_resembles_a_secret_by_name_is_shown(paper: Paper) -> None:
    structlog.get_logger().info("said", status_code=404, error_code=9709, key="asset", token_id="a1")
    assert WORD not in paper.text
    line = paper.lines[0]
    assert (line["status_code"], line["error_code"], line["key"], line["token_id"]) == (
        404,
        9709,
        "asset",
        "a1",
    )


@pytest.mark.parametrize(
    "value",
    [
        Secret(WORD.encode()),
        SecretStr(WORD),
        WORD.encode(),
        bytearray(WORD.encode()),
        Person(mail=WORD),
        {"inner": Secret(WORD.encode())},
        [WORD.encode()],
        (SecretStr(WORD),),
        frozenset({WORD.encode()}),
        f"Bearer {WORD}",
        f"postgresql://licensing:{WORD}@localhost/licensing",
        f"smtp://relay:{WORD}@mail.example.org:25",
        f"eyJhbGciOiJFUzI1NiJ9.{WORD}.c2ln",
        ValueError(f"postgresql://licensing:{WORD}@localhost"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_secrets_are_never_written(paper: Paper, value: object) -> None:
    structlog.get_logger().info("said", value=value)
    structlog.get_logger().info(f"said {value}" if isinstance(value, str | ValueError) else "said")
    logging.getLogger("library").warning("%s", value if isinstance(value, str | Secret) else "")
    assert len(paper.lines) == 3
    assert WORD not in paper.text


def test_plain_values_are_written_as_they_are(paper: Paper) -> None:
    structlog.get_logger().info("said", a=None, b=True, c=1.5, d=THREAD, e=Color.RED, f=(1, "two"))
    line = paper.lines[0]
    assert [line[name] for name in "abcdef"] == [None, True, 1.5, str(THREAD), "red", [1, "two"]]


async def test_a_traceback_is_written_without_the_value_that_it_complains_of(
    paper: Paper, database: Database
) -> None:
    with pytest.raises(ValidationError) as unreadable:
        Person.model_validate({"mail": [WORD]})
    async with database.transaction() as tx:
        with pytest.raises(asyncpg.DataError) as unstorable:
            await tx.raw.execute("SELECT $1::int", WORD)
    for problem in (unreadable.value, unstorable.value):
        structlog.get_logger().error("failed", exc_info=problem, problem=problem)
    assert WORD not in paper.text
    assert "Input should be a valid string" in paper.lines[0]["exception"]
    assert "invalid input for query argument $1" in paper.lines[1]["exception"]


def test_a_traceback_is_written_without_the_row_that_the_database_repeats(paper: Paper) -> None:
    def refuse() -> None:
        raise ValueError(f"duplicate key\nDETAIL:  Key (mail)=({WORD}@example.org) already exists.")

    try:
        refuse()
    except ValueError:
        structlog.get_logger().exception("refused")
    (line,) = paper.lines
    assert "test_logs.py" in line["exception"]
    assert "ValueError: duplicate key" in line["exception"]
    assert WORD not in paper.text
