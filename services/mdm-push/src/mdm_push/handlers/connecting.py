"""The connect door: store the report, take the next command. One short transaction; for Idle one statement alone."""

import random
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from mdm_push import commands
from mdm_push.decide import Knowledge, Outcome, Place, installed, listed, reported
from mdm_push.decide.words import UNKNOWN
from mdm_push.handlers.enrolling import about
from mdm_push.handlers.means import Means
from mdm_push.handlers.questioning import AGAIN_AFTER, question
from mdm_push.handlers.saving import save
from mdm_push.messages import DeviceFacts, Report, Status
from mdm_push.model import (
    CertificateNotBound,
    CommandState,
    DeviceCertificate,
    Enrollment,
    FinishedCommand,
    WishState,
)
from mdm_push.platforms import platform_of
from mdm_push.store import commands as queue
from mdm_push.store import enrollments, wishes
from shared import outbox
from shared.database import Database, Transaction
from shared.events import Outgoing
from shared.events.mdm_push import DeviceUpdated
from shared.events.words import EnrollmentKind
from shared.ids import new_id

_log = structlog.get_logger(__name__)

_FINAL = {
    Status.ACKNOWLEDGED: CommandState.ACKNOWLEDGED,
    Status.ERROR: CommandState.ERROR,
    Status.FORMAT_ERROR: CommandState.FORMAT_ERROR,
}


async def polled(
    database: Database, channel: str, certificate: DeviceCertificate, *, means: Means
) -> queue.Served:
    """Answer Idle with the head of the queue: one statement, one trip to the database. Raises DeviceRefused.

    Once a day the device is asked about itself beside: it tells an updated OS only when it is asked.
    """
    now = database.clock.now()
    served = await queue.serve_pinned(
        database,
        channel=channel,
        certificate_hash=certificate.hash,
        now=now,
        wake_if_silent=_wake_if_silent(now, means),
        questioned_before=now - AGAIN_AFTER,
    )
    if served is None:
        raise CertificateNotBound("not_enrolled")
    return await _questioned(database, served, means) if served.unquestioned else served


async def _questioned(database: Database, served: queue.Served, means: Means) -> queue.Served:
    """Put the question at the end of the queue; it is handed out now where nothing else was."""
    async with database.transaction() as tx:
        device = (await enrollments.lock_many(tx, [served.channel_id]))[served.channel_id]
        if not device.enrolled:
            return served
        await question(tx, device, correlation_id=new_id())
        command = served.command or await queue.serve_locked(
            tx, device.id, wake_if_silent=_wake_if_silent(tx.now, means)
        )
    return queue.Served(device.id, command)


async def report_received(
    tx: Transaction, channel: str, report: Report, certificate: DeviceCertificate, *, means: Means
) -> queue.Served:
    """Store a report, draw its consequences, and answer with the next command. Raises DeviceRefused.

    A report of a command that is not open here changes nothing and is accepted: a device whose report is refused
    would send it for ever.
    """
    enrollment = await enrollments.lock_pinned(tx, channel, certificate.hash)
    if enrollment is None or not enrollment.enrolled:
        raise CertificateNotBound("not_enrolled")
    told: list[Outgoing] = []
    if report.command_id is not None and report.Status is Status.NOT_NOW:
        jitter = random.uniform(0.8, 1.2)  # noqa: S311 - spreads load, guards nothing
        waits = [timedelta(seconds=step * jitter) for step in means.patience.not_now_seconds]
        await queue.refuse(tx, report.command_id, enrollment.id, waits=waits)
    elif report.command_id is not None:
        told = await _finish(tx, report.command_id, report, enrollment, means)
    command = await queue.serve_locked(tx, enrollment.id, wake_if_silent=_wake_if_silent(tx.now, means))
    await outbox.append(tx, told)
    return queue.Served(enrollment.id, command)


