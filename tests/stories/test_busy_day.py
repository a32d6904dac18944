"""A busy day: people ask, join, leave, revoke, wipe and buy all at once, and at its end everything adds up."""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from local.waiting import until
from tests.stories.stage import Stage, Title, group

IPADS = 14
LICENSES = 8
HANDS = 6
OVER = {None, "revoked", "refused"}
DEEDS = 12
"""Of each hand."""


@dataclass
class Day:
    """What many hands do at once to one app, some groups and some devices."""

    stage: Stage
    app: Title
    ipads: Sequence[str]
    groups: Sequence[str]
    assignments: list[Any] = field(default_factory=list)
    in_use: defaultdict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    async def pass_by(self, seed: int) -> None:
        """Let all hands do their deeds, each with dice of its own: what it wants does not hang on the others."""
        await asyncio.gather(*[self._hand(random.Random(f"{seed}, hand {hand}")) for hand in range(HANDS)])

    async def _hand(self, dice: random.Random) -> None:
        deeds: Sequence[tuple[Callable[[random.Random], Awaitable[Any]], int]] = (
            (self._join, 4),
            (self._leave, 3),
            (self._assign, 3),
            (self._revoke, 2),
            (self._wipe, 1),
            (self._check_out, 1),
            (self._return, 2),
            (self._go_offline, 1),
            (self._put_off, 2),
            (self._buy, 1),
        )
        for deed in dice.choices([deed for deed, _ in deeds], [often for _, often in deeds], k=DEEDS):
            await deed(dice)
            await asyncio.sleep(dice.random() / 5)

    async def _join(self, dice: random.Random) -> None:
        await self.stage.join(dice.choice(self.groups), self._some(dice))

    async def _leave(self, dice: random.Random) -> None:
        await self.stage.leave(dice.choice(self.groups), self._some(dice))

    async def _assign(self, dice: random.Random) -> None:
        wish = {"priority": dice.randint(-1, 1)}
        self.assignments.append(await self.stage.assign(self.app, group(dice.choice(self.groups)), **wish))

    async def _revoke(self, dice: random.Random) -> None:
        if self.assignments:
            await self.stage.revoke(dice.choice(self.assignments))

    async def _wipe(self, dice: random.Random) -> None:
        await self._with_one_device(dice, "wipe", "enroll")

    async def _check_out(self, dice: random.Random) -> None:
        await self._with_one_device(dice, "checkout")

    async def _return(self, dice: random.Random) -> None:
        await self._with_one_device(dice, "enroll")

    async def _go_offline(self, dice: random.Random) -> None:
        await self._with_one_device(dice, "offline", "online")

    async def _put_off(self, dice: random.Random) -> None:
        """Let some devices say NotNow to the next command, bring a report late, or twice."""
        mischief = {"not_now": {"*": 1}, "times": {"hold_report": 1, "duplicate_report": 1}}
        await self.stage.doors.devices.post("/devices/script", {"serials": self._some(dice), **mischief})

    async def _buy(self, _dice: random.Random) -> None:
        await self.stage.buy(self.app, 1)

    async def _with_one_device(self, dice: random.Random, *deeds: str) -> None:
        """Do something with a device that nobody else has in hand."""
        serial = dice.choice(self.ipads)
        async with self.in_use[serial]:
            for deed in deeds:
                await self.stage.doors.devices.post(f"/devices/{deed}", {"serials": [serial]})

    def _some(self, dice: random.Random) -> list[str]:
        return dice.sample(list(self.ipads), dice.randint(1, 4))

    async def entitled(self) -> set[str]:
        """Return the devices that are enrolled and in a group to which an assignment of the app stands."""
        standing = await self.stage.doors.assignment.every("/v1/assignments", asset_id=self.app.asset_id)
        given = {each["target"]["id"] for each in standing if each["state"] == "standing"}
        members = [
            await self.stage.doors.assignment.every(f"/v1/device-groups/{each}/members") for each in given
        ]
        return {each["serial_number"] for group in members for each in group if each["enrolled"]}

    async def adds_up(self) -> list[str]:
        """Return what does not add up: licences go to as many as there are, the others wait, nobody else has it."""
        entitled = await self.entitled()
        states = await self._latest_states()
        installed = {serial for serial, state in states.items() if state == "installed"}
        bought = (await self.stage.sights.at_apple(self.app.adam_id))["totalCount"]
        given = min(len(entitled), bought)
        free = bought - given
        wrong = {
            "too many or too few got it": len(installed) != given,
            "somebody else got it": not installed <= entitled,
            "not all the others wait": {states[each] for each in entitled - installed} - {"waitlisted"},
            "not all the rest is over": {states[each] for each in set(self.ipads) - entitled} - OVER,
            "devices say otherwise": installed ^ await self._having_it(),
            "counts": await self.stage.counts(self.app)
            != {"held": given, "free": free, "held_at_apple": given, "free_at_apple": free},
            "holders": sorted(installed) != await self.stage.sights.holders(self.app.asset_id),
            "two living lives": await self._most_living() > 1,
        }
        return [f"{what}: {which}" for what, which in wrong.items() if which]

    async def _having_it(self) -> set[str]:
        adam_id = int(self.app.adam_id)
        return {
            device["serial"]
            for device in await self.stage.doors.devices.get("/devices")
            if any(app["adam_id"] == adam_id and app["managed"] for app in device["apps"])
        }

    async def _latest_states(self) -> dict[str, str | None]:
        found = await self._all_lives()
        latest: dict[str, str | None] = dict.fromkeys(self.ipads)
        return latest | {life["serial_number"]: life["state"] for life in found}

    async def _most_living(self) -> int:
        living = [life for life in await self._all_lives() if life["ended_at"] is None]
        return max(Counter(life["serial_number"] for life in living).values(), default=0)

    async def _all_lives(self) -> list[Any]:
        return await self.stage.doors.assignment.every("/v1/entitlements", asset_id=self.app.asset_id)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.timeout(300, func_only=True)
async def test_at_the_end_of_a_busy_day_everything_adds_up(stage: Stage, seed: int) -> None:
    app = await stage.title(LICENSES)
    ipads = await stage.ipads(IPADS)
    day = Day(stage, app, ipads, [await stage.group([]) for _ in range(3)])
    await stage.doors.apple.patch("/knobs", {"event_delay_seconds": 0.2})
    await stage.script_apple(
        {"path": "assets/associate", "answer": "error", "status": 500, "skip": 2, "times": 2},
        {"path": "assets/disassociate", "answer": "error", "status": 503, "skip": 1, "times": 2},
        {"path": "status", "answer": "garbage", "skip": 3, "times": 2},
    )
    await day.pass_by(seed)
    await stage.doors.apple.delete("/faults")
    assert await until(day.adds_up, lambda wrong: not wrong, within_seconds=60) == []
    await asyncio.sleep(1)  # as long as a report that a device holds back
    assert await day.adds_up() == []
