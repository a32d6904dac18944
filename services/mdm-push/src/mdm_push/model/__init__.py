"""The words of this service: channels, their queues of commands, the wishes that the commands serve, wake-ups."""

from mdm_push.model.command import CommandState, FinishedCommand, Handout, NewCommand
from mdm_push.model.enrollment import (
    CertificateNotBound,
    DeviceCertificate,
    DeviceRefused,
    Enrollment,
    EnrollmentState,
)
from mdm_push.model.patience import Patience, nth
from mdm_push.model.push import Credentials, PushAnswer, PushCertificate, PushOutcome, WakeUp
from mdm_push.model.wish import App, Ask, Intent, Wish, WishState

__all__ = [
    "App",
    "Ask",
    "CertificateNotBound",
    "CommandState",
    "Credentials",
    "DeviceCertificate",
    "DeviceRefused",
    "Enrollment",
    "EnrollmentState",
    "FinishedCommand",
    "Handout",
    "Intent",
    "NewCommand",
    "Patience",
    "PushAnswer",
    "PushCertificate",
    "PushOutcome",
    "WakeUp",
    "Wish",
    "WishState",
    "nth",
]
