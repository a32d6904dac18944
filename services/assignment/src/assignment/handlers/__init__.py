"""One function per use case = one transaction: load, decide, save, append."""
