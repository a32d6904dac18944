"""The admin door: make libraries, buy and refund, turn knobs, script faults, and see what happened."""

from dataclasses import fields
from datetime import timedelta
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from pydantic import TypeAdapter, ValidationError

from local.simulators.apple.admin_bodies import (
    AssetListing,
    NewLibrary,
    NewToken,
    Pair,
    Purchase,
    Refund,
    Transfer,
)
from local.simulators.apple.dump import describe
from local.simulators.apple.faults import Fault
from local.simulators.apple.library import Asset, CountError, Library
from local.simulators.apple.notify import Notifier
from local.simulators.apple.portal import Portal
from local.simulators.apple.settings import Knobs
from local.simulators.apple.worker import Worker
from local.simulators.apple.world import World

KNOBS = TypeAdapter(Knobs)


class AdminDoor:
    """Plain HTTP for stories, tests and other people's CI; `/docs` shows every body."""

    def __init__(self, world: World, portal: Portal, worker: Worker, notifier: Notifier) -> None:
        self._world = world
        self._portal = portal
        self._worker = worker
        self._notifier = notifier

    def app(self) -> FastAPI:
        """Make the ASGI app; its table of routes stands here."""
        app = FastAPI(title="Apple in a box: the admin door")
        app.add_exception_handler(CountError, _conflict)
        for method, path, endpoint in (
            ("POST", "/libraries", self.open_library),
            ("POST", "/libraries/{uid}/tokens", self.issue_token),
            ("DELETE", "/libraries/{uid}/tokens", self.revoke_tokens),
            ("POST", "/libraries/{uid}/assets", self.list_asset),
            ("POST", "/libraries/{uid}/purchases", self.buy),
            ("POST", "/libraries/{uid}/refunds", self.refund),
            ("POST", "/libraries/{uid}/transfers", self.transfer),
            ("PATCH", "/knobs", self.turn_knobs),
            ("POST", "/faults", self.script_faults),
            ("DELETE", "/faults", self.clear_faults),
            ("GET", "/licenses", self.find_license),
            ("GET", "/state", self.state),
            ("POST", "/reset", self.reset),
        ):
            app.add_api_route(path, endpoint, methods=[method])
        return app

    async def open_library(self, body: NewLibrary) -> dict[str, str]:
        """Open a library and answer its `uid` and the text of a .vpptoken file."""
        library = self._portal.open_library(
            uid=body.uid,
            country=body.country,
            platform=body.platform,
            location_name=body.location_name,
        )
        library.users = dict.fromkeys(body.users)
        for listing in body.assets:
            self._portal.buy(library, listing.asset(), listing.total)
        token = self._world.issue_token(library, organization=body.organization)
        return {"uid": library.uid, "token": token.text}

    async def issue_token(self, uid: str, body: NewToken) -> dict[str, str]:
        """Download another token of the library; the former ones stay valid."""
        life = timedelta(days=body.expires_in_days)
        token = self._world.issue_token(self._library(uid), organization=body.organization, life=life)
        return {"uid": uid, "token": token.text}

    async def revoke_tokens(self, uid: str) -> None:
        """Every token of the library issued so far answers 9625 from now on."""
        library = self._library(uid)
        for token in self._world.tokens.values():
            if token.library is library:
                token.revoked = True

    async def list_asset(self, uid: str, body: AssetListing) -> dict[str, Any]:
        """Buy an asset that the library may not have had until now, and answer it."""
        library = self._library(uid)
        self._portal.buy(library, body.asset(), body.total)
        return library.assets[body.key()].wire()

    async def buy(self, uid: str, body: Purchase) -> dict[str, Any]:
        """Buy more licenses of an asset and answer it."""
        library, asset = self._owned(uid, body)
        self._portal.buy(library, asset, body.count)
        return asset.wire()

    async def refund(self, uid: str, body: Refund) -> dict[str, Any]:
        """Give licenses back and answer the asset; 409 where `assigned` forbids it."""
        library, asset = self._owned(uid, body)
        self._portal.refund(library, asset.key, body.count, assigned=body.assigned)
        return asset.wire()

    async def transfer(self, uid: str, body: Transfer) -> dict[str, Any]:
        """Move free licenses to another library and answer the asset left; 409 where too few are free."""
        library, asset = self._owned(uid, body)
        self._portal.transfer(library, self._library(body.to), asset.key, body.count)
        return asset.wire()

    async def turn_knobs(self, changes: dict[str, Any]) -> Knobs:
        """Turn the knobs named; `limits` too may be named in part. Answers them all."""
        former = {knob.name: getattr(self._world.knobs, knob.name) for knob in fields(Knobs)}
        if isinstance(changes.get("limits"), dict):
            changes = changes | {"limits": {**former["limits"], **changes["limits"]}}
        try:
            self._world.knobs = KNOBS.validate_python({**former, **changes})
        except ValidationError as error:
            raise HTTPException(422, error.errors(include_url=False, include_context=False)) from None
        self._worker.heed_knobs()
        return self._world.knobs

    async def script_faults(self, faults: list[Fault]) -> None:
        """Append faults to the script."""
        self._world.faults.add(faults)

    async def clear_faults(self) -> None:
        """From now on every answer is honest."""
        self._world.faults.clear()

    async def find_license(self, serial_number: str, adam_id: str) -> None:
        """Answer a simulated device that wants to install: 200 where it holds a license, else 404."""
        if not self._world.knows_license(serial_number, adam_id):
            raise HTTPException(404, "no license")

    async def state(self, *, holders: bool = True) -> dict[str, Any]:
        """Show all there is to assert on; `holders=false` leaves out who holds licenses, maybe a million."""
        return describe(self._world, holders=holders)

    async def reset(self) -> None:
        """Forget libraries, tokens, events and faults, and put back the knobs of the start."""
        await self._worker.stop()
        await self._notifier.forget()
        self._world.reset()
        self._worker.heed_knobs()

    def _library(self, uid: str) -> Library:
        library = self._world.libraries.get(uid)
        if library is None:
            raise HTTPException(404, f"no library {uid}")
        return library

    def _owned(self, uid: str, pair: Pair) -> tuple[Library, Asset]:
        library = self._library(uid)
        asset = library.assets.get(pair.key())
        if asset is None:
            raise HTTPException(404, f"the library has no asset {pair.adam_id} {pair.pricing_param}")
        return library, asset


async def _conflict(_: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, 409)
