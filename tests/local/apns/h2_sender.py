"""The sender stands beside the conformance suite, which lives without the rest."""

from tests.conformance.apns.h2_sender import Headers, Reply, Sender

__all__ = ["Headers", "Reply", "Sender"]
