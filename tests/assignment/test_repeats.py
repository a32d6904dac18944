"""A POST that is sent twice: the first answer again, another body refused, and one that is still under way."""

import asyncio
from typing import Any

import pytest

from tests.assignment.door import Door
from tests.assignment.world import World

CREATING = [
    ("/v1/users", {"name": "Camille Martin"}, "users"),
    ("/v1/device-groups", {"name": "iPads of 3B"}, "device_groups"),
]


@pytest.mark.parametrize(("path", "body", "table"), CREATING)
async def test_a_repeat_gets_the_first_answer_and_makes_nothing_twice(
    world: World, door: Door, path: str, body: dict[str, Any], table: str
) -> None:
    headers = door.headers(**{"idempotency-key": "monday"})
    first = await door.call("POST", path, json=body, headers=headers)
    again = await door.call("POST", path, json=body, headers=headers)
    assert first.status_code == again.status_code == 201
    assert again.json() == first.json()
    assert len(await world.fetch(f"SELECT id FROM {table}")) == 1


@pytest.mark.parametrize(("path", "body", "table"), CREATING)
async def test_a_key_that_comes_with_another_body_is_answered_422(
    world: World, door: Door, path: str, body: dict[str, Any], table: str
) -> None:
    headers = door.headers(**{"idempotency-key": "monday"})
    await door.call("POST", path, json=body, headers=headers)
    other = await door.call("POST", path, json={"name": "somebody else"}, headers=headers)
    assert (other.status_code, other.json()["type"].rpartition(":")[2]) == (422, "idempotency_key_reused")
    assert len(await world.fetch(f"SELECT id FROM {table}")) == 1


async def test_a_key_counts_for_its_own_route_only(world: World, door: Door) -> None:
    headers = door.headers(**{"idempotency-key": "monday"})
    for path, _, table in CREATING:
        made = await door.call("POST", path, json={"name": "Camille"}, headers=headers)
        assert made.status_code == 201
        assert len(await world.fetch(f"SELECT id FROM {table}")) == 1


@pytest.mark.parametrize(("path", "body", "table"), CREATING)
async def test_a_repeat_while_the_first_is_under_way_is_answered_409(
    world: World, door: Door, path: str, body: dict[str, Any], table: str
) -> None:
    headers = door.headers(**{"idempotency-key": "monday"})
    async with world.database.transaction() as tx:
        await tx.raw.execute(f"LOCK TABLE {table} IN EXCLUSIVE MODE")
        first = asyncio.ensure_future(door.call("POST", path, json=body, headers=headers))
        await _until_somebody_waits(world, table)
        second = await door.call("POST", path, json=body, headers=headers)
    assert (second.status_code, second.json()["type"].rpartition(":")[2]) == (409, "still_running")
    made = await first
    assert made.status_code == 201
    third = await door.call("POST", path, json=body, headers=headers)
    assert (third.status_code, third.json()) == (201, made.json())
    assert len(await world.fetch(f"SELECT id FROM {table}")) == 1


async def _until_somebody_waits(world: World, table: str) -> None:
    """Return once a transaction waits for this table."""
    for _ in range(200):
        if await world.fetch("SELECT FROM pg_locks WHERE relation = $1::regclass AND NOT granted", table):
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"nobody waits for {table}")
