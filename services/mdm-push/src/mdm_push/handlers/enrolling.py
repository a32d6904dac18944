"""The life of an enrollment: Authenticate, TokenUpdate, CheckOut, and the bootstrap token kept for a Mac."""

from dataclasses import replace
from uuid import UUID

from mdm_push import commands
from mdm_push.decide import unenrolled
from mdm_push.handlers.means import Means
from mdm_push.handlers.questioning import question
from mdm_push.messages import Authenticate, SetBootstrapToken, Speaker, TokenUpdate
from mdm_push.model import (
    CertificateNotBound,
    DeviceCertificate,
    DeviceRefused,
    Enrollment,
    EnrollmentState,
    NewCommand,
)
from mdm_push.platforms import platform_of
from mdm_push.store import commands as queue
from mdm_push.store import enrollments, pushes, wishes
from shared import outbox
from shared.database import Transaction
from shared.events import Outgoing
from shared.events.mdm_push import DeviceEnrolled, DeviceUnenrolled
from shared.events.words import EnrollmentKind, Platform, UnenrollReason
from shared.ids import new_id

_TABLE = "enrollments"


async def authenticate(
    tx: Transaction,
    speaker: Speaker,
    message: Authenticate,
    certificate: DeviceCertificate,
    *,
    correlation_id: UUID,
) -> None:
    """Begin a life of a device and bind its certificate to it.

    A known device was wiped, or its profile was installed anew, which a server cannot tell apart: the former life
    ends as `wiped`, with its queue. It is not enrolled before its first TokenUpdate. Raises DeviceRefused.
    """
    if speaker.user is not None:
        raise DeviceRefused("authenticate_on_user_channel")
    family = await enrollments.lock_family(tx, speaker.device)
    told: list[Outgoing] = []
    if family:
        device = family[0]
        if device.enrolled:
            device, told = await _end(tx, family, UnenrollReason.WIPED, correlation_id)
        device = _next_life(device, message)
        await enrollments.forget_life(tx, device.id, topic=message.Topic)
        await enrollments.save(tx, device)
    else:
        device = _first_life(speaker, message)
        if not await enrollments.add(tx, device, topic=message.Topic):
            raise DeviceRefused("authenticated_twice_at_once")
    if not await enrollments.bind(tx, device, certificate):
        raise DeviceRefused("certificate_of_another_device")
    await outbox.append(tx, told)


async def token_update(
    tx: Transaction,
    speaker: Speaker,
    message: TokenUpdate,
    certificate: DeviceCertificate,
    *,
    correlation_id: UUID,
    means: Means,
) -> None:
    """Store how a channel is woken; the first one of a device's life enrolls it. Raises DeviceRefused.

    It may be sent only once ever, so it is committed before it is answered. The device is asked what it runs: a
    later TokenUpdate mostly means that its OS was updated.
    """
    device = await _pinned(tx, speaker, certificate)
    if device.state is EnrollmentState.UNENROLLED:
        raise DeviceRefused("not_authenticated")
    channel = device if speaker.user is None else await _user_channel(tx, speaker, message, device)
    await enrollments.save_tokens(tx, channel.id, _sealed(message, channel.id, means))
    if channel.parent_id is None:
        await question(tx, device, correlation_id=correlation_id)
    await pushes.token_renewed(tx, channel.id, correlation_id)
    tx.after_commit(means.pusher.ring)
    if channel.parent_id is None and not device.enrolled:
        await _enroll(tx, device, correlation_id, held_in_setup=message.AwaitingConfiguration)


async def check_out(
    tx: Transaction, speaker: Speaker, certificate: DeviceCertificate, *, correlation_id: UUID
) -> None:
    """End an enrollment whose profile was removed; nothing is pushed to it any more. Raises DeviceRefused."""
    if speaker.user is not None:
        raise DeviceRefused("check_out_on_user_channel")
    device = await _pinned(tx, speaker, certificate)
    if device.enrolled:
        family = await enrollments.lock_family(tx, speaker.device)
        _, told = await _end(tx, family, UnenrollReason.REMOVED, correlation_id)
        await outbox.append(tx, told)


async def set_bootstrap_token(
    tx: Transaction,
    speaker: Speaker,
    message: SetBootstrapToken,
    certificate: DeviceCertificate,
    *,
    means: Means,
) -> None:
    """Keep a bootstrap token for the device, or forget it. Raises DeviceRefused."""
    device = await _pinned(tx, speaker, certificate)
    token = message.BootstrapToken
    sealed = (
        means.vault.seal(token, table=_TABLE, column="bootstrap_token", row_id=device.id) if token else None
    )
    await enrollments.save_bootstrap_token(tx, device.id, sealed)


async def get_bootstrap_token(
    tx: Transaction, speaker: Speaker, certificate: DeviceCertificate, *, means: Means
) -> bytes | None:
    """Return the device's bootstrap token, None where none is kept. Raises DeviceRefused."""
    device = await _pinned(tx, speaker, certificate)
    sealed = await enrollments.bootstrap_token(tx, device.id)
    if sealed is None:
        return None
    return means.vault.open(sealed, table=_TABLE, column="bootstrap_token", row_id=device.id).reveal()


async def _pinned(tx: Transaction, speaker: Speaker, certificate: DeviceCertificate) -> Enrollment:
    device = await enrollments.lock_pinned(tx, speaker.device, certificate.hash)
    if device is None:
        raise CertificateNotBound("not_authenticated")
    return device


