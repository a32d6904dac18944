"""Writes Apple's word into the ledger, once the outcome of a request is known (promise 6)."""

from collections.abc import Sequence

from licensing.decide import Repair, Verdict, refusal_for
from licensing.ledger import Ledger
from licensing.model import Happening, Intent, IntentKind, License, State
from licensing.store import intents, licenses
from shared.database import Transaction
from shared.events.words import Refusal

ALL_DONE = Verdict(Happening.DONE)


async def settle(
    tx: Transaction, ledger: Ledger, intent: Intent, members: Sequence[License], repair: Repair
) -> None:
    """Move the members of a request that was settled for them, and end it when none is left.

    The pool is locked by the ledger, which is not closed yet.
    """
    for verdict, group in repair.judged.items():
        _apply(ledger, intent, verdict, group)
    for part in repair.parts:
        again = intent.attempt + (len(part) == len(members))
        ledger.move(Happening.NOT_DONE, part, attempt=again)
    through = [member for group in (*repair.judged.values(), *repair.parts) for member in group]
    if len(through) == len(members):
        await intents.delete(tx, intent.intent_id)
    else:
        await intents.resize(tx, {intent.intent_id: -len(through)})
    await ledger.flush()
    if intent.kind is IntentKind.DISASSOCIATE:
        await _let_later_lives_go_on(tx, ledger, intent, repair)


async def put_back(tx: Transaction, ledger: Ledger, intent: Intent, members: Sequence[License]) -> None:
    """Take a request back that Apple certainly has not got: who was withdrawn from it is free at once."""
    withdrawn = [member for member in members if member.state is State.WITHDRAWING]
    ledger.move(Happening.NOT_DONE, withdrawn)
    if withdrawn:
        await intents.resize(tx, {intent.intent_id: -len(withdrawn)})
    await intents.mark_unsent(tx, intent.intent_id)


def _apply(ledger: Ledger, intent: Intent, verdict: Verdict, group: Sequence[License]) -> None:
    match verdict.happening:
        case Happening.NOT_DONE:
            ledger.move(Happening.NOT_DONE, group, attempt=intent.attempt + 1)
        case Happening.NONE_LEFT:
            ledger.hesitate(intent.pool_id, attempt=intent.attempt + 1)
            unwilling = [each for each in group if each.no_wait]
            ledger.move(Happening.DENIED, unwilling, refusal=Refusal.NO_LICENCE_LEFT)
            ledger.move(Happening.NONE_LEFT, [each for each in group if not each.no_wait])
        case _:
            number = verdict.error_number
            ledger.move(verdict.happening, group, refusal=refusal_for(number), error_number=number)


async def _let_later_lives_go_on(tx: Transaction, ledger: Ledger, intent: Intent, repair: Repair) -> None:
    """Send for the later lives that waited until the release of a former one was settled."""
    through = [
        member.serial_number
        for verdict, group in repair.judged.items()
        if verdict.happening is not Happening.NOT_DONE
        for member in group
    ]
    ledger.associate(intent.pool_id, await licenses.without_intent(tx, intent.pool_id, through))
    await ledger.flush()
