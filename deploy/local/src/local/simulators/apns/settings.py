"""Every knob of the simulated push service, and the words that describe them."""

import time
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

THIRTY_DAYS = 30 * 86_400.0  # the longest that Apple keeps a push which names no expiration

DoorKind = Literal["scripted", "fast"]
"""`scripted` speaks frame by frame and can misbehave in each; `fast` is a compiled server, for load."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApnsSettings:
    """Every knob of the simulated push service.

    A sender proves itself by a client certificate or by a provider token; how keys of provider tokens are made
    known stands in `ProviderTokens`.
    """

    certificate_file: Path  # the service's own certificate and key (PEM)
    key_file: Path
    client_ca_file: Path  # a sender's certificate must come from this authority
    door: DoorKind = "scripted"
    port: int = 0  # 0 takes a free one
    admin_port: int = 0
    max_concurrent_streams: int = 1000
    latency_seconds: float = 0.0  # added to each answer
    storage_seconds: float = THIRTY_DAYS
    # Apple's page asks for apns-topic and apns-push-type; Apple itself forgives a sender with a certificate, and
    # NanoMDM sends neither. Name them here to be stricter.
    required_headers: AbstractSet[str] = frozenset()
    # Refuse, on an MDM topic, what Apple's page warns of and Apple itself is known to take: another push type than
    # mdm, and a payload of more than its magic.
    strict_mdm: bool = False
    pushes_kept: int = 10_000  # the newest ones, for the admin door
    seed: int = 0  # of the ids for pushes that came without one
    clock: Callable[[], float] = time.time  # seconds since 1970
