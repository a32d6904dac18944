"""One example of every event, with every field said."""

from datetime import UTC, datetime
from uuid import UUID

from shared.events import Event, Principal
from shared.events import assignment as a
from shared.events import invitation as i
from shared.events import licensing as li
from shared.events import mdm_push as m
from shared.events.words import (
    AssetKind,
    AssignmentMode,
    Awaits,
    Channel,
    EnrollmentKind,
    Held,
    InstallMode,
    NothingRemoved,
    PersonState,
    Platform,
    Refusal,
    RevokeReason,
    UnenrollReason,
)
from shared.ids import asset_id

AT = datetime(2026, 11, 22, 18, 30, 0, 250000, tzinfo=UTC)
ASSET = asset_id("361309726", "STDQ")
LIBRARY = "2049025000431439"
SERIAL = "C02ZK0AAJG5J"
SEALED = "c2VhbGVkIGZvciB0aGlzIGV2ZW50IGFsb25l"


def _id(number: int) -> UUID:
    return UUID(f"0193f0a2-0000-7000-8000-{number:012d}")


REQUEST, ASSIGNMENT, ENTITLEMENT, OTHER_ENTITLEMENT = _id(1), _id(2), _id(3), _id(4)
USER, ENROLLMENT, DELIVERY, PACKAGE, INVITATION = _id(5), _id(6), _id(7), _id(8), _id(9)

DEVICE = {"entitlement_id": ENTITLEMENT, "version": 3, "serial_number": SERIAL}
PERSON = {"entitlement_id": OTHER_ENTITLEMENT, "version": 1, "user_id": USER, "person_version": 17}
PRINCIPALS = (Principal(**DEVICE), Principal(**PERSON))
DELIVERY_TARGET = a.DeliveryTarget(
    entitlement_id=ENTITLEMENT,
    version=3,
    delivery_id=DELIVERY,
    enrollment_id=ENROLLMENT,
    channel=Channel.DEVICE,
)
COUNTS = li.PoolCounts(
    library_id=LIBRARY, total=50, capacity=48, available=8, held=40, foreign=2, waiting=10, over_allocated=0
)
ENROLLED = {
    "enrollment_id": ENROLLMENT,
    "generation": 2,
    "serial_number": SERIAL,
    "platform": Platform.IOS,
    "os_version": "26.1",
    "kind": EnrollmentKind.DEVICE,
    "supervised": True,
    "product_name": "iPad14,1",
}
DELIVERED = {
    "enrollment_id": ENROLLMENT,
    "delivery_id": DELIVERY,
    "entitlement_id": ENTITLEMENT,
    "asset_id": ASSET,
    "kind": AssetKind.VPP_APP,
}
FAILED = {"cause": "licence_not_found", "error_domain": "MDMErrorDomain", "error_code": 12064}
INVITED = {"invitation_id": INVITATION, "user_id": USER, "library_id": LIBRARY}

