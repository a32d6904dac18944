"""The reports that devices give: acknowledged, refused with Apple's numbers, or unreadable."""

from typing import Any

Report = dict[str, Any]

MDM_DOMAIN = "MCMDMErrorDomain"
STORE_DOMAIN = "ASDServerErrorDomain"

NOT_AUTHORIZED = 12007
MALFORMED = 12008
INVALID_REQUEST_TYPE = 12021
NOT_VALIDATED = 12023
BAD_MANIFEST = 12024
ALREADY_INSTALLED = 12025
ALREADY_QUEUED = 12026
NOT_HTTPS = 12034
CANNOT_BE_PURCHASED = 12035
NOT_MANAGED = 12038
DOWNLOAD_FAILED = 12043
INVALID_MEDIA_TYPE = 12044
NO_LICENSE = 12064
LICENSE_NOT_FOUND = 9610


def acknowledged(**results: Any) -> Report:
    """Report success with the command's own keys."""
    return {"Status": "Acknowledged", **results}


def malformed(why: str) -> Report:
    """Report a command that cannot be read."""
    return {"Status": "CommandFormatError", "ErrorChain": [_link(MDM_DOMAIN, MALFORMED, why)]}


def error(code: int, why: str, *, domain: str = MDM_DOMAIN, **fields: str) -> Report:
    """Report a command that failed; `fields` are State, RejectionReason and their like."""
    return {"Status": "Error", "ErrorChain": [_link(domain, code, why)], **fields}


def license_error(code: int) -> Report:
    """Report that the store knows no license: 9610, 506, or 12064 with its inner 2605."""
    if code != NO_LICENSE:
        return error(code, "License not found.", domain=STORE_DOMAIN, State="Failed")
    report = error(code, "The license for the app could not be retrieved.", State="Failed")
    report["ErrorChain"].append(_link(STORE_DOMAIN, 2605, "Could not retrieve license."))
    return report


def unknown(request_type: str) -> Report:
    """Report a command that this device does not have."""
    return error(INVALID_REQUEST_TYPE, f"“{request_type}” is not a valid request type.")


def _link(domain: str, code: int, why: str) -> dict[str, Any]:
    return {
        "ErrorCode": code,
        "ErrorDomain": domain,
        "LocalizedDescription": why,
        "USEnglishDescription": why,
    }
