"""Work rows: large sets that are opened or ended slice by slice, each slice its own transaction."""

from assignment.handlers.unfolding import EXPAND, expand_slice
from assignment.handlers.withdrawing import WITHDRAW, withdraw_slice
from shared.database import Database
from shared.worker import Step, WorkRow


def steps(database: Database) -> dict[str, Step]:
    """Return the step of each kind of work row; a killed slice left nothing, and is done again."""

    async def expand(row: WorkRow) -> None:
        async with database.transaction() as tx:
            await expand_slice(tx, row)

    async def withdraw(row: WorkRow) -> None:
        async with database.transaction() as tx:
            await withdraw_slice(tx, row)

    return {EXPAND: expand, WITHDRAW: withdraw}
