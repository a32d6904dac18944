"""Which device tokens live, who listens for them, and the one push kept for a device that is away."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from local.simulators.apns.script import Answer


@dataclass(frozen=True, slots=True)
class Push:
    """One accepted wake-up. Times are seconds since 1970; `expires_at` of 0 means "now or never"."""

    token: str
    topic: str
    magic: str = field(repr=False)
    apns_id: str
    priority: int
    expires_at: float
    received_at: float
    collapse_id: str = ""


Deliver = Callable[[Push], None]


@dataclass(slots=True)
class _Token:
    topic: str
    courier: str
    online: bool = True
    unregistered_at: float | None = None
    stored: Push | None = None


class Registry:
    """The tokens of all devices. A courier is a named listener that carries pushes to its devices.

    A push goes to its device while the device is online and its courier listens; else the newest one is
    kept until it expires. Apple keeps one per token and topic whatever their collapse ids, and a token here has
    exactly one topic; what a device shows as one by its `collapse_id` is the device's own affair.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._tokens: dict[str, _Token] = {}
        self._couriers: dict[str, Deliver] = {}
        self.counts: Counter[str] = Counter()

    def register(self, tokens: Iterable[str], *, topic: str, courier: str = "") -> None:
        """Make lower-case hex tokens valid for `topic`; a token that was gone lives again."""
        for token in tokens:
            self._tokens[token] = _Token(topic, courier)

    def unregister(self, tokens: Iterable[str], *, at: float | None = None) -> None:
        """Pushes to these tokens answer 410 from now on, with the time `at` (now when `None`)."""
        gone_at = self._clock() if at is None else at
        for token in self._known(tokens):
            token.unregistered_at, token.stored = gone_at, None

    def go_offline(self, tokens: Iterable[str]) -> None:
        """Take the devices off the network: their pushes are stored."""
        for token in self._known(tokens):
            token.online = False

    def go_online(self, tokens: Iterable[str]) -> None:
        """Bring the devices back; they hear at once what was kept for them."""
        for token in self._known(tokens):
            token.online = True
            self._deliver_stored(token)

    def attach(self, courier: str, deliver: Deliver) -> None:
        """Let `deliver` carry the pushes of this courier's tokens, the stored ones first."""
        self._couriers[courier] = deliver
        for token in self._tokens.values():
            if token.courier == courier and token.online:
                self._deliver_stored(token)

    def detach(self, courier: str, deliver: Deliver) -> None:
        """Stop `deliver`; a newer listener of the same name stays."""
        if self._couriers.get(courier) == deliver:
            del self._couriers[courier]

    def reset(self) -> None:
        """Forget all tokens and counts; couriers go on listening."""
        self._tokens.clear()
        self.counts.clear()

    def stored(self) -> list[Push]:
        """List what is kept for devices that are away, in the order of their registration."""
        return [token.stored for token in self._tokens.values() if token.stored is not None]

    def judge(self, token: str, topic: str) -> Answer | None:
        """Apple's word against this token, or `None` when it is good for `topic`."""
        known = self._tokens.get(token)
        if known is None:
            return Answer(400, "BadDeviceToken")
        if known.topic != topic:
            return Answer(400, "DeviceTokenNotForTopic")
        if known.unregistered_at is not None:
            return Answer(410, "Unregistered", timestamp_ms=int(known.unregistered_at * 1000))
        return None

    def accept(self, push: Push) -> None:
        """Deliver or store a push whose token was judged good."""
        token = self._tokens[push.token]
        deliver = self._couriers.get(token.courier)
        if token.online and deliver is not None:
            self.counts["delivered"] += 1
            deliver(push)
        elif push.expires_at <= push.received_at:
            self.counts["dropped"] += 1
        else:
            self.counts["stored" if token.stored is None else "coalesced"] += 1
            token.stored = push

    def _known(self, tokens: Iterable[str]) -> list[_Token]:
        return [self._tokens[token] for token in tokens if token in self._tokens]

    def _deliver_stored(self, token: _Token) -> None:
        push, deliver = token.stored, self._couriers.get(token.courier)
        if push is None or deliver is None:
            return
        token.stored = None
        if push.expires_at <= self._clock():
            self.counts["expired"] += 1
            return
        self.counts["delivered"] += 1
        deliver(push)