def _first_life(speaker: Speaker, message: Authenticate) -> Enrollment:
    """Begin with a device never seen; an EnrollmentID instead of a UDID is a User Enrollment, without a serial."""
    kind = EnrollmentKind.DEVICE if speaker.UDID else EnrollmentKind.USER
    return Enrollment(
        id=new_id(),
        apple_id=speaker.device,
        generation=1,
        version=0,
        state=EnrollmentState.AUTHENTICATED,
        kind=kind,
        platform=_platform(message) or Platform.IOS,
        os_version=message.OSVersion,
        supervised=False,
        serial_number=message.SerialNumber,
        product_name=message.ProductName or message.Model or None,
    )


def _next_life(device: Enrollment, message: Authenticate) -> Enrollment:
    """Count a life only once: Authenticate may come again before the profile is in place."""
    begun = device.state is EnrollmentState.AUTHENTICATED
    return replace(
        device,
        generation=device.generation + (0 if begun else 1),
        state=EnrollmentState.AUTHENTICATED,
        kind=EnrollmentKind.USER if device.kind is EnrollmentKind.USER else EnrollmentKind.DEVICE,
        platform=_platform(message) or device.platform,
        os_version=message.OSVersion or device.os_version,
        supervised=False,
        serial_number=message.SerialNumber or device.serial_number,
        product_name=message.ProductName or message.Model or device.product_name,
    )


def _platform(message: Authenticate) -> Platform | None:
    """Only Macs send Model and ModelName (Apple: `Authenticate`)."""
    named = platform_of(message.ProductName, message.Model, message.ModelName)
    return named or (Platform.MACOS if message.Model or message.ModelName else None)


def _sealed(message: TokenUpdate, channel_id: UUID, means: Means) -> enrollments.Tokens:
    def seal(value: bytes, column: str) -> bytes:
        return means.vault.seal(value, table=_TABLE, column=column, row_id=channel_id)

    return enrollments.Tokens(
        topic=message.Topic,
        push_token=seal(message.Token, "push_token"),
        push_magic=seal(message.PushMagic.encode(), "push_magic"),
        unlock_token=seal(message.UnlockToken, "unlock_token") if message.UnlockToken else None,
        awaiting_configuration=message.AwaitingConfiguration,
    )


async def _user_channel(
    tx: Transaction, speaker: Speaker, message: TokenUpdate, device: Enrollment
) -> Enrollment:
    """Return the user's channel under its device, made or revived as needed."""
    if not device.enrolled:
        raise DeviceRefused("device_not_enrolled")
    family = await enrollments.lock_family(tx, speaker.device)
    known = next((channel for channel in family if channel.apple_id == speaker.channel), None)
    fresh = replace(
        device,
        id=known.id if known else new_id(),
        parent_id=device.id,
        apple_id=speaker.channel,
        version=0,
    )
    if known is not None:
        await enrollments.save(tx, fresh)
    elif not await enrollments.add(tx, fresh, topic=message.Topic):
        raise DeviceRefused("channel_made_twice_at_once")
    return fresh


async def _enroll(tx: Transaction, device: Enrollment, correlation_id: UUID, *, held_in_setup: bool) -> None:
    """Tell the new enrollment.

    A device that Setup Assistant holds until its server is done with it is let go: nothing more is awaited here.
    """
    enrolled = replace(device, state=EnrollmentState.ENROLLED, version=device.version + 1)
    await enrollments.save(tx, enrolled)
    if held_in_setup:
        release = NewCommand(
            enrollment_id=device.id,
            generation=device.generation,
            request_type=commands.DEVICE_CONFIGURED,
            arguments={},
            due_at=tx.now,
            correlation_id=correlation_id,
        )
        await queue.add(tx, [release])
    event = DeviceEnrolled(enrollment_id=device.id, **about(enrolled))
    await outbox.append(tx, [Outgoing(event, correlation_id, sequence=enrolled.version)])


def about(device: Enrollment) -> dict[str, object]:
    """Return what DeviceEnrolled and DeviceUpdated tell of a device."""
    return {
        "generation": device.generation,
        "serial_number": device.serial_number,
        "platform": device.platform,
        "os_version": device.os_version,
        "kind": device.kind,
        "supervised": device.supervised,
        "product_name": device.product_name,
    }


async def _end(
    tx: Transaction, family: list[Enrollment], reason: UnenrollReason, correlation_id: UUID
) -> tuple[Enrollment, list[Outgoing]]:
    """End a life: queue cleared, wishes answered, no push; returns the device and what is to be told."""
    device, *users = family
    ids = [channel.id for channel in family]
    ended = replace(device, state=EnrollmentState.UNENROLLED, version=device.version + 1)
    await enrollments.save(tx, ended)
    await enrollments.unenroll_users(tx, [user.id for user in users])
    await queue.clear(tx, ids)
    outcome = unenrolled(await wishes.open_of(tx, ids))
    await wishes.save(tx, outcome.wishes)
    await wishes.forget_apps(tx, ids)
    await pushes.silence(tx, ids)
    event = DeviceUnenrolled(
        enrollment_id=device.id,
        generation=device.generation,
        serial_number=device.serial_number,
        reason=reason,
    )
    return ended, [Outgoing(event, correlation_id, sequence=ended.version), *outcome.events]
