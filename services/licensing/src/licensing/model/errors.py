"""Every error number of Apple's, what it asks of us, and what we do.

Source: App and Book Management API, "Handling error responses", and for the older numbers, which devices and
version 1 still tell, "Interpreting Error Codes". Apple adds numbers without notice.
"""

from collections.abc import Mapping
from enum import StrEnum
from http import HTTPStatus
from types import MappingProxyType
from typing import NamedTuple


class Action(StrEnum):
    """What a number asks of a client."""

    RETRY = "retry"
    """The same request again, later."""
    FIX = "fix"
    """Our fault, or limits that changed: they are read again, and the request never goes out unchanged."""
    REFUSE = "refuse"
    """Tell who asked; no retry."""
    STOP = "stop"
    """Nothing more is written with this content token."""
    RECONCILE = "reconcile"
    """Read the truth, then decide."""


class Consequence(StrEnum):
    """What the client raises when a whole request is answered with a number: nothing of it was queued."""

    REFUSED = "refused"
    """AppleRefused: the caller cuts out who is named, or lets a list say what is true."""
    SUSPEND = "suspend"
    """TokenRefused: the library is suspended until it has another content token."""
    AGAIN = "again"
    """Unavailable: the same request is sent later, five times within half a minute, then minutes apart."""
    SLOW_DOWN = "slow_down"
    """SlowDown: as AGAIN, and the whole library waits."""
    MOVED = "moved"
    """Moved: as AGAIN, over a new connection, to an address looked up and a `service/config` read anew."""


class Rule(NamedTuple):
    """What a number asks, what the client raises, and what the number means."""

    action: Action
    consequence: Consequence
    meaning: str


_RETRY, _FIX, _REFUSE, _STOP, _RECONCILE = Action
_REFUSED, _SUSPEND, _AGAIN, _SLOW_DOWN, _MOVED = Consequence

