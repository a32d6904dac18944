"""Whom we believe over TLS: the system's authorities, and those of one file beside them."""

import ssl
from pathlib import Path


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """Return what clients verify servers with. Raises OSError (ssl.SSLError) when the file cannot be read."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    return context
