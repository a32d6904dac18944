"""Waking devices: claim who is due, call APNs with no transaction open, write the outcome. Several sets at a time."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

import structlog

from mdm_push.decide.breaker import Breaker
from mdm_push.decide.pushes import TOPIC_PAUSE_SECONDS, answered, unanswered
from mdm_push.decide.words import slug
from mdm_push.handlers.means import Means
from mdm_push.model import Credentials, PushAnswer, PushCertificate, PushOutcome, WakeUp
from mdm_push.store import certificates, pushes
from shared import outbox
from shared.database import Database, unavailable
from shared.errors import Unavailable
from shared.events import Outgoing
from shared.events.mdm_push import DevicePushed
from shared.metrics import PUSHES
from shared.retry import Backoff
from shared.vault import Secret, Vault

_log = structlog.get_logger(__name__)


class PushService(Protocol):
    """APNs, as the pusher needs it."""

    @property
    def certificate_ids(self) -> frozenset[UUID]:
        """Return the certificates in use."""
        ...

    def use(self, credentials: Collection[Credentials]) -> None:
        """Send with these from now on."""
        ...

    def topics(self) -> list[str]:
        """Return the topics that can be sent for now."""
        ...

    def pause(self, topic: str, seconds: float) -> None:
        """Send nothing for a topic for a while."""
        ...

    async def push(self, topic: str, *, token: bytes, magic: bytes) -> PushAnswer:
        """Wake one channel. Raises Unavailable."""
        ...


@dataclass(frozen=True, slots=True)
class PusherSettings:
    """`lanes` sets of up to `batch` wake-ups are under way at a time; a slow answer holds up its own set only.

    The lease is longer than a push can take: a set whose process died is taken up again after it.
    """

    lanes: int = 4
    batch: int = 100
    poll_seconds: float = 0.25
    lease_seconds: float = 60.0
    certificates_seconds: float = 2.0


class Pusher:
    """Sends due wake-ups until it is stopped; rung after a commit it does so at once."""

    def __init__(
        self, database: Database, apns: PushService, means: Means, settings: PusherSettings | None = None
    ) -> None:
        self._database = database
        self._apns = apns
        self._means = means
        self._settings = settings or PusherSettings()
        self._breaker = Breaker()
        self._turned_at = database.clock.monotonic()

    def progressing(self) -> bool:
        """Say whether the lanes still turn."""
        return self._database.clock.monotonic() - self._turned_at < 120

    async def run(self, stop: asyncio.Event) -> None:
        """Send until `stop` is set; what is with APNs then is still answered and written back."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_certificates(stop))
            for _ in range(self._settings.lanes):
                tasks.create_task(self._lane(stop))

    async def send_due(self) -> int:
        """Send one set of due wake-ups; return how many it was."""
        topics = self._apns.topics()
        if not topics:
            return 0
        async with self._database.transaction() as tx:
            due = await pushes.claim(
                tx,
                topics=topics,
                lease_seconds=self._settings.lease_seconds,
                limit=self._settings.batch,
            )
        if due:
            answers = await asyncio.gather(*(self._send(wake) for wake in due))
            await self._settle(due, self._judge(due, answers))
        return len(due)

    async def load_certificates(self) -> None:
        """Send with the certificates that are stored now, if they are other ones."""
        async with self._database.reading() as tx:
            if await certificates.ids_in_use(tx) == self._apns.certificate_ids:
                return
            stored = await certificates.in_use(tx)
        self._apns.use([_opened(each, self._means.vault) for each in stored])
        self._means.pusher.ring()

    async def _lane(self, stop: asyncio.Event) -> None:
        trouble = Backoff()
        while not stop.is_set():
            self._turned_at = self._database.clock.monotonic()
            try:
                sent = await self.send_due()
            except Exception as error:
                if not unavailable(error):
                    raise
                _log.warning("wake-ups wait", cause=type(error).__name__)
                await asyncio.sleep(trouble.next())
                continue
            trouble.reset()
            if not sent:
                await self._means.pusher.wait(self._settings.poll_seconds)

    async def _keep_certificates(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                await self.load_certificates()
            except Exception as error:
                if not unavailable(error):
                    raise
                _log.warning("push certificates cannot be read now", cause=type(error).__name__)
            try:
                async with asyncio.timeout(self._settings.certificates_seconds):
                    await stop.wait()
            except TimeoutError:
                continue

    async def _send(self, wake: WakeUp) -> PushAnswer | PushOutcome:
        """Send one wake-up; return what APNs answered, or what follows where it did not."""
        now = self._database.clock.now
        try:
            answer = await self._apns.push(
                wake.topic,
                token=self._open(wake, wake.token, "push_token"),
                magic=self._open(wake, wake.magic, "push_magic"),
            )
        except Unavailable as error:
            PUSHES.labels("none").inc()
            wait = error.retry_after_seconds
            return unanswered(wake, error.reason, retry_after_seconds=wait, now=now(), jitter=_jitter())
        except Exception as error:  # noqa: BLE001 - one wake-up's fault, a seal that does not open, ends no other
            PUSHES.labels("none").inc()
            name = type(error).__name__
            _log.error("a wake-up failed", enrollment_id=str(wake.enrollment_id), error=name)
            return unanswered(wake, slug(name), retry_after_seconds=None, now=now(), jitter=_jitter())
        PUSHES.labels("accepted" if answer.accepted else answer.reason or str(answer.status)).inc()
        return answer

    def _judge(self, due: Sequence[WakeUp], answers: Sequence[PushAnswer | PushOutcome]) -> list[PushOutcome]:
        """Judge a set once all of it is heard: one bad token is the token's fault, a row of them is ours."""
        for wake, answer in zip(due, answers, strict=True):
            if isinstance(answer, PushAnswer):
                self._breaker.hear(wake.topic, answer)
        return [
            self._judge_one(wake, answer) if isinstance(answer, PushAnswer) else answer
            for wake, answer in zip(due, answers, strict=True)
        ]

    def _judge_one(self, wake: WakeUp, answer: PushAnswer) -> PushOutcome:
        judged = answered(
            wake,
            answer,
            doubted=self._breaker.doubts(wake.topic),
            now=self._database.clock.now(),
            patience=self._means.patience,
            jitter=_jitter(),
        )
        if judged.pauses_topic or (answer.bad_token and self._breaker.open(wake.topic)):
            self._hold_back(wake.topic, answer)
        return judged.outcome

    def _hold_back(self, topic: str, answer: PushAnswer) -> None:
        """Send nothing for a topic for a while, and say so once."""
        if topic in self._apns.topics():
            _log.error("APNs refuses the topic", topic=topic, status=answer.status, reason=answer.reason)
        self._apns.pause(topic, TOPIC_PAUSE_SECONDS)

    def _open(self, wake: WakeUp, sealed: bytes, column: str) -> bytes:
        vault = self._means.vault
        return vault.open(sealed, table="enrollments", column=column, row_id=wake.enrollment_id).reveal()

    async def _settle(self, due: Sequence[WakeUp], outcomes: Sequence[PushOutcome]) -> None:
        """Write the outcomes of a set back, and tell whom APNs took, one set per thread."""
        woken: dict[UUID, list[UUID]] = defaultdict(list)
        for wake, outcome in zip(due, outcomes, strict=True):
            if outcome.pushed_at is not None:
                woken[wake.correlation_id].append(wake.enrollment_id)
        async with self._database.transaction() as tx:
            await pushes.settle(tx, outcomes)
            told = [
                Outgoing(DevicePushed(enrollment_ids=tuple(ids), pushed_at=tx.now), thread)
                for thread, ids in woken.items()
            ]
            await outbox.append(tx, told)


def _jitter() -> float:
    return random.uniform(0.8, 1.2)  # noqa: S311 - spreads load, guards nothing


def _opened(certificate: PushCertificate, vault: Vault) -> Credentials:
    key = vault.open(
        certificate.private_key, table="push_certificates", column="private_key", row_id=certificate.id
    )
    pem = certificate.certificate_pem.rstrip() + b"\n" + key.reveal()
    return Credentials(certificate.id, certificate.topic, Secret(pem))
