"""`make openapi`: writes each service's OpenAPI document beside this file, from the very routers it serves."""

import inspect
import json
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

from fastapi import APIRouter

from shared.auth import Verifier
from shared.dead_letters import dead_letters_router
from shared.web import Health, build_app

HERE = Path(__file__).parent / "openapi"
SERVICES = {
    "assignment": "Who gets what, and how: the decisions, and the thread of each assignment.",
    "licensing": "How many licences are left, and Apple's word on it.",
    "invitation": "Asking a person to join, and knowing when they did.",
    "mdm-push": "Telling the device, and hearing what it did.",
}
WAYS_IN = ("api", "checkin")
OPEN_DOORS = {
    "licensing": ("/apple/notifications/{library}",),
    "mdm-push": ("/mdm/checkin", "/mdm/connect"),
}
"""Where outside parties come in with a proof of their own."""


def routers(package: str) -> Iterator[APIRouter]:
    """Return a service's routers, made of nothing: they are described, not called."""
    for way in WAYS_IN:
        if find_spec(f"{package}.{way}") is not None:
            build = import_module(f"{package}.{way}").router
            yield build(**dict.fromkeys(inspect.signature(build).parameters))


async def _nobody_asks() -> list[str]:
    return []


def document(service: str) -> dict[str, Any]:
    """Return the OpenAPI document of a service."""
    found = [*routers(service.replace("-", "_")), dead_letters_router(cast("Any", None))]
    app = build_app(
        title=service,
        description=SERVICES[service],
        verifier=cast("Verifier", None),
        health=Health(stuck=list, unready=_nobody_asks),
        routers=found,
        open_doors=OPEN_DOORS.get(service, ()),
    )
    return app.openapi()


def main() -> None:
    """Write every document."""
    HERE.mkdir(exist_ok=True)
    for service in SERVICES:
        text = json.dumps(document(service), indent=1, ensure_ascii=False)
        (HERE / f"{service}.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