EXAMPLES: tuple[Event, ...] = (
    a.AssignmentRequested(
        asset_id=ASSET,
        kind=AssetKind.VPP_APP,
        assignment_mode=AssignmentMode.DEVICE,
        install_mode=InstallMode.AUTOMATIC,
        priority=5,
        expires_at=AT,
        no_wait=True,
        library_id=LIBRARY,
        targets=PRINCIPALS,
    ),
    a.AssignmentRevoked(
        asset_id=ASSET, kind=AssetKind.VPP_APP, reason=RevokeReason.LEFT_GROUP, targets=PRINCIPALS
    ),
    a.InstallRequested(
        asset_id=ASSET,
        kind=AssetKind.VPP_APP,
        assignment_mode=AssignmentMode.DEVICE,
        adam_id="361309726",
        package_id=PACKAGE,
        targets=(DELIVERY_TARGET,),
    ),
    a.RemovalRequested(
        asset_id=ASSET,
        kind=AssetKind.VPP_APP,
        adam_id="361309726",
        package_id=PACKAGE,
        targets=(DELIVERY_TARGET,),
    ),
    a.AssignmentCompleted(
        assignment_id=ASSIGNMENT,
        request_id=REQUEST,
        asset_id=ASSET,
        round=2,
        totals=a.Totals(targets=40, states={"installed": 39, "refused": 1}),
    ),
    a.UserInvitationRequested(request_id=REQUEST, user_ids=(USER,), library_id=LIBRARY),
    a.UserChanged(
        user_id=USER,
        state=PersonState.ACTIVE,
        name="Zoë Łukasz",
        mail_address="zoe@school.example",
        locale="fr-CA",
        managed_apple_id="zoe@school.appleid.com",
        enrollment_ids=(ENROLLMENT,),
    ),
    a.UserDeleted(user_id=USER),
    li.LicenseReserved(
        asset_id=ASSET,
        library_id=LIBRARY,
        targets=(li.ReservedTarget(**DEVICE), li.ReservedTarget(**PERSON, awaits=Awaits.ACCEPTANCE)),
    ),
    li.LicenseWaitlisted(asset_id=ASSET, as_of=AT, targets=(li.WaitingTarget(**DEVICE, position=7),)),
    li.LicenseRefused(
        asset_id=ASSET,
        targets=(
            li.RefusedTarget(
                entitlement_id=ENTITLEMENT,
                version=3,
                serial_number=SERIAL,
                refusal=Refusal.APPLE_REFUSED,
                error_number=9628,
            ),
            li.RefusedTarget(entitlement_id=OTHER_ENTITLEMENT, refusal=Refusal.UNREADABLE_TARGET),
        ),
    ),
    li.LicenseAssigned(asset_id=ASSET, library_id=LIBRARY, targets=PRINCIPALS),
    li.LicenseReleased(
        asset_id=ASSET,
        targets=(
            li.ReleasedTarget(**DEVICE, asked=False),
            li.ReleasedTarget(**PERSON, held=Held.PASSED_ON),
        ),
    ),
    li.LicenseFailed(
        asset_id=ASSET, targets=(li.FailedTarget(**PERSON, cause="invitation_ended", error_number=9641),)
    ),
    li.AssetChanged(
        asset_id=ASSET,
        kind=AssetKind.VPP_APP,
        adam_id="361309726",
        pricing_param="STDQ",
        device_assignable=True,
        revocable=True,
        platforms=(Platform.IOS, Platform.MACOS),
        unlimited=False,
        pools=(COUNTS,),
    ),
    li.AppleUserAssociated(user_id=USER, library_id=LIBRARY),
    li.AppleUserRetired(user_id=USER, library_id=LIBRARY),
    li.ContentTokenExpiring(library_id=LIBRARY, expires_at=AT, days_left=30),
    li.ContentTokenSuspended(library_id=LIBRARY, cause="token_refused", error_number=9622),
    li.ContentTokenResumed(library_id=LIBRARY),
    li.InvitationRequested(
        user_id=USER,
        library_id=LIBRARY,
        sealed_link=SEALED,
        person_version=17,
        asset_ids=(ASSET,),
        by_device=False,
    ),
    i.InvitationSent(**INVITED, sent_at=AT),
    i.InvitationBounced(**INVITED, hard=True, cause="address_refused", status_code=550),
    i.InvitationReminded(**INVITED, sent_at=AT),
    i.InvitationExpired(**INVITED),
    i.InvitationAccepted(**INVITED),
    i.InvitationCancelled(**INVITED, cause="apple_user_retired"),
    i.DeviceInvitationRequested(invitation_id=INVITATION, enrollment_id=ENROLLMENT, sealed_link=SEALED),
    m.DeviceEnrolled(**ENROLLED),
    m.DeviceUpdated(**ENROLLED),
    m.DeviceUnenrolled(
        enrollment_id=ENROLLMENT, generation=2, serial_number=SERIAL, reason=UnenrollReason.WIPED
    ),
    m.DevicePushed(enrollment_ids=(ENROLLMENT,), pushed_at=AT),
    m.InstallCompleted(**DELIVERED),
    m.InstallFailed(**DELIVERED, **FAILED),
    m.RemovalCompleted(**DELIVERED, was=NothingRemoved.WITHDRAWN),
    m.RemovalFailed(**DELIVERED, **FAILED),
    m.InvitationDelivered(enrollment_id=ENROLLMENT, invitation_id=INVITATION),
    m.PackageStored(
        package_id=PACKAGE, kind=AssetKind.IN_HOUSE_APP, platforms=(Platform.IOS,), size_bytes=1048576
    ),
    m.PushCertificateExpiring(push_topic="com.apple.mgmt.External.0193f0a2", expires_at=AT, days_left=30),
)
