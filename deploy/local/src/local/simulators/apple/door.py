"""The https door: which path is answered by whom."""

from starlette.applications import Starlette
from starlette.routing import Route

from local.simulators.apple.invitations import Invitations
from local.simulators.apple.legacy import Legacy
from local.simulators.apple.metadata import Metadata
from local.simulators.apple.service_config import BASE, INVITATION_PATH, LOOKUP_PATH
from local.simulators.apple.wire import Wire

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def build_door(wire: Wire, legacy: Legacy, metadata: Metadata, invitations: Invitations) -> Starlette:
    """Make the ASGI app. One route takes all methods, so that a wrong one too is refused in Apple's words.

    The calls of version 1 stand at Apple's two addresses, and under the base of version 2 for clients that are
    given one base only.
    """
    return Starlette(
        routes=[
            Route(BASE + "/{stem}Srv", legacy.serve, methods=METHODS),
            Route(BASE + "/{path:path}", wire.serve, methods=METHODS),
            Route(INVITATION_PATH, invitations.page, methods=["GET", "POST"]),
            Route(LOOKUP_PATH, metadata.lookup),
            Route("/mdm/{name}", legacy.serve, methods=METHODS),
            Route("/WebObjects/MZFinance.woa/wa/{name}", legacy.serve, methods=METHODS),
            Route("/lookup", metadata.itunes),
            Route("/v1/catalog/{storefront}/{resource:path}", metadata.catalog),
        ]
    )
