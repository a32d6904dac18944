"""Reconciles a school over HTTP, and looks at what was found."""

from typing import Any

from licensing import work
from tests.licensing.conftest import Call
from tests.licensing.office import Office, serials
from tests.licensing.situation import Wish, wishes

LONG_ENOUGH = 120.0
"""Seconds after which a change is no doubt any more."""


class Audit:
    """Reconciles the school over HTTP."""

    def __init__(self, school: Office, call: Call) -> None:
        self._school = school
        self._call = call

    async def get(self, path: str) -> Any:
        response = await self._call("GET", f"/v1/reconciliations{path}")
        assert response.status_code == 200, response.text
        return response.json()

    async def post(self, path: str, body: Any) -> Any:
        response = await self._call("POST", f"/v1/reconciliations{path}", json=body)
        assert response.status_code == 202, response.text
        return response.json()

    async def begin(self) -> str:
        self._school.clock.turn(LONG_ENOUGH)
        [begun] = (await self.post("", {}))["items"]
        return str(begun["reconciliation_id"])

    async def run(self) -> str:
        """Reconcile to the end; whatever else is due is done too."""
        reconciliation_id = await self.begin()
        assert set(await self._school.work(work.RECONCILE)) == {work.RECONCILE}
        return reconciliation_id

    async def found(self, reconciliation_id: str, **wanted: str) -> list[dict[str, Any]]:
        query = "&".join(f"{name}={value}" for name, value in wanted.items())
        items: list[dict[str, Any]] = (await self.get(f"/{reconciliation_id}/differences?{query}"))["items"]
        return items

    async def apply(self, reconciliation_id: str, *classes: str) -> None:
        await self.post(f"/{reconciliation_id}/apply", {"classes": list(classes)} if classes else {})
        assert set(await self._school.work(work.REPAIR)) == {work.REPAIR}

    async def states(self, reconciliation_id: str) -> dict[str, dict[str, int]]:
        """Return the counts of each class, those that are not 0."""
        rows = (await self.get(f"/{reconciliation_id}"))["differences"]
        names = ("open", "applied", "gone", "ignored")
        return {row["class"]: {name: row[name] for name in names if row[name]} for row in rows}


async def given(school: Office, count: int, prefix: str = "S") -> list[Wish]:
    """Let so many devices have their licence, confirmed."""
    targets = wishes(count, prefix)
    await school.request(*targets)
    await school.settle_all()
    assert await school.assigned() >= serials(targets)
    await school.told()
    return targets
