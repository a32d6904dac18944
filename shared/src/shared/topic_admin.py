"""Makes a service's topics where it may; else a missing or narrower one refuses the start, by name."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

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

_LOOKS = 100
_LOOK_SECONDS = 0.05


async def ensure_topics(kafka: KafkaConnection, topics: Sequence[Topic]) -> None:
    """Create the topics that are missing, where that is allowed, then check all of them.

    Raises what `check_topics` raises. The broker in memory makes topics when they are named.
    """
    async with _admin(kafka) as admin:
        if kafka.keeps_log:
            await _create(admin, topics)
        await _check(admin, topics, PARTITIONS if kafka.keeps_log else _EMBEDDED_PARTITIONS)


async def check_topics(kafka: KafkaConnection, topics: Sequence[Topic]) -> None:
    """Raise SettingsError, naming a topic that is missing or has fewer partitions than it needs.

    Raises Unavailable where the broker does not answer.
    """
    async with _admin(kafka) as admin:
        await _check(admin, topics, PARTITIONS if kafka.keeps_log else _EMBEDDED_PARTITIONS)


@asynccontextmanager
async def _admin(kafka: KafkaConnection) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(**kafka.options())
    try:
        await admin.start()
        yield admin
    except (KafkaError, OSError) as error:
        raise Unavailable(f"the broker does not answer: {type(error).__name__}") from error
    finally:
        await admin.close()


async def _create(admin: AIOKafkaAdminClient, topics: Sequence[Topic]) -> None:
    """Create what is missing; where that is not allowed, what exists will be judged."""
    there = set(await admin.list_topics())
    missing = [topic for topic in topics if topic.name not in there]
    if not missing:
        return
    replicas = min(_REPLICAS, len((await admin.describe_cluster())["brokers"]))
    answer = await admin.create_topics([_new(topic, replicas) for topic in missing])
    refused = {name: for_code(code) for name, code, *_ in answer.topic_errors if code}
    for name, error in refused.items():
        if error is not TopicAlreadyExistsError:
            _log.warning("a topic could not be created", topic=name, cause=error.__name__)
    await _until_known(admin, {topic.name for topic in missing} - refused.keys())


def _new(topic: Topic, replicas: int) -> NewTopic:
    """Return the order for a topic; where there are copies, what is acknowledged survives the loss of a broker."""
    safety = {"min.insync.replicas": "2"} if replicas >= _REPLICAS else {}
    return NewTopic(topic.name, PARTITIONS, replicas, topic_configs={**topic.settings(), **safety})


async def _until_known(admin: AIOKafkaAdminClient, names: Iterable[str]) -> None:
    """Wait until the broker tells of the topics that it has just made, which it does a moment later."""
    for _ in range(_LOOKS):
        if all((await _partitions(admin, names)).values()):
            return
        await asyncio.sleep(_LOOK_SECONDS)


async def _check(admin: AIOKafkaAdminClient, topics: Sequence[Topic], wanted: int) -> None:
    for name, found in (await _partitions(admin, [topic.name for topic in topics])).items():
        if found < wanted:
            said = f"has {found} partitions and needs {wanted}" if found else "is missing"
            raise SettingsError(
                f"topic {name} {said}: create it so, or let this service's Kafka principal create it"
            )


async def _partitions(admin: AIOKafkaAdminClient, names: Iterable[str]) -> dict[str, int]:
    """Return the number of partitions of each of these topics, 0 for one that is missing."""
    described = {each["topic"]: each["partitions"] for each in await admin.describe_topics(list(names))}
    return {name: len(described.get(name, ())) for name in names}
