"""Asking a person to join, and knowing when they did."""
