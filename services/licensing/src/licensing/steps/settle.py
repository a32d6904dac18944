"""Writes Apple's word into the ledger, once the outcome of a request is known (promise 6)."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from uuid import UUID

from licensing import work
from licensing.decide import Repair, Verdict, refusal_for
from licensing.ledger import Ledger
from licensing.model import Happening, Holder, Intent, IntentKind, License, State
from licensing.store import apple_users, intents, licenses
from shared.database import Transaction
from shared.events.words import Refusal

ALL_DONE = Verdict(Happening.DONE)


async def settle(
    tx: Transaction, ledger: Ledger, intent: Intent, members: Sequence[License], repair: Repair
) -> None:
    """Move the members of a request that was settled for them, and end it when none is left.

    The pool is locked by the ledger, which is not closed yet.
    """
    through = len(repair.members)
    if repair.judged:
        await intents.settle(tx, intent.intent_id, repair.proof)
    if intent.kind is IntentKind.DISASSOCIATE:
        repair = repair.without(await _pass_on(tx, ledger, intent, repair.undone))
    for verdict, group in repair.judged.items():
        await _apply(tx, ledger, intent, verdict, group)
    for part in repair.parts:
        again = intent.attempt + (len(part) == len(members))
        ledger.move(Happening.NOT_DONE, part, attempt=again)
    if through == len(members):
        await intents.delete(tx, intent.intent_id)
    else:
        await intents.resize(tx, {intent.intent_id: -through})
    await ledger.flush()
    if intent.kind is IntentKind.DISASSOCIATE:
        await _let_later_lives_go_on(tx, ledger, intent, repair)


async def put_back(tx: Transaction, ledger: Ledger, intent: Intent, members: Sequence[License]) -> None:
    """Take a request back that Apple certainly has not got.

    Who was withdrawn from it is free at once, and a later life of the same target takes over what it was to return.
    """
    left = len(members)
    if intent.kind is IntentKind.DISASSOCIATE:
        passed_on = await _pass_on(tx, ledger, intent, members)
        members = [member for member in members if member.entitlement_id not in passed_on]
    withdrawn = [member for member in members if member.state is State.WITHDRAWING]
    ledger.move(Happening.NOT_DONE, withdrawn)
    left += len(withdrawn) - len(members)
    if left:
        await intents.resize(tx, {intent.intent_id: -left})
    await intents.mark_unsent(tx, intent.intent_id)


async def _pass_on(
    tx: Transaction, ledger: Ledger, intent: Intent, kept: Sequence[License]
) -> AbstractSet[UUID]:
    """Let later lives take over licences that did not leave their targets; return whose they were.

    Else two lives would come to hold the one licence of their target (promise 2).
    """
    formers = {member.holder: member for member in kept}
    later = await licenses.waiting_for_outcome(tx, intent.pool_id, formers)
    ledger.hand_over([(formers[each.holder], each) for each in later])
    return {formers[each.holder].entitlement_id for each in later}


async def _apply(
    tx: Transaction, ledger: Ledger, intent: Intent, verdict: Verdict, group: Sequence[License]
) -> None:
    again = intent.attempt + 1
    match verdict.happening:
        case Happening.NOT_DONE:
            ledger.move(Happening.NOT_DONE, group, attempt=again)
        case Happening.NONE_LEFT:
            ledger.hesitate(intent.pool_id, attempt=again)
            unwilling = [each for each in group if each.no_wait]
            ledger.move(Happening.DENIED, unwilling, cause=Refusal.NO_LICENCE_LEFT)
            ledger.move(Happening.NONE_LEFT, [each for each in group if not each.no_wait])
        case Happening.PROMISED:
            joined = await _shown_as_joined(tx, ledger, intent, group)
            ledger.move(Happening.NOT_DONE, [each for each in group if each.holder in joined], attempt=again)
            ledger.move(Happening.PROMISED, [each for each in group if each.holder not in joined])
        case _:
            number = verdict.error_number
            ledger.move(verdict.happening, group, cause=refusal_for(number), error_number=number)


async def _shown_as_joined(
    tx: Transaction, ledger: Ledger, intent: Intent, group: Sequence[License]
) -> AbstractSet[Holder]:
    """Return whom Apple does not know (9609) though its list showed that they had joined, and have that read anew.

    They are asked for again, more and more slowly, until a reading says that they have not: to invite them at once
    would let the next reading find them joined, and go round for ever.
    """
    [library_id] = [pool.library_id for pool in ledger.pools if pool.pool_id == intent.pool_id]
    pairs = [(library_id, each.holder) for each in group if isinstance(each.holder, UUID)]
    joined = {user_id for _, user_id in await apple_users.associated(tx, pairs)}
    if joined:
        await work.want_apple_users(tx, library_id, joined)
    return joined


async def _let_later_lives_go_on(tx: Transaction, ledger: Ledger, intent: Intent, repair: Repair) -> None:
    """Send for the later lives that waited until the release of a former one was settled."""
    released = [member.holder for member in repair.judged.get(ALL_DONE, ())]
    later = await licenses.waiting_for_outcome(tx, intent.pool_id, released)
    ledger.request([each for each in later if each.state is State.RESERVED])
    await ledger.flush()
