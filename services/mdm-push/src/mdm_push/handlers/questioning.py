"""Asking a device about itself: its OS, its model, whether it is supervised. It tells only what it is asked."""

from datetime import timedelta
from uuid import UUID

from mdm_push import commands
from mdm_push.model import Enrollment, NewCommand
from mdm_push.store import commands as queue
from mdm_push.store import enrollments
from shared.database import Transaction

AGAIN_AFTER = timedelta(days=1)  # an updated OS is known a day later, if no TokenUpdate came with it


async def question(tx: Transaction, device: Enrollment, *, correlation_id: UUID) -> None:
    """Queue DeviceInformation for a device channel that is locked; whoever calls sees to it that the device comes."""
    command = NewCommand(
        enrollment_id=device.id,
        generation=device.generation,
        request_type=commands.DEVICE_INFORMATION,
        arguments=commands.device_information(),
        due_at=tx.now,
        correlation_id=correlation_id,
    )
    await queue.add(tx, [command])
    await enrollments.questioned(tx, device.id)
