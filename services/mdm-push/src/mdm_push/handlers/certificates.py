"""Push certificates: stored sealed, and their end told in time."""

from datetime import timedelta

from mdm_push.certificates import WARN_DAYS, ReadCertificate, warning_due
from mdm_push.handlers.means import Means
from mdm_push.model import PushCertificate
from mdm_push.store import certificates, enrollments
from shared import outbox
from shared.database import Transaction
from shared.errors import Conflict
from shared.events import Outgoing
from shared.events.mdm_push import PushCertificateExpiring
from shared.ids import new_id


async def store_certificate(
    tx: Transaction,
    read: ReadCertificate,
    *,
    apple_account: str | None,
    all_devices_must_reenroll: bool,
    stored_by: str,
    means: Means,
) -> PushCertificate:
    """Store a checked certificate; from the commit on it is the one in use for its topic.

    A renewed certificate keeps its topic. One with another topic wakes none of the enrolled devices, whose topic can
    never be changed: it is refused unless the caller says that all devices must enroll again. Raises Conflict.
    """
    in_use = await certificates.topics(tx) | await enrollments.topics_in_use(tx)
    if in_use - {read.topic} and read.topic not in in_use and not all_devices_must_reenroll:
        raise Conflict(
            "another_topic",
            "this certificate has another topic than the devices enrolled: renew the one in use, or say"
            " all_devices_must_reenroll",
        )
    certificate_id = new_id()
    stored = PushCertificate(
        id=certificate_id,
        topic=read.topic,
        certificate_pem=read.certificate_pem,
        private_key=means.vault.seal(
            read.private_key_pem, table="push_certificates", column="private_key", row_id=certificate_id
        ),
        not_before=read.not_before,
        not_after=read.not_after,
    )
    await certificates.add(tx, stored, apple_account=apple_account, stored_by=stored_by)
    tx.after_commit(means.pusher.ring)
    return stored


async def warn_of_expiry(tx: Transaction) -> None:
    """Tell each certificate in use that comes near its end, once at 60, 30, 14, 7 and 1 days."""
    told = []
    for near in await certificates.expiring(tx, before=tx.now + timedelta(days=WARN_DAYS[0])):
        days = warning_due(near.not_after, days_told=near.days_told, now=tx.now)
        if days is None:
            continue
        await certificates.remember_warning(tx, near.id, days)
        left = max((near.not_after - tx.now).days, 0)
        event = PushCertificateExpiring(push_topic=near.topic, expires_at=near.not_after, days_left=left)
        told.append(Outgoing(event, new_id()))
    await outbox.append(tx, told)
