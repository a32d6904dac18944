"""The filters of the list of entitlements, on as many rows as a school of 1,000 iPads comes to: each has its index."""

from uuid import UUID

import pytest

from assignment.model import IN_TROUBLE, State
from assignment.queries.entitlements import Wanted, select_entitlements
from assignment.tables import entitlements
from shared.database import Database
from shared.ids import new_id
from tests.assignment.world import World

ASSET, REQUEST = new_id(), new_id()


@pytest.fixture
async def fleet(database: Database) -> World:
    """100,000 lives: one of a hundred is of the asset and the request looked for, one of a thousand has failed."""
    world = World(database)
    await world.fetch(
        """
        INSERT INTO entitlements (id, asset_id, device_id, serial_number, request_id, state, assignment_mode,
            install_mode, priority, no_wait, version, losses, steps, created_at, changed_at, ended_at)
        SELECT gen_random_uuid(), CASE WHEN n % 100 = 1 THEN $1 ELSE gen_random_uuid() END, gen_random_uuid(), 'C02X',
            CASE WHEN n % 100 = 2 THEN $2 ELSE gen_random_uuid() END,
            CASE WHEN n % 1000 = 1 THEN 'failed' ELSE 'installed' END,
            'device', 'automatic', 0, false, 1, 0, '{}', now(), now(), CASE WHEN n % 1000 = 1 THEN now() END
        FROM generate_series(1, 100000) AS n
        """,
        ASSET,
        REQUEST,
    )
    await world.fetch("ANALYZE entitlements")
    return world


async def test_each_filter_of_the_list_has_its_index(fleet: World) -> None:
    served = {
        "entitlements_by_asset": Wanted(asset_id=ASSET),
        "entitlements_by_request": Wanted(request_id=REQUEST),
        "entitlements_one_living": Wanted(device_id=new_id()),
        "entitlements_in_trouble": Wanted(state=State.FAILED),
        "entitlements_pkey": Wanted(state=State.INSTALLED),
    }
    for index, wanted in served.items():
        assert index in await _plan(fleet, wanted), wanted
    for state in IN_TROUBLE:
        assert "entitlements_in_trouble" in await _plan(fleet, Wanted(state=state))
    both = await _plan(fleet, Wanted(state=State.FAILED, asset_id=ASSET))
    assert "entitlements_in_trouble" in both or "entitlements_by_asset" in both


async def _plan(world: World, wanted: Wanted) -> str:
    """Return how PostgreSQL reads the second page of a list."""
    page = (
        select_entitlements(wanted).where(entitlements.c.id > UUID(int=1 << 120)).order_by(entitlements.c.id)
    )
    statement = page.limit(101).compile(
        dialect=world.database.engine.dialect, compile_kwargs={"literal_binds": True}
    )
    rows = await world.fetch(f"EXPLAIN {statement}")
    return "\n".join(row["QUERY PLAN"] for row in rows)
