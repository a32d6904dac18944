"""One function per use case, each one transaction."""

from licensing.handlers.apple_users import ask_again, make_due, reinvite
from licensing.handlers.clockwork import Clockwork
from licensing.handlers.intake import Arrival, Intake, Reception
from licensing.handlers.libraries import change_settings, take_over
from licensing.handlers.notices import Sealer
from licensing.handlers.people import end_invitations, erase_people, invite, keep_people
from licensing.handlers.pools import prefer_pool
from licensing.handlers.reconciling import begin_reconciliations, repair, show_drift
from licensing.handlers.tokens import Upload, install_token
from licensing.handlers.wishes import release, reserve

__all__ = [
    "Arrival",
    "Clockwork",
    "Intake",
    "Reception",
    "Sealer",
    "Upload",
    "ask_again",
    "begin_reconciliations",
    "change_settings",
    "end_invitations",
    "erase_people",
    "install_token",
    "invite",
    "keep_people",
    "make_due",
    "prefer_pool",
    "reinvite",
    "release",
    "repair",
    "reserve",
    "show_drift",
    "take_over",
]
