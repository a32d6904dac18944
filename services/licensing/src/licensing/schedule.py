"""What runs by the clock, each job by one replica at a time."""

from licensing.handlers import Clockwork
from shared.schedule import Job

TELL_SECONDS = 1.0
"""AssetChanged is told at most this often."""

_SERVE_SECONDS = 1.0
_RESUBSCRIBE_SECONDS = 300.0
_USERS_SECONDS = 300.0
_LEAVERS_SECONDS = 60.0
_CHECK_SECONDS = 3600.0
_FORGET_SECONDS = 3600.0
_RECONCILE_SECONDS = 86_400.0


def jobs(clockwork: Clockwork, *, assets_seconds: float, notifications_seconds: float) -> list[Job]:
    """Return the table "job -> how often"."""
    return [
        Job("tell assets", TELL_SECONDS, clockwork.tell_assets),
        Job("serve waitlists", _SERVE_SECONDS, clockwork.serve_waitlists),
        Job("end waiting", _SERVE_SECONDS, clockwork.end_waiting),
        Job("end quarantine", _SERVE_SECONDS, clockwork.end_quarantine),
        Job("read notifications", notifications_seconds, clockwork.read_notifications),
        Job("want assets", assets_seconds, clockwork.want_assets),
        Job("resubscribe", _RESUBSCRIBE_SECONDS, clockwork.resubscribe),
        Job("check libraries", _CHECK_SECONDS, clockwork.check_libraries),
        Job("tell expiring tokens", _CHECK_SECONDS, clockwork.tell_expiring),
        Job("want users", _USERS_SECONDS, clockwork.want_users),
        Job("retire leavers", _LEAVERS_SECONDS, clockwork.retire_leavers),
        Job("accept left behind", _LEAVERS_SECONDS, clockwork.accept_left_behind),
        Job("reconcile", _RECONCILE_SECONDS, clockwork.reconcile),
        Job("forget reconciliations", _FORGET_SECONDS, clockwork.forget_reconciliations),
        Job("forget licenses", _FORGET_SECONDS, clockwork.forget_licenses),
        Job("forget notifications", _FORGET_SECONDS, clockwork.forget_notifications),
    ]
