"""A device's certificate is renewed: the new one is bound beside the former, to the same life of the same device."""

import structlog

from mdm_push.messages import Speaker
from mdm_push.model import DeviceCertificate
from mdm_push.store import enrollments
from shared.database import Transaction

_log = structlog.get_logger(__name__)


async def certificate_renewed(tx: Transaction, speaker: Speaker, certificate: DeviceCertificate) -> bool:
    """Bind a renewed certificate; False, and nothing is changed, where it is not one.

    For a device CA that chooses the names in certificates itself: else a device could name itself as another one.
    A device that renews its identity sends no Authenticate: it comes with TokenUpdate, or just connects. The
    certificate has to name the enrolled device by its UDID, EnrollmentID or serial number. One
    that was ever bound, to another device or to a former life, is never taken. The former certificate is good until
    it expires, for a Mac's connections overlap.
    """
    family = await enrollments.lock_family(tx, speaker.device)
    if not family or not family[0].enrolled or not family[0].named_by(certificate):
        return False
    bound = await enrollments.bind_renewed(tx, family[0], certificate)
    if bound:
        _log.info("a device's certificate was renewed", enrollment_id=str(family[0].id))
    return bound
