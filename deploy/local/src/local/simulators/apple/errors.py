"""Apple's error numbers and messages, and the envelope they travel in."""

from collections.abc import Mapping
from typing import Any

# number: (HTTP status, message). Apple's documentation "Handling error responses" and "Service Config".
ERRORS: dict[int, tuple[int, str]] = {
    9601: (401, "Login required"),
    9602: (400, "Invalid argument"),
    9603: (500, "Internal error"),
    9609: (400, "Unable to find the registered user"),
    9616: (400, "License already assigned"),
    9619: (400, "License not associated"),
    9621: (401, "The server token has expired"),
    9622: (401, "Invalid authentication token"),
    9623: (400, "Invalid push token"),
    9625: (401, "The server token has been revoked"),
    9634: (410, "The service is no longer available"),
    9635: (400, "The Apple Account can't be associated with the registered user"),
    9637: (403, "The operation is not allowed for a program facilitator"),
    9641: (400, "The Apple Account is already associated with a registered user"),
    9642: (400, "The Apple Account can't be used until its owner agrees to the terms"),
    9644: (503, "The service is in maintenance mode"),
    9646: (429, "Too many requests for this organization"),
    9647: (403, "The operation is not supported for legacy tokens"),
    9650: (400, "The page index is out of range"),
    9700: (400, "The number of assets exceeds the limit"),
    9701: (400, "The number of client user ids exceeds the limit"),
    9702: (400, "The number of serial numbers exceeds the limit"),
    9703: (400, "The request contains duplicate assets"),
    9704: (400, "The request contains duplicate client user ids"),
    9705: (400, "The request contains duplicate serial numbers"),
    9706: (400, "The asset is not revocable"),
    9707: (400, "The asset is not assignable to devices"),
    9708: (400, "The event id is not known"),
    9709: (400, "Not enough licenses are available"),
    9710: (400, "The notification URL and its authentication token are required together"),
    9711: (400, "The notification URL or its authentication token is too long"),
    9712: (400, "The notification URL is not a valid https URL"),
    9713: (400, "The metadata of mdmInfo is too long"),
    9714: (400, "The number of users exceeds the limit"),
    9715: (400, "The request contains duplicate users"),
    9716: (400, "An active user with this client user id exists"),
    9717: (400, "The email address is not valid"),
    9718: (400, "The request contains no assets"),
    9719: (400, "The request contains neither client user ids nor serial numbers"),
    9720: (400, "The request contains no users"),
    9721: (400, "The version id is not valid"),
    9722: (401, "The Authorization header is malformed"),
    9723: (400, "mdmInfo requires id, name and metadata"),
    9724: (400, "The id of mdmInfo is too long"),
    9725: (400, "The name of mdmInfo is too long"),
    9726: (405, "The method is not allowed"),
    9727: (415, "The content type is not supported"),
    9728: (400, "The notification URL is unreachable"),
    9729: (503, "The service is temporarily unavailable"),
    9811: (400, "The subscription request is not valid"),
    9812: (400, "The cursor is not valid"),
    9813: (400, "The adam id is not that of a subscription"),
    9814: (400, "The user is not associated"),
    9815: (400, "The user has no such subscription"),
    9816: (400, "The number of subscriptions or users exceeds the limit"),
    9817: (400, "The subscription is already assigned through a group"),
    9818: (400, "Subscriptions can't be disabled while there are some"),
}

# What version 1 of the API can answer besides, documentation "Interpreting Error Codes".
LEGACY_ERRORS: dict[int, str] = {
    9600: "Missing required argument",
    9604: "Result not found",
    9605: "Wrong storefront",
    9606: "The token can't be constructed",
    9607: "License is irrevocable",
    9610: "License not found",
    9611: "Admin not found",
    9612: "The claim job failed",
    9613: "The unclaim job failed",
    9614: "Invalid date format",
    9615: "Country not found",
    9617: "The URL has been moved",
    9618: "The user has already been retired",
    9620: "The user has already been deleted",
    9624: "License was refunded and is no longer valid",
    9626: "License already assigned to other user",
    9627: "The license can't be disassociated: it was associated again too often",
    9628: "License not eligible for device assignment",
    9629: "The batch token is another token's",
    9630: "Too many calls that assign what is assigned already",
    9631: "Too many calls that assign what there is none left of",
    9632: "Too many calls of one and the same request",
    9633: "The data of the batch is gone",
    9636: "No registered user found",
    9643: "The license is currently locked for a pending transfer",
    9649: "The page index is required with a request id",
}


class AppleError(Exception):
    """A request that is refused as a whole: nothing was queued."""

    def __init__(
        self,
        number: int,
        *,
        status: int | None = None,
        offenders: Mapping[str, Any] | None = None,
        detail: str = "",
    ) -> None:
        super().__init__(number, detail)
        self.number = number
        self.status = status or ERRORS.get(number, (400, ""))[0]
        self.body = error_body(number, offenders=offenders, detail=detail)


def message_of(number: int) -> str:
    """Return Apple's words for a number, of either version."""
    return ERRORS[number][1] if number in ERRORS else LEGACY_ERRORS.get(number, "Error")


def error_body(
    number: int, *, offenders: Mapping[str, Any] | None = None, detail: str = ""
) -> dict[str, Any]:
    """Apple's `ErrorResponse`; `offenders` are named as `assets`, `clientUserIds`, `serialNumbers`."""
    message = message_of(number)
    body: dict[str, Any] = {
        "errorNumber": number,
        "errorMessage": f"{message}: {detail}" if detail else message,
    }
    if offenders:
        body["errorInfo"] = dict(offenders)
    return body
