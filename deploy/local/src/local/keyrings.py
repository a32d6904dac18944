"""Keys made for this machine at the start: an authority, and a vault keyset for each service."""

import json
from collections.abc import Sequence
from pathlib import Path

from shared.vault import Vault


def write_keysets(directory: Path, services: Sequence[str]) -> dict[str, Path]:
    """Write a keyset per service and return its file; one that exists is kept.

    Each service seals its own rows with its own keys; what travels sealed on the bus is opened by another
    service, so that ring is the same in all.
    """
    files = {service: directory / f"{service}-vault.json" for service in services}
    bus = None
    for file in files.values():
        if not file.exists():
            keyset = json.loads(Vault.generate())
            keyset["bus"] = bus or keyset["bus"]
            file.touch(mode=0o600)
            file.write_text(json.dumps(keyset))
        bus = json.loads(file.read_text())["bus"]
    return files
