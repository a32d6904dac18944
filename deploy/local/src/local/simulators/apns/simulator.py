"""The push service as a whole: one of its two doors, its judgement of each push, and its admin door."""

import random
import uuid
from collections import Counter, deque
from dataclasses import dataclass
from typing import NamedTuple

from local.simulators.apns import fast
from local.simulators.apns.admin import CourierLine, admin_door
from local.simulators.apns.connection import ApnsConnection, Wiring
from local.simulators.apns.fast import FastDoor
from local.simulators.apns.provider_tokens import ProviderTokens
from local.simulators.apns.registry import Push, Registry
from local.simulators.apns.rules import RefusedError, Request, Rules
from local.simulators.apns.script import Answer, GoAway, LimitStreams, Mischief, Reaction, Script
from local.simulators.apns.scripted import ScriptedDoor
from local.simulators.apns.settings import ApnsSettings
from local.simulators.serving import HOST
from local.simulators.simulator import Simulator

ACCEPTED = Answer(200)
TOKEN_SHOWN = 8  # characters of a token, to whoever watches the requests


@dataclass(frozen=True, slots=True)
class SeenPush:
    """A push that was well-formed, and what it was answered (`None`: no HTTP answer at all)."""

    push: Push
    status: int | None
    reason: str | None


class SeenRequest(NamedTuple):
    """Any request as it can be watched: no magic, and of its token only the beginning. `at` is seconds since 1970."""

    at: float
    token: str
    topic: str
    status: int | None
    reason: str | None


class ApnsSimulator(Simulator):
    """APNs for MDM. `registry` knows the tokens, `script` the mischief, `pushes` and `requests` what was sent.

    `connections`, `limit_streams`, `go_away` and `turn_away` are the scripted door's: nothing comes of them at the
    fast one.
    """

    def __init__(self, settings: ApnsSettings) -> None:
        super().__init__()
        self.settings = settings
        self.registry = Registry(settings.clock)
        self.provider_tokens = ProviderTokens(settings.clock)
        self.script = Script()
        self.pushes: deque[SeenPush] = deque(maxlen=settings.pushes_kept)
        self.requests: deque[SeenRequest] = deque(maxlen=settings.pushes_kept)
        self.answers: Counter[str] = Counter()  # to all requests
        self._dice = random.Random(settings.seed)
        self._rules = Rules(
            settings.required_headers, settings.storage_seconds, self.provider_tokens, settings.strict_mdm
        )
        self._wiring = Wiring(
            react=self.react,
            mint_id=self._mint_id,
            max_concurrent_streams=settings.max_concurrent_streams,
            latency_seconds=settings.latency_seconds,
        )
        self._door: ScriptedDoor | FastDoor | None = None
        self._courier_lines: set[CourierLine] = set()

    async def _open(self) -> None:
        if self.settings.door == "fast":
            self._door = await FastDoor.open(self.settings, self.react, self._mint_id)
        else:
            self._door = await ScriptedDoor.open(self.settings, self._wiring)
        self._stack.push_async_callback(self._door.close)
        await self._open_admin_door(admin_door(self, self._courier_lines), self.settings.admin_port)
        self._stack.callback(self._end_courier_lines)

    def _end_courier_lines(self) -> None:
        for line in self._courier_lines:
            line.put_nowait(None)

    @property
    def port(self) -> int:
        """The port of the push door."""
        if self._door is None:
            raise RuntimeError("the push service is not started")
        return self._door.port

    @property
    def url(self) -> str:
        """Where a sender posts to `/3/device/<token>`."""
        return f"https://{HOST}:{self.port}"

    @property
    def connections(self) -> set[ApnsConnection]:
        """The open connections."""
        return self._wiring.open_connections

    @property
    def connections_accepted(self) -> int:
        """How many connections came through the TLS handshake, those that were turned away among them."""
        return self._wiring.accepted

    def can(self, mischief: Mischief) -> bool:
        """Say whether the door that is open is able to do this."""
        return self.settings.door == "scripted" or fast.can(mischief)

    def limit_streams(self, max_concurrent_streams: int) -> None:
        """Tell all open connections a new MAX_CONCURRENT_STREAMS."""
        for connection in list(self.connections):
            connection.limit_streams(max_concurrent_streams)

    def go_away(self, message: GoAway | None = None, *, last_stream: int | None = None) -> None:
        """Send GOAWAY on all open connections; streams up to `last_stream` (the newest) are still answered."""
        for connection in list(self.connections):
            connection.go_away(last_stream=last_stream, message=message)

    def turn_away(self, times: int) -> None:
        """Close so many connections to come right after their TLS handshake."""
        self._wiring.turned_away = times

    def reset(self) -> None:
        """Forget tokens, keys, script, pushes and counts, and begin the ids anew; connections and couriers stay."""
        self.registry.reset()
        self.provider_tokens.reset()
        self.script.rules.clear()
        self.pushes.clear()
        self.requests.clear()
        self.answers.clear()
        self._wiring.accepted = self._wiring.turned_away = 0
        self._dice.seed(self.settings.seed)

    def react(self, request: Request, apns_id: str) -> Reaction:
        """Judge one push: Apple's rules, then the script, then the token; deliver it when all agree."""
        now = self.settings.clock()
        try:
            push = self._rules.read_push(request, apns_id=apns_id, now=now)
        except RefusedError as refused:
            headers = dict(request.headers)
            token, topic = headers[":path"].rpartition("/")[2], headers.get("apns-topic", "")
            self._record(refused.answer, token=token, topic=topic, now=now)
            return refused.answer
        reaction = self._reaction_to(push)
        status, reason = self._record(reaction, token=push.token, topic=push.topic, now=now)
        self.pushes.append(SeenPush(push, status, reason))
        return reaction

    def _reaction_to(self, push: Push) -> Reaction:
        mischief = self.script.next_for(push.token)
        if isinstance(mischief, LimitStreams):
            self.limit_streams(mischief.max_concurrent_streams)
        elif mischief is not None:
            return mischief
        refusal = self.registry.judge(push.token, push.topic)
        if refusal is not None:
            return refusal
        self.registry.accept(push)
        return ACCEPTED

    def _record(
        self, reaction: Reaction, *, token: str, topic: str, now: float
    ) -> tuple[int | None, str | None]:
        """Remember a request, and answer the status and the reason that its sender sees."""
        status, reason = (reaction.status, reaction.reason) if isinstance(reaction, Answer) else (None, None)
        self.requests.append(SeenRequest(now, token[:TOKEN_SHOWN], topic, status, reason))
        self.answers[f"{status} {reason or ''}".strip() if status else type(reaction).__name__] += 1
        return status, reason

    def _mint_id(self) -> str:
        return str(uuid.UUID(int=self._dice.getrandbits(128), version=4))
