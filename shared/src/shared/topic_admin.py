"""Makes a service's topics where it may; else a missing or narrower one refuses the start, by name."""

from collections.abc import Sequence

import structlog
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from shared.errors import SettingsError, Unavailable
from shared.kafka import KafkaConnection
from shared.topics import PARTITIONS, Topic

_log = structlog.get_logger(__name__)

_EMBEDDED_PARTITIONS = 4
_REPLICAS = 3
"""As many copies as a cluster keeps of each topic; a smaller cluster keeps one per broker."""


async def ensure_topics(kafka: KafkaConnection, topics: Sequence[Topic]) -> None:
    """Create the topics that are missing, then check all of them.

    Raises SettingsError naming a topic that is missing or has fewer partitions than it needs, and
    Unavailable where the broker does not answer. The broker in memory makes topics when they are named.
    """
    admin = AIOKafkaAdminClient(**kafka.options())
    try:
        await admin.start()
        if kafka.keeps_log:
            await _create(admin, topics)
        found = {
            each["topic"]: each for each in await admin.describe_topics([topic.name for topic in topics])
        }
    except (KafkaError, OSError) as error:
        raise Unavailable(f"the broker does not answer: {type(error).__name__}") from error
    finally:
        await admin.close()
    wanted = PARTITIONS if kafka.keeps_log else _EMBEDDED_PARTITIONS
    for topic in topics:
        _check(topic, len(found.get(topic.name, {}).get("partitions", ())), wanted)


async def _create(admin: AIOKafkaAdminClient, topics: Sequence[Topic]) -> None:
    """Create what is missing; where that is not allowed, what exists will be judged."""
    there = set(await admin.list_topics())
    missing = [topic for topic in topics if topic.name not in there]
    if not missing:
        return
    replicas = min(_REPLICAS, len((await admin.describe_cluster())["brokers"]))
    answer = await admin.create_topics(
        [NewTopic(topic.name, PARTITIONS, replicas, topic_configs=topic.settings()) for topic in missing]
    )
    for name, code, *_ in answer.topic_errors:
        if code and for_code(code) is not TopicAlreadyExistsError:
            _log.warning("a topic could not be created", topic=name, cause=for_code(code).__name__)


def _check(topic: Topic, partitions: int, wanted: int) -> None:
    if partitions < wanted:
        raise SettingsError(
            f"topic {topic.name} has {partitions} partitions and needs {wanted}: "
            "create it so, or let this service's Kafka principal create it"
        )
