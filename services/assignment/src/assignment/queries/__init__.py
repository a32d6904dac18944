"""Reads: one function per question, each in one reading transaction."""
