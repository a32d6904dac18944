"""The rules of the ledger, as plain functions: they know no database, no clock and no Apple (pure)."""

from licensing.decide.grant import Placement, capacity, choose, over_allocated, place, refusal_of
from licensing.decide.table import IGNORED, TABLE, Move, move
from licensing.decide.verdict import Repair, Verdict, after_refusal, refusal_for, settled_by_list, verdicts

__all__ = [
    "IGNORED",
    "TABLE",
    "Move",
    "Placement",
    "Repair",
    "Verdict",
    "after_refusal",
    "capacity",
    "choose",
    "move",
    "over_allocated",
    "place",
    "refusal_for",
    "refusal_of",
    "settled_by_list",
    "verdicts",
]
