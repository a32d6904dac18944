"""Telling the device, and hearing what it did."""
