import asyncio
import os
from pathlib import Path

import pytest

from local.broker.maven import KAFKA_VERSION, fetch_kafka

COUNTING = """#!/bin/sh
echo fetched >> "$0.calls"
for each; do case "$each" in -DoutputDirectory=*) folder="${each#*=}" ;; esac; done
mkdir -p "$folder" && sleep 0.3 && : > "$folder/kafka.jar"
"""

FAILING = """#!/bin/sh
echo 'Could not resolve org.apache.kafka' && exit 1
"""


@pytest.fixture
def maven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program called mvn that comes first on the PATH and does as little as the test tells it."""
    program = tmp_path / "bin" / "mvn"
    program.parent.mkdir()
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return program


def jars_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def test_two_who_want_the_jars_at_once_fetch_them_once(tmp_path: Path, maven: Path) -> None:
    await asyncio.to_thread(maven.write_text, COUNTING)
    fetches = (asyncio.to_thread(fetch_kafka, tmp_path / "cache") for _ in range(3))
    folders = set(await asyncio.gather(*fetches))
    assert len(folders) == 1
    assert [path.name for path in jars_in(*folders)] == ["kafka.jar"]
    assert maven.with_name("mvn.calls").read_text() == "fetched\n"


def test_a_failed_fetch_says_why_and_leaves_nothing_half_done(tmp_path: Path, maven: Path) -> None:
    maven.write_text(FAILING)
    with pytest.raises(RuntimeError, match=rf"Apache Kafka {KAFKA_VERSION}(?s:.*)Could not resolve"):
        fetch_kafka(tmp_path)
    maven.write_text(COUNTING)
    assert (fetch_kafka(tmp_path) / "kafka.jar").exists()


def test_the_project_names_coordinates_and_no_repository(tmp_path: Path, maven: Path) -> None:
    maven.write_text(COUNTING)
    fetch_kafka(tmp_path)
    project = (tmp_path / "maven" / "pom.xml").read_text()
    assert f"<version>{KAFKA_VERSION}</version>" in project
    assert "repositor" not in project
