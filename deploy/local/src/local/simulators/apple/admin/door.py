"""The admin door as one ASGI app; `/` is a page with a form for each route, the state and the requests."""

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from local.simulators.admin import new_door
from local.simulators.apple.admin.people import People
from local.simulators.apple.admin.shop import Shop
from local.simulators.apple.admin.ways import Ways
from local.simulators.apple.assets import CountError
from local.simulators.apple.invitations import InvitationGone
from local.simulators.apple.users import UserRefused


def build_admin_door(shop: Shop, people: People, ways: Ways) -> FastAPI:
    """Make the app. What the counts forbid, and accounts that cannot be used, answer 409."""
    app = new_door("Apple in a box: the admin door")
    app.add_exception_handler(CountError, _conflict)
    app.add_exception_handler(UserRefused, _refused)
    app.add_exception_handler(InvitationGone, _gone)
    for part in (shop, people, ways):
        app.include_router(part.router())
    return app


async def _conflict(_: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, 409)


async def _refused(_: Request, error: Exception) -> JSONResponse:
    number = error.number if isinstance(error, UserRefused) else 0
    return JSONResponse({"detail": "the account cannot be used", "errorNumber": number}, 409)


async def _gone(_: Request, __: Exception) -> JSONResponse:
    return JSONResponse({"detail": "there is no such invitation"}, 404)
