"""The closed lists of words that events carry. A new word is added here first."""

from enum import StrEnum


class AssetKind(StrEnum):
    """The four kinds of asset (R1)."""

    IN_HOUSE_APP = "in_house_app"
    IN_HOUSE_BOOK = "in_house_book"
    VPP_APP = "vpp_app"
    VPP_BOOK = "vpp_book"


class PersonState(StrEnum):
    """Whether a person is with the organisation."""

    ACTIVE = "active"
    LEFT = "left"


class AssignmentMode(StrEnum):
    """Whose licence it is: a user licence by Apple ID, or a device licence (R13)."""

    APPLE_ID = "apple_id"
    DEVICE = "device"


class InstallMode(StrEnum):
    """Downloaded by itself, or offered (R7, R8)."""

    AUTOMATIC = "automatic"
    MANUAL = "manual"


class RevokeReason(StrEnum):
    """Why assignment takes an entitlement back."""

    ENDED = "ended"
    LEFT_GROUP = "left_group"
    UNENROLLED = "unenrolled"
    WIPED = "wiped"
    DELETED = "deleted"
    PERSON_LEFT = "person_left"
    EXPIRED = "expired"


class Refusal(StrEnum):
    """An expected "no", in one word. The first block is assignment's, the second licensing's."""

    NOT_ENROLLED = "not_enrolled"
    KIND_NOT_FOR_PLATFORM = "kind_not_for_platform"
    KIND_NOT_FOR_DEVICE = "kind_not_for_device"
    OS_TOO_OLD = "os_too_old"
    PLATFORM_NOT_SUPPORTED = "platform_not_supported"
    NOT_DEVICE_ASSIGNABLE = "not_device_assignable"
    USER_LICENCE_NEEDS_APPLE_ID = "user_licence_needs_apple_id"
    ENROLLMENT_TAKES_USER_LICENCES_ONLY = "enrollment_takes_user_licences_only"
    SHARED_IPAD_TAKES_DEVICE_LICENCES_ONLY = "shared_ipad_takes_device_licences_only"
    MANUAL_DEVICE_LICENCE_UNSEEN = "manual_device_licence_unseen"
    UNKNOWN_ASSET = "unknown_asset"
    UNKNOWN_TARGET = "unknown_target"
    DUPLICATE_TARGET = "duplicate_target"
    TOO_MANY_TARGETS = "too_many_targets"
    MODES_CONTRADICT = "modes_contradict"
    NO_POOL = "no_pool"
    NOT_OFFERED_YET = "not_offered_yet"

    NO_LICENCE_LEFT = "no_licence_left"
    LIBRARY_SUSPENDED = "library_suspended"
    APPLE_REFUSED = "apple_refused"
    IRREVOCABLE = "irrevocable"
    ACCOUNT_IN_USE = "account_in_use"
    UNREADABLE_TARGET = "unreadable_target"


class Awaits(StrEnum):
    """What a reserved licence waits for."""

    APPLE = "apple"
    ACCEPTANCE = "acceptance"


class Held(StrEnum):
    """What a release found."""

    LICENSE = "license"
    NONE = "none"
    PASSED_ON = "passed_on"


class Platform(StrEnum):
    """Apple's supportedPlatforms, verbatim (an iPad is iOS there)."""

    IOS = "iOS"
    MACOS = "macOS"
    TVOS = "tvOS"
    WATCHOS = "watchOS"
    VISIONOS = "visionOS"


class EnrollmentKind(StrEnum):
    """How a device came under management."""

    DEVICE = "device"
    USER = "user"
    SHARED_IPAD = "shared_ipad"


class Channel(StrEnum):
    """Which of an enrollment's channels a command takes."""

    DEVICE = "device"
    USER = "user"


class UnenrollReason(StrEnum):
    """Removed: the profile went, with a CheckOut. Wiped: a known device sent Authenticate again."""

    REMOVED = "removed"
    WIPED = "wiped"


class NothingRemoved(StrEnum):
    """Why a removal had nothing to remove."""

    NOT_INSTALLED = "not_installed"
    NOT_ENROLLED = "not_enrolled"
    WITHDRAWN = "withdrawn"
