"""The rules of the ledger, as plain functions: they know no database, no clock and no Apple (pure)."""

from licensing.decide.expiry import RUNGS, next_rung
from licensing.decide.grant import capacity, in_order, over_allocated, overflow, refusal_of
from licensing.decide.table import IGNORED, TABLE, Move, move
from licensing.decide.verdict import Repair, Verdict, after_refusal, refusal_for, settled_by_list, verdicts

__all__ = [
    "IGNORED",
    "RUNGS",
    "TABLE",
    "Move",
    "Repair",
    "Verdict",
    "after_refusal",
    "capacity",
    "in_order",
    "move",
    "next_rung",
    "over_allocated",
    "overflow",
    "refusal_for",
    "refusal_of",
    "settled_by_list",
    "verdicts",
]
