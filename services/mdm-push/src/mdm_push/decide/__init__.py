"""The rules of this service, without hands: what an ask, a report, a list or an ending leads to."""

from mdm_push.decide.asks import Standing, hear
from mdm_push.decide.endings import unenrolled
from mdm_push.decide.lists import Knowledge, installed, listed
from mdm_push.decide.outcome import Outcome
from mdm_push.decide.reports import Place, reported

__all__ = [
    "Knowledge",
    "Outcome",
    "Place",
    "Standing",
    "hear",
    "installed",
    "listed",
    "reported",
    "unenrolled",
]
