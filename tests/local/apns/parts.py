"""What the push tests share: a token, topics, a clock to turn."""

from collections.abc import Awaitable, Callable

import pytest

from tests.conformance.apns.h2_sender import Sender

TOPIC = "com.apple.mgmt.External.8f7a5a4e-1111-4222-8333-944455566677"
APP_TOPIC = "org.example.app"
TOKEN = "ab" * 32
NOW = 1_800_000_000.0

Connect = Callable[..., Awaitable[Sender]]
at_both_doors = pytest.mark.parametrize("door", ["scripted", "fast"], scope="module")


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now
