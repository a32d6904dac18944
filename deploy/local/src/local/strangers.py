"""Two chapters about other hands at the school's library: Apple lets in whoever has a content token."""

from functools import partial
from typing import Any

from local import school
from local.doors import Doors
from local.screen import Screen
from local.sights import Sights
from local.waiting import until

STRANGER = "GIVENELSEWHERE"
OTHER_SERVICE = "Another MDM"


class Strangers:
    """Somebody else with a content token of the same library."""

    def __init__(self, doors: Doors, sights: Sights, screen: Screen) -> None:
        self._doors = doors
        self._sights = sights
        self._check = screen.check

    async def give_a_licence(self) -> None:
        """Let a licence be given behind our back; find it, and take it back."""
        [library] = await self._doors.licensing.every("/v1/libraries")
        before = (await self._app())["available"]
        await self._associate(library["library_id"])
        found = await self._reconcile()
        differences = [f"{each['open']} {each['class']}" for each in found["differences"]]
        self._check("what differs from Apple's lists", differences, ["1 foreign"])
        app = await until(self._app, lambda app: app["foreign"] == 1)
        self._check("licences free, before and after", (before, app["available"]), (before, before - 1))
        await self._doors.licensing.post(f"/v1/reconciliations/{found['reconciliation_id']}/apply", {})
        app = await until(self._app, lambda app: app["foreign"] == 0 and app["available"] == before)
        self._check("free again, once that is repaired", app["available"], before)

    async def claim_the_library(self) -> None:
        """Let another service name itself at Apple; see that everything stops, and decide as an administrator."""
        [library] = await self._doors.licensing.every("/v1/libraries")
        path = f"/v1/libraries/{library['library_id']}"
        claim = {"id": "another-installation", "name": OTHER_SERVICE, "metadata": "mdm.example"}
        await self._doors.apple.put(f"/libraries/{library['library_id']}/mdm-info", claim)
        await self._doors.licensing.post("/v1/reconciliations", {})
        fenced = await self._state(path, "fenced")
        self._check("the library is", fenced["state"], "fenced")
        self._check("because it is claimed by", fenced["other_service"]["name"], OTHER_SERVICE)
        await self._doors.licensing.post(f"{path}/takeover")
        self._check(
            "once an administrator takes it over", (await self._state(path, "active"))["state"], "active"
        )

    async def _app(self) -> Any:
        [app] = await self._doors.licensing.every("/v1/pools", adam_id=school.APP_ADAM_ID)
        return app

    async def _associate(self, library_id: str) -> None:
        """Give a licence over Apple's own wire, with another content token of the same library."""
        token = (await self._doors.apple.post(f"/libraries/{library_id}/tokens", {}))["token"]
        body = {
            "assets": [{"adamId": school.APP_ADAM_ID, "pricingParam": "STDQ"}],
            "serialNumbers": [STRANGER],
        }
        await self._doors.apple_wire.post("/assets/associate", body, authorization=f"Bearer {token}")
        await until(
            partial(self._sights.at_apple, school.APP_ADAM_ID),
            lambda found: STRANGER in found["serialNumbers"],
        )

    async def _reconcile(self) -> Any:
        """Have our ledger compared with Apple's lists, and return what was found."""
        [begun] = (await self._doors.licensing.post("/v1/reconciliations", {}))["items"]
        path = f"/v1/reconciliations/{begun['reconciliation_id']}"
        return await until(partial(self._doors.licensing.get, path), lambda found: found["state"] == "ended")

    async def _state(self, path: str, state: str) -> Any:
        return await until(partial(self._doors.licensing.get, path), lambda found: found["state"] == state)
