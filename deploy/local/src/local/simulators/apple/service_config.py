"""The service's description of itself: errors, limits, notification types and addresses."""

from collections.abc import Mapping
from typing import Any

from local.simulators.apple.errors import ERRORS
from local.simulators.apple.notify import TYPES

BASE = "/mdm/v2"
LOOKUP_PATH = "/WebObjects/MZStorePlatform.woa/wa/lookup"
INVITATION_PATH = "/WebObjects/MZFinance.woa/wa/associateVPPUserWithITSAccount"
INVITATION_QUERY = (
    "inviteCode=%25inviteCode%25&mt=8"  # the client puts the code in the place of %25inviteCode%25
)

PATHS = {
    "associateAssets": "assets/associate",
    "clientConfig": "client/config",
    "createUsers": "users/create",
    "disassociateAssets": "assets/disassociate",
    "eventStatus": "status",
    "getAssets": "assets",
    "getAssignments": "assignments",
    "getUsers": "users",
    "retireUsers": "users/retire",
    "revokeAssets": "assets/revoke",
    "updateUsers": "users/update",
}


def service_config(origin: str, limits: Mapping[str, int]) -> dict[str, Any]:
    """Answer `service/config`; the addresses are under the origin that the caller used."""
    return {
        "errorCodes": [
            {"errorNumber": number, "errorMessage": message} for number, (_, message) in ERRORS.items()
        ],
        "limits": dict(limits),
        "notificationTypes": list(TYPES),
        "urls": {name: f"{origin}{BASE}/{path}" for name, path in PATHS.items()}
        | {
            "contentMetadataLookup": f"{origin}{LOOKUP_PATH}",
            "invitationEmail": f"{origin}{INVITATION_PATH}?{INVITATION_QUERY}",
        },
    }
