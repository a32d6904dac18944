"""What the fault tests share: for each of them Apache Kafka, the box, and services to stop, freeze and kill."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from local.broker import ApacheBroker, apache_available
from tests.conftest import CACHE, NewDatabase
from tests.failures.grounds import Grounds

HERE = Path(__file__).parent
SECONDS = 600


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give these tests more time: a group of consumers alone takes up to its session's end to regroup."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.timeout(SECONDS))


@pytest.fixture
async def apache(tmp_path: Path) -> AsyncIterator[ApacheBroker]:
    """A node for one test alone: topics and consumer groups have the same names in all."""
    if not apache_available():
        pytest.fail("the fault tests need Apache Kafka, and so java and mvn on the PATH")
    node = ApacheBroker(tmp_path / "kafka", cache=CACHE)
    await node.start()
    yield node
    await asyncio.shield(node.discard())


@pytest.fixture
async def grounds(apache: ApacheBroker, new_database: NewDatabase, tmp_path: Path) -> AsyncIterator[Grounds]:
    """Ground for services; what still runs at the end is stopped."""
    async with Grounds.opened(tmp_path, broker=apache, new_database=new_database) as grounds:
        yield grounds
