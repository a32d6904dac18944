"""The outside party APNs: wake-ups over HTTP/2, through aioapns with its protocol and its pool replaced."""

from mdm_push.apns.sender import Apns, ApnsSettings

__all__ = ["Apns", "ApnsSettings"]
