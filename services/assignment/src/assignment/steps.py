"""Work rows: large sets that are opened, ended or judged anew slice by slice, each slice its own transaction."""

from collections.abc import Awaitable, Callable

from assignment.handlers.judging import JUDGE, judge_slice
from assignment.handlers.unfolding import EXPAND, expand_slice
from assignment.handlers.withdrawing import LEAVE, WITHDRAW, leave_slice, withdraw_slice
from shared.database import Database, Transaction
from shared.worker import Step, WorkRow

_SLICES: dict[str, Callable[[Transaction, WorkRow], Awaitable[None]]] = {
    EXPAND: expand_slice,
    WITHDRAW: withdraw_slice,
    LEAVE: leave_slice,
    JUDGE: judge_slice,
}


def steps(database: Database) -> dict[str, Step]:
    """Return the step of each kind of work row; a killed slice left nothing, and is done again."""
    return {kind: _step(database, take) for kind, take in _SLICES.items()}


def _step(database: Database, take: Callable[[Transaction, WorkRow], Awaitable[None]]) -> Step:
    async def step(row: WorkRow) -> None:
        async with database.transaction() as tx:
            await take(tx, row)

    return step
