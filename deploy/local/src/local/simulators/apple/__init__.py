"""Apple's App and Book Management API in a box: the wire clients speak, and an admin door behind it."""

from local.simulators.apple.settings import AppleSettings, Knobs
from local.simulators.apple.simulator import AppleSimulator

__all__ = ["AppleSettings", "AppleSimulator", "Knobs"]