async def _finish(
    tx: Transaction, command_id: UUID, report: Report, enrollment: Enrollment, means: Means
) -> list[Outgoing]:
    """Store a final report and what follows from it; return what is to be told."""
    first = report.errors[0] if report.errors else None
    finished = await queue.finish(
        tx,
        command_id,
        enrollment.id,
        state=_FINAL[report.Status],
        error=(first.ErrorDomain, first.ErrorCode) if first else None,
    )
    if finished is None:
        _log.info("a report of no open command", command_id=str(command_id), status=report.Status)
        return []
    match finished.request_type:
        case commands.INSTALL_APPLICATION | commands.REMOVE_APPLICATION:
            return await _judge_wish(tx, finished, report, enrollment, means)
        case commands.MANAGED_APPLICATION_LIST | commands.INSTALLED_APPLICATION_LIST:
            return await _judge_list(tx, report, enrollment, means)
        case commands.DEVICE_INFORMATION if report.QueryResponses is not None:
            return await _learn(tx, report.QueryResponses, enrollment, finished.correlation_id)
        case _:
            return []


async def _judge_wish(
    tx: Transaction, finished: FinishedCommand, report: Report, enrollment: Enrollment, means: Means
) -> list[Outgoing]:
    under_way = await wishes.open_of(tx, [enrollment.id])
    wish = next((wish for wish in under_way if wish.id == finished.wish_id), None)
    if wish is None:
        return []
    waiting = next((w for w in under_way if w.pair == wish.pair and w.state is WishState.WAITING), None)
    app = (await wishes.apps_of_pairs(tx, [wish.pair])).get(wish.pair)
    place = Place(enrollment, waiting, app)
    outcome = reported(wish, report, place, now=tx.now, patience=means.patience)
    await save(tx, outcome)
    return outcome.events


async def _judge_list(
    tx: Transaction, report: Report, enrollment: Enrollment, means: Means
) -> list[Outgoing]:
    verifying = [
        wish for wish in await wishes.open_of(tx, [enrollment.id]) if wish.state is WishState.VERIFYING
    ]
    if not verifying:
        return []
    knowledge = Knowledge(
        enrollment,
        apps=await wishes.apps_of(tx, enrollment.id),
        identifiers=await wishes.identifiers(tx, {wish.asset_id for wish in verifying}),
    )
    statuses = _statuses(report, knowledge)
    outcome: Outcome = listed(verifying, statuses, knowledge=knowledge, now=tx.now, patience=means.patience)
    await save(tx, outcome)
    return outcome.events


def _statuses(report: Report, knowledge: Knowledge) -> Mapping[str, str] | None:
    """Return the status of each app that a list names, None where the device sent none."""
    if report.ManagedApplicationList is not None:
        return {name: entry.Status or UNKNOWN for name, entry in report.ManagedApplicationList.items()}
    if report.InstalledApplicationList is not None:
        return installed(report.InstalledApplicationList, knowledge)
    return None


async def _learn(
    tx: Transaction, facts: DeviceFacts, enrollment: Enrollment, correlation_id: UUID
) -> list[Outgoing]:
    """Take in what the device says of itself; told only where it is news."""
    if enrollment.parent_id is not None:
        return []
    kind = EnrollmentKind.SHARED_IPAD if facts.IsMultiUser else enrollment.kind
    now = replace(
        enrollment,
        os_version=facts.OSVersion or enrollment.os_version,
        product_name=facts.ProductName or facts.Model or enrollment.product_name,
        platform=platform_of(facts.ProductName, facts.Model) or enrollment.platform,
        serial_number=facts.SerialNumber or enrollment.serial_number,
        supervised=enrollment.supervised if facts.IsSupervised is None else facts.IsSupervised,
        kind=kind,
    )
    if now == enrollment:
        return []
    now = replace(now, version=enrollment.version + 1)
    await enrollments.save(tx, now)
    event = DeviceUpdated(enrollment_id=enrollment.id, **about(now))
    return [Outgoing(event, correlation_id, sequence=now.version)]


def _wake_if_silent(now: datetime, means: Means) -> datetime:
    return now + timedelta(seconds=means.patience.push_again_seconds[0])
