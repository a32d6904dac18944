"""Apple's push service in a box: HTTP/2 over TLS, Apple's checks, a token registry, scripted answers."""

from local.simulators.apns.registry import Push
from local.simulators.apns.script import Answer, GoAway, LimitStreams, Reset, Rule, Silence
from local.simulators.apns.simulator import ApnsSettings, ApnsSimulator

__all__ = [
    "Answer",
    "ApnsSettings",
    "ApnsSimulator",
    "GoAway",
    "LimitStreams",
    "Push",
    "Reset",
    "Rule",
    "Silence",
]
