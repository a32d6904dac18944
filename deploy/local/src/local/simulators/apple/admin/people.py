"""Admin routes of what happens to people and devices: invitations accepted, devices that ask for their licenses."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException

from local.simulators.apple.admin.bodies import Acceptance, SignedIn
from local.simulators.apple.admin.shop import find_library
from local.simulators.apple.invitations import Invitations
from local.simulators.apple.store import Asking, Store
from local.simulators.apple.world import World


class People:
    """Persons with Apple Accounts, and the devices in their hands."""

    def __init__(self, world: World, invitations: Invitations) -> None:
        self._world = world
        self._invitations = invitations
        self._store = Store(world)

    def router(self) -> APIRouter:
        """Make the routes; their table stands here."""
        router = APIRouter()
        for method, path, endpoint in (
            ("GET", "/libraries/{uid}/users", self.users),
            ("POST", "/libraries/{uid}/invitations/accept", self.accept),
            ("POST", "/invitations/accept", self.accept_code),
            ("PUT", "/libraries/{uid}/signed-in", self.sign_in),
            ("GET", "/licenses", self.find_license),
            ("GET", "/apps", self.find_app),
        ):
            router.add_api_route(path, endpoint, methods=[method])
        return router

    async def users(self, uid: str) -> list[dict[str, Any]]:
        """Show every record of the library, with the account tied to it, which Apple never tells."""
        return [
            user.wire() | {"account": user.account, "userId": user.number}
            for user in find_library(self._world, uid).users
        ]

    async def accept(self, uid: str, body: Acceptance) -> dict[str, Any]:
        """Accept the invitation of a user of this library; answers the record that is Associated now.

        404 where there is no such invitation; 409 with `errorNumber` where the account cannot be used.
        """
        user = find_library(self._world, uid).users.active(body.client_user_id or "")
        return await self.accept_code(
            body if user is None else body.model_copy(update={"invite_code": user.invite_code})
        )

    async def accept_code(self, body: Acceptance) -> dict[str, Any]:
        """Accept an invitation by its code alone, as a person does who has only the link."""
        _, user = self._invitations.accept(body.invite_code or "", body.account)
        return user.wire()

    async def sign_in(self, uid: str, body: SignedIn) -> None:
        """Say on how many devices a user's account is signed in."""
        user = find_library(self._world, uid).users.active(body.client_user_id)
        if user is None:
            raise HTTPException(404, "no such user")
        user.devices = body.devices

    async def find_license(self, asking: Annotated[Asking, Depends()]) -> dict[str, float]:
        """Answer a device that wants to install: 200 and how long the license is held, else 404 (its error 9610).

        Shortly after the association it may not be seen yet: `license_lag_seconds`.
        """
        held_seconds = self._store.held_seconds(asking)
        if held_seconds is None:
            raise HTTPException(404, "no license")
        return {"held_seconds": held_seconds}

    async def find_app(self, asking: Annotated[Asking, Depends()]) -> dict[str, Any]:
        """Answer a device that has an app whether it still opens, and until when (UNIX time; null: no end)."""
        usable, until = self._store.usable(asking)
        return {"usable": usable, "until": until}
