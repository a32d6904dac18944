"""Records are gone before anybody read them: whoever asked asks again, and everything settles (promise 4)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from tests.failures.grounds import Grounds, until
from tests.failures.school import School, opened

IPADS = 25
APPS = 4
TO_THE_END = -1
DROP = """
CREATE SEQUENCE dropped;
CREATE FUNCTION drop_some() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF random() >= 0.01 THEN RETURN NEW; END IF;
    PERFORM nextval('dropped');
    RETURN NULL;
END $$;
CREATE TRIGGER drop_some BEFORE INSERT ON outbox FOR EACH ROW EXECUTE FUNCTION drop_some();
"""
TALKATIVE = ("assignment", "licensing", "mdm-push")


async def test_scenario_18_services_were_away_longer_than_topics_keep_records_and_everything_settles(
    grounds: Grounds,
) -> None:
    async with opened(grounds) as school:
        await school.buy(apps=3, licenses=IPADS)
        await school.enroll(IPADS)
        await wishes_are_lost(grounds, school, school.apps[0])
        await school.settled({"installed": IPADS})
        await confirmations_are_lost(grounds, school, school.apps[1])
        await school.settled({"installed": 2 * IPADS})
        await installs_are_lost(grounds, school, school.apps[2])
        await school.settled({"installed": 3 * IPADS})
        assert await school.installed() == 3 * IPADS
        assert await school.commanded("InstallApplication") == 3 * IPADS
        for app in school.apps:
            pool = await school.sights.pool(app)
            assert (pool["held"], pool["available"]) == (IPADS, 0)
    noticed = [line for line in grounds.errors() if "records are gone, asking again" in line]
    assert any('"service": "assignment"' in line for line in noticed)
    assert grounds.errors() == noticed


async def test_scenario_25_one_event_in_a_hundred_is_dropped_by_hand_and_every_entitlement_settles(
    grounds: Grounds,
) -> None:
    async with opened(grounds) as school:
        await school.buy(apps=APPS, licenses=IPADS)
        await school.enroll(IPADS)
        async with dropping(grounds):
            given = [
                assignment
                for app in school.apps
                for serial in school.ipads
                for assignment in await school.assign(app, [serial])
            ]
            await replayed_until(grounds, school.states, {"installed": len(given)})
            assert await school.installed() == len(given)
            for assignment in given:
                await school.doors.assignment.delete(f"/v1/assignments/{assignment}")
            await replayed_until(grounds, school.states, {"revoked": len(given)})
            assert sum((await dropped(grounds)).values()) > 0
        await replayed_until(grounds, school.installed, 0)  # a removal that was lost is asked for again too
        for app in school.apps:
            pool = await school.sights.pool(app)
            assert (pool["held"], pool["available"]) == (0, IPADS)
    assert grounds.errors() == []


async def wishes_are_lost(grounds: Grounds, school: School, app: str) -> None:
    """Licensing is away while assignment asks; somebody replays what is open, as its deadlines would."""
    await school.stop("licensing")
    await school.assign(app, school.ipads)
    await school.all_told("assignment")
    await forget(grounds, "assignment.events")
    await school.start("licensing")
    await grounds.run("assignment", "replay", "--open")


async def confirmations_are_lost(grounds: Grounds, school: School, app: str) -> None:
    """Assignment is away while Apple confirms; it notices by itself what it missed, and asks again."""
    await school.doors.apple.patch("/knobs", {"hold_events": True})
    await school.assign(app, school.ipads)
    await school.settled({"installed": IPADS, "reserved": IPADS})
    await school.stop("assignment")
    await school.doors.apple.patch("/knobs", {"hold_events": False})
    await until(lambda: confirmed(grounds), lambda count: count == 2 * IPADS, seconds=60)
    await school.all_told("licensing")
    await forget(grounds, "licensing.events")
    await school.start("assignment")


async def installs_are_lost(grounds: Grounds, school: School, app: str) -> None:
    """mdm-push is away while assignment asks for installs."""
    await school.stop("mdm-push")
    await school.assign(app, school.ipads)
    await school.settled({"installed": 2 * IPADS, "delivering": IPADS})
    await school.all_told("assignment")
    await forget(grounds, "assignment.events")
    await school.start("mdm-push")
    await grounds.run("assignment", "replay", "--open")


@asynccontextmanager
async def dropping(grounds: Grounds) -> AsyncIterator[None]:
    """Drop one event in a hundred of every service on its way into the outbox."""
    for service in TALKATIVE:
        await grounds.execute(service, DROP)
    yield
    for service in TALKATIVE:
        await grounds.execute(service, "DROP TRIGGER drop_some ON outbox")


async def dropped(grounds: Grounds) -> dict[str, int]:
    """Return how many events each service lost so."""
    return {
        service: await grounds.count(
            service, "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM dropped"
        )
        for service in TALKATIVE
    }


async def replayed_until(grounds: Grounds, look: Callable[[], Awaitable[object]], wanted: object) -> None:
    """Have assignment ask again for what is open, as its deadlines would, until this is what is seen."""
    async with asyncio.timeout(150):
        while await look() != wanted:
            await asyncio.sleep(2)
            await grounds.run("assignment", "replay", "--open")


async def forget(grounds: Grounds, topic: str) -> None:
    """Have Kafka delete every record of a topic, as it does when they are too old."""
    admin = AIOKafkaAdminClient(**grounds.kafka.options())
    await admin.start()
    try:
        [described] = await admin.describe_topics([topic])
        places = [TopicPartition(topic, each["partition"]) for each in described["partitions"]]
        await admin.delete_records({place: RecordsToDelete(before_offset=TO_THE_END) for place in places})
    finally:
        await admin.close()


async def confirmed(grounds: Grounds) -> int:
    """Return how many licences Apple confirmed."""
    return await grounds.count("licensing", "SELECT count(*) FROM license WHERE state = 'assigned'")
