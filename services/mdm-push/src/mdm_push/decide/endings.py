"""What becomes of open wishes when their enrollment ends. Pure."""

from collections.abc import Iterable
from dataclasses import replace

from mdm_push.decide.outcome import NOT_ENROLLED, Outcome
from mdm_push.model import Intent, Wish, WishState
from shared.events.words import NothingRemoved


def unenrolled(open_wishes: Iterable[Wish]) -> Outcome:
    """End every open wish: nothing can be installed any more, and nothing is left to be removed."""
    outcome = Outcome()
    for wish in open_wishes:
        if wish.intent is Intent.INSTALL:
            outcome.settle(replace(wish, state=WishState.FAILED, cause=NOT_ENROLLED))
        else:
            outcome.settle(replace(wish, state=WishState.DONE, was=NothingRemoved.NOT_ENROLLED))
    return outcome
