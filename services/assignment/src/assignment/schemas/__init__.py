"""Bodies that cross HTTP."""