RULES: Mapping[int, Rule] = MappingProxyType(
    {
        # The content token.
        9601: Rule(_STOP, _SUSPEND, "login required"),
        9621: Rule(_STOP, _SUSPEND, "token expired"),
        9622: Rule(_STOP, _SUSPEND, "token invalid"),
        9625: Rule(_STOP, _SUSPEND, "token revoked"),
        9637: Rule(_REFUSE, _SUSPEND, "token without rights: another one must be asked for"),
        9647: Rule(_REFUSE, _SUSPEND, "legacy token: another one must be asked for"),
        9722: Rule(_FIX, _SUSPEND, "malformed Authorization header: the token's text was damaged"),
        # The service.
        9603: Rule(_RETRY, _AGAIN, "internal error"),
        9617: Rule(_RETRY, _MOVED, "the URL has moved"),
        9634: Rule(_STOP, _MOVED, "the service is gone from there: `service/config` is read anew first"),
        9644: Rule(_RETRY, _AGAIN, "maintenance"),
        9646: Rule(_RETRY, _SLOW_DOWN, "too many requests of this organization"),
        9729: Rule(_RETRY, _MOVED, "temporarily unavailable, or moved"),
        # The shape of a request.
        9600: Rule(_FIX, _REFUSED, "missing argument"),
        9602: Rule(_FIX, _REFUSED, "invalid argument: halves find the culprit"),
        9614: Rule(_FIX, _REFUSED, "bad date"),
        9623: Rule(_FIX, _REFUSED, "bad push token"),
        9629: Rule(_FIX, _REFUSED, "token and batch do not match"),
        9649: Rule(_FIX, _REFUSED, "page index needed"),
        9700: Rule(_FIX, _REFUSED, "too many assets"),
        9701: Rule(_FIX, _REFUSED, "too many users: the limits are read again, halves are sent"),
        9702: Rule(_FIX, _REFUSED, "too many serial numbers: the limits are read again, halves are sent"),
        9703: Rule(_FIX, _REFUSED, "an asset twice"),
        9704: Rule(_FIX, _REFUSED, "a user twice"),
        9705: Rule(_FIX, _REFUSED, "a serial number twice"),
        9714: Rule(_FIX, _REFUSED, "too many users to manage: the limits are read again, halves are sent"),
        9715: Rule(_FIX, _REFUSED, "a user to manage twice"),
        9718: Rule(_FIX, _REFUSED, "no asset"),
        9719: Rule(_FIX, _REFUSED, "no target"),
        9720: Rule(_FIX, _REFUSED, "no user"),
        9726: Rule(_FIX, _REFUSED, "wrong method"),
        9727: Rule(_FIX, _REFUSED, "wrong content type"),
        # The claim on a library, and its notifications.
        9710: Rule(_FIX, _REFUSED, "notification URL and secret belong together"),
        9711: Rule(_FIX, _REFUSED, "notification URL or secret too long: claimed without"),
        9712: Rule(_FIX, _REFUSED, "notification URL is not https: claimed without"),
        9713: Rule(_FIX, _REFUSED, "metadata of mdmInfo too long"),
        9723: Rule(_FIX, _REFUSED, "mdmInfo needs id, name and metadata"),
        9724: Rule(_FIX, _REFUSED, "id of mdmInfo too long"),
        9725: Rule(_FIX, _REFUSED, "name of mdmInfo too long"),
        9728: Rule(_FIX, _REFUSED, "notification URL unreachable: claimed without, tried again by the clock"),
        # Reading.
        9650: Rule(_RECONCILE, _REFUSED, "page index out of range: the list is read anew"),
        9708: Rule(_RECONCILE, _REFUSED, "unknown event: a list says what became of it"),
        9721: Rule(_RECONCILE, _REFUSED, "bad version id: the whole list is read"),
        # Licences.
        9607: Rule(_REFUSE, _REFUSED, "irrevocable"),
        9610: Rule(_RECONCILE, _REFUSED, "licence not found"),
        9616: Rule(_RECONCILE, _REFUSED, "already assigned"),
        9619: Rule(_RECONCILE, _REFUSED, "not assigned"),
        9624: Rule(_RECONCILE, _REFUSED, "refunded"),
        9626: Rule(_RECONCILE, _REFUSED, "assigned to somebody else"),
        9627: Rule(_REFUSE, _REFUSED, "associated again too often"),
        9628: Rule(_REFUSE, _REFUSED, "not eligible for devices"),
        9630: Rule(_REFUSE, _REFUSED, "assigned already, and asked too often"),
        9631: Rule(_REFUSE, _REFUSED, "none left, and asked too often"),
        9632: Rule(_REFUSE, _REFUSED, "the same request too often"),
        9643: Rule(_RETRY, _AGAIN, "locked by a transfer under way"),
        9706: Rule(_REFUSE, _REFUSED, "irrevocable"),
        9707: Rule(_REFUSE, _REFUSED, "not assignable to devices"),
        9709: Rule(_REFUSE, _REFUSED, "not enough licences: back to the waitlist, the counts are read again"),
        # Users.
        9609: Rule(_RECONCILE, _REFUSED, "user not found: not yet created, or retired"),
        9618: Rule(_RECONCILE, _REFUSED, "user retired already"),
        9620: Rule(_RECONCILE, _REFUSED, "user deleted already"),
        9635: Rule(_REFUSE, _REFUSED, "this Managed Apple Account cannot be tied: an invitation is sent"),
        9636: Rule(_RECONCILE, _REFUSED, "no such user"),
        9641: Rule(_RECONCILE, _REFUSED, "the Apple Account is another user's: found by its idHash"),
        9642: Rule(_REFUSE, _REFUSED, "the account's owner must accept the terms first"),
        9716: Rule(_RECONCILE, _REFUSED, "an active user exists: success, after a read"),
        9717: Rule(_REFUSE, _REFUSED, "bad mail address: this user is left out, the rest is sent again"),
        # What only version 1 answers.
        9604: Rule(_RECONCILE, _REFUSED, "result not found"),
        9605: Rule(_REFUSE, _REFUSED, "wrong storefront"),
        9606: Rule(_REFUSE, _REFUSED, "token could not be made"),
        9611: Rule(_REFUSE, _REFUSED, "administrator not found"),
        9612: Rule(_RETRY, _AGAIN, "the job that assigns failed"),
        9613: Rule(_RETRY, _AGAIN, "the job that takes back failed"),
        9615: Rule(_REFUSE, _REFUSED, "country not found"),
        9633: Rule(_RECONCILE, _REFUSED, "batch gone"),
        # Subscriptions: never asked for.
        9811: Rule(_REFUSE, _REFUSED, "subscription: bad request"),
        9812: Rule(_REFUSE, _REFUSED, "subscription: bad cursor"),
        9813: Rule(_REFUSE, _REFUSED, "subscription: bad adam id"),
        9814: Rule(_REFUSE, _REFUSED, "subscription: user not associated"),
        9815: Rule(_REFUSE, _REFUSED, "subscription: the user has none"),
        9816: Rule(_REFUSE, _REFUSED, "subscription: over the limit"),
        9817: Rule(_REFUSE, _REFUSED, "subscription: assigned through a group"),
        9818: Rule(_REFUSE, _REFUSED, "subscription: some exist still"),
    }
)

RETRIED = frozenset(number for number, rule in RULES.items() if rule.action is _RETRY)
"""What is sent again later, whether a request or an element of its event was answered with it."""


def consequence_of(number: int, status: int) -> Consequence:
    """Return what the client raises. A known number counts whatever the HTTP status; an unknown one goes by it."""
    rule = RULES.get(number)
    if rule is not None:
        return rule.consequence
    return _AGAIN if status >= HTTPStatus.INTERNAL_SERVER_ERROR else _REFUSED
