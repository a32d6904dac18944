"""The ledger of one transaction: what happens to the licences of locked pools, and all that follows from it."""

from licensing.ledger.ledger import Ledger

__all__ = ["Ledger"]
