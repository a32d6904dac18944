"""The table "kind of work row -> step": what is done with Apple, each row one errand, no transaction open meanwhile."""

from collections.abc import Mapping

from licensing import work
from licensing.steps.apple_users import InviteStep, WantStep
from licensing.steps.assets import AssetsStep
from licensing.steps.check import CheckStep
from licensing.steps.claim import Claims, ClaimStep
from licensing.steps.desk import Desk, Pace
from licensing.steps.intent import IntentStep
from licensing.steps.list import ListStep
from licensing.steps.outside import AppleService
from licensing.steps.reconcile import ReconcileStep
from licensing.steps.repair import RepairStep
from licensing.steps.user_readings import UsersStep
from licensing.steps.user_writes import UserWriteStep
from shared.worker import Step

__all__ = ["AppleService", "Claims", "Desk", "Pace", "steps"]


def steps(desk: Desk, apple: AppleService, claims: Claims) -> Mapping[str, Step]:
    """Return the steps of this service."""
    return {
        work.INTENT: IntentStep(desk, apple).do,
        work.READ_LIST: ListStep(desk, apple).do,
        work.READ_ASSETS: AssetsStep(desk, apple).do,
        work.RECONCILE: ReconcileStep(desk, apple).do,
        work.REPAIR: RepairStep(desk).do,
        work.CLAIM: ClaimStep(desk, apple, claims).do,
        work.CHECK: CheckStep(desk, apple, claims).do,
        work.WANT_APPLE_USERS: WantStep(desk).do,
        work.WRITE_USERS: UserWriteStep(desk, apple).do,
        work.READ_USERS: UsersStep(desk, apple).do,
        work.INVITE_USERS: InviteStep(desk, apple).do,
    }
