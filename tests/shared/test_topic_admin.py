import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from local.broker import Broker, EmbeddedBroker
from shared.errors import SettingsError, Unavailable
from shared.ids import new_id
from shared.kafka import KafkaConnection
from shared.topic_admin import check_topics, ensure_topics
from shared.topics import PARTITIONS, Topic


@pytest.fixture
def real(broker: Broker, kafka: KafkaConnection) -> KafkaConnection:
    if isinstance(broker, EmbeddedBroker):
        pytest.skip("the embedded broker makes topics when they are named")
    return kafka


def topic(**kind: bool) -> Topic:
    return Topic(f"topic-{new_id()}", **kind)


async def settings_of(kafka: KafkaConnection, name: str) -> dict[str, str]:
    """Return what the broker says of a topic: partitions, and its settings that are no defaults."""
    from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType  # noqa: PLC0415

    admin = AIOKafkaAdminClient(**kafka.options())
    await admin.start()
    try:
        [answer] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
        [(_, _, _, _, entries)] = answer.resources
        [described] = await admin.describe_topics([name])
        return {"partitions": str(len(described["partitions"])), **{entry[0]: entry[1] for entry in entries}}
    finally:
        await admin.close()


async def test_missing_topics_are_created_as_they_are_to_be_for_ever(real: KafkaConnection) -> None:
    plain, people = topic(), topic(compacted=True)
    await ensure_topics(real, [plain, people])
    await ensure_topics(real, [plain, people])  # and again, as each release does
    assert (await settings_of(real, plain.name)).items() >= {
        ("partitions", str(PARTITIONS)),
        ("cleanup.policy", "delete"),
        ("retention.ms", str(7 * 24 * 3_600_000)),
    }
    assert (await settings_of(real, people.name))["cleanup.policy"] == "compact"


async def test_a_narrower_topic_refuses_the_start_by_its_name(real: KafkaConnection) -> None:
    narrow = topic()
    admin = AIOKafkaAdminClient(**real.options())
    await admin.start()
    await admin.create_topics([NewTopic(narrow.name, 3, 1)])
    await admin.close()
    with pytest.raises(SettingsError, match=f"topic {narrow.name} has 3 partitions and needs {PARTITIONS}"):
        await ensure_topics(real, [topic(), narrow])


async def test_a_missing_topic_refuses_the_start_by_its_name(real: KafkaConnection) -> None:
    missing = topic()
    with pytest.raises(SettingsError, match=f"topic {missing.name} is missing: create it"):
        await check_topics(real, [missing])


async def test_the_embedded_broker_makes_topics_when_they_are_named(embedded_broker: EmbeddedBroker) -> None:
    kafka = KafkaConnection(embedded_broker.bootstrap_servers, keeps_log=False)
    await ensure_topics(kafka, [topic(), topic(compacted=True)])


async def test_a_broker_that_is_away_is_unavailable_and_no_missing_topic(mortal: EmbeddedBroker) -> None:
    kafka = KafkaConnection(mortal.bootstrap_servers, keeps_log=False, request_seconds=1)
    mortal.down()
    with pytest.raises(Unavailable):
        await ensure_topics(kafka, [topic()])
