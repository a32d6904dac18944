"""What the push tests share: a token, a topic, a clock to turn."""

from collections.abc import Awaitable, Callable

from tests.local.apns.h2_sender import Sender

TOPIC = "com.apple.mgmt.External.8f7a5a4e-1111-4222-8333-944455566677"
TOKEN = "ab" * 32
NOW = 1_800_000_000.0

Connect = Callable[..., Awaitable[Sender]]


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now
