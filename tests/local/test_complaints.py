"""What a person is told of the logs when the story failed."""

import json
from pathlib import Path

from local.complaints import complaints


def line(level: str, event: str, **more: str) -> str:
    return json.dumps({"service": "licensing", "level": level, "event": event, **more}) + "\n"


def test_each_log_with_errors_gets_one_line_with_the_last_of_them(tmp_path: Path) -> None:
    (tmp_path / "licensing.log").write_text(
        line("error", "first") + line("info", "between") + line("error", "the step broke")
    )
    (tmp_path / "mdm-push.log").write_text(line("critical", "gone"))
    assert complaints(tmp_path) == [
        "licensing.log: 2 errors, the last: the step broke",
        "mdm-push.log: one error, the last: gone",
    ]


def test_a_traceback_is_told_by_its_last_line_where_the_error_stands(tmp_path: Path) -> None:
    exception = "Traceback (most recent call last):\n  File ...\nValueError: no such thing\n"
    (tmp_path / "licensing.log").write_text(line("error", "a batch failed", exception=exception))
    [told] = complaints(tmp_path)
    assert told.endswith("the last: a batch failed (ValueError: no such thing)")


def test_a_calm_run_and_lines_of_other_programs_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "box.log").write_text('{"apple": {}}\nTraceback, perhaps\n[1, 2]\n' + line("warning", "hm"))
    assert complaints(tmp_path) == []
