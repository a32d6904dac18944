"""The ledger on PostgreSQL: whatever comes in whatever order, and from many hands, the promises hold."""

import asyncio
import os
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from licensing.decide import Repair, Verdict
from licensing.handlers.assets import tell_assets
from licensing.ledger import Ledger
from licensing.model import Happening, Intent, License, Proof
from licensing.schedule import TELL_SECONDS
from licensing.steps.settle import settle
from licensing.store import intents, licenses
from shared.database import Transaction
from shared.events.licensing import AssetChanged
from shared.vault import Vault
from tests.licensing.ledger_machine import BookMachine, LedgerMachine
from tests.licensing.ledger_world import FragileDatabase, LedgerWorld
from tests.licensing.situation import Situation, wishes

Found = tuple[Transaction, Ledger, Intent, list[License]]

EXAMPLES = int(os.environ.get("EXAMPLES", "30"))
"""EXAMPLES=2000 for a thorough run by hand."""


@asynccontextmanager
async def _one_intent(situation: Situation, place: int, *, sent: bool) -> AsyncIterator[Found | None]:
    """Yield one unsettled request with its locked ledger, which is closed at the end; None where there is none."""
    async with situation.database.transaction() as tx:
        ledger = await Ledger.of_pools(tx, [situation.pool_id])
        await tx.raw.execute("DELETE FROM intent WHERE size = 0")  # as its step does
        rows = await tx.raw.fetch(
            "SELECT id FROM intent WHERE (sent_at IS NOT NULL) = $1 ORDER BY kind DESC, id", sent
        )
        if not rows:
            yield None
            return
        intent = await intents.read(tx, rows[place % len(rows)]["id"])
        assert intent is not None
        yield tx, ledger, intent, await licenses.of_intent(tx, intent.intent_id)
        await ledger.close()


@pytest.mark.timeout(600 + 5 * EXAMPLES)
@pytest.mark.parametrize("machine", [LedgerMachine, BookMachine])
def test_the_promises_hold_whatever_happens_in_whatever_order(
    licensing_url: str, vault: Vault, machine: type[LedgerMachine]
) -> None:
    with asyncio.Runner() as runner:  # a loop of its own: Hypothesis calls from outside any
        LedgerWorld.vault, LedgerWorld.runner = vault, runner
        LedgerWorld.database = FragileDatabase(licensing_url, pool_size=1)
        try:
            run_state_machine_as_test(
                machine,
                settings=settings(
                    max_examples=EXAMPLES if machine is LedgerMachine else EXAMPLES // 3,
                    stateful_step_count=30,
                    deadline=None,
                    suppress_health_check=list(HealthCheck),
                    phases=(Phase.generate,),  # shrinking would take minutes: run the printed steps by hand
                ),
            )
        finally:
            runner.run(LedgerWorld.database.close())


async def test_scenario_11_versions_rise_strictly_under_many_writers(situation: Situation) -> None:
    await situation.begin(1000)

    async def write(number: int) -> None:
        await situation.request(*wishes(5, f"W{number}X"))

    async def tell() -> None:
        async with situation.database.transaction() as tx:
            await tell_assets(tx)

    await asyncio.gather(*(write(n) if n % 2 else tell() for n in range(40)))
    await tell()
    told = [envelope for envelope, _ in await situation.told() if envelope.type == "AssetChanged"]
    versions = [envelope.sequence or 0 for envelope in told]
    assert versions == sorted(set(versions))
    assert (await situation.pool())["held"] == 100


async def test_many_changes_of_an_asset_are_told_once_when_the_clock_calls(situation: Situation) -> None:
    await situation.begin(10)
    for target in wishes(3):
        await situation.request(target)
    for _ in range(2):
        async with situation.database.transaction() as tx:
            await tell_assets(tx)
    (event,) = [event for _, event in await situation.told() if isinstance(event, AssetChanged)]
    assert (event.pools[0].held, event.pools[0].available) == (3, 7)
    assert TELL_SECONDS >= 1


async def test_scenario_10_overlapping_sets_from_many_hands_do_not_deadlock(situation: Situation) -> None:
    await situation.begin(30)
    targets = wishes(60)
    dice = random.Random(7)
    await situation.request(*targets[:40])

    async def some(number: int) -> None:
        chosen = dice.sample(targets, 25)
        match number % 3:
            case 0:
                await situation.request(*chosen)
            case 1:
                await situation.revoke(*chosen[:5])
            case _:
                async with _one_intent(situation, number, sent=number % 2 == 0) as found:
                    if found is not None and found[2].sent_at is None:
                        await intents.mark_sent(found[0], found[2].intent_id)
                    elif found is not None:
                        tx, ledger, intent, members = found
                        await settle(
                            tx,
                            ledger,
                            intent,
                            members,
                            Repair(Proof.EVENT, {Verdict(Happening.DONE): members}),
                        )

    await asyncio.gather(*(some(number) for number in range(60)))
    await situation.check()
