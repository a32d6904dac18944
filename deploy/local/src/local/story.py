"""The story that `make demo` tells: a school's app on its way to iPads and Macs, and its licences on their way back.

Everything is asked through the doors that anybody may use, and every figure is read from there.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from local import school
from local.doors import Doors
from local.screen import Screen
from local.sights import Sights
from local.strangers import Strangers
from local.waiting import until

LEAVERS = 20
WAITING = school.IPADS + school.MACS - school.APP_LICENSES
LEFT_FOR_MACS = school.APP_LICENSES - school.IPADS


@dataclass(frozen=True, slots=True)
class Chapter:
    """One step: its title, a sentence for a newcomer, and what is done and checked in it."""

    title: str
    sentence: str
    tell: Callable[[], Awaitable[None]]


class Story:
    """One school, one app, one book; each step leaves its figures on the screen."""

    def __init__(self, doors: Doors, screen: Screen) -> None:
        self._doors = doors
        self._sights = Sights(doors)
        self._strangers = Strangers(doors, self._sights, screen)
        self._check = screen.check
        self._app = ""
        self._book = ""
        self._ipads: list[str] = []
        self._macs: list[str] = []
        self._ipad_group = ""

    def chapters(self) -> Sequence[Chapter]:
        """Return the steps in their order; each rests on those before it."""
        return (*self._first_days(), *self._everyday(), *self._other_hands())

    def _first_days(self) -> Sequence[Chapter]:
        return (
            Chapter(
                "The school's purchases appear",
                "Its content token is installed, and Apple tells what it speaks for.",
                self._install_token,
            ),
            Chapter(
                "Devices enroll, and people are known",
                "Each device checks in over the MDM protocol, with a certificate of its own.",
                self._enroll,
            ),
            Chapter(
                "The app goes to the group of iPads",
                "One request. Apple confirms the licences, APNs wakes the iPads, they fetch, install and report.",
                self._assign_to_ipads,
            ),
            Chapter(
                "The Macs ask too, and there is not enough for all",
                "Who comes too late is not refused: it waits, and knows its place.",
                self._assign_to_macs,
            ),
        )

    def _everyday(self) -> Sequence[Chapter]:
        return (
            Chapter(
                f"{LEAVERS} iPads leave their group",
                "They lose the app. Their licences go to the waiting Macs first, the rest is free again.",
                self._leave,
            ),
            Chapter(
                "A new iPad joins the group",
                "Nobody asks for anything: what the group was given goes to whoever joins it.",
                self._join,
            ),
            Chapter(
                "A book for a device",
                "Apple gives books to people only. A no is an answer, with its reason.",
                self._refuse_book,
            ),
            Chapter(
                "An iPad is wiped, and enrolls again",
                "Its former right ends, and a new one brings the app back; the licence is not counted twice.",
                self._wipe,
            ),
        )

    def _other_hands(self) -> Sequence[Chapter]:
        return (
            Chapter(
                "Another hand gives a licence",
                "It shows up once our ledger is laid beside Apple's lists, and comes back on demand.",
                self._strangers.give_a_licence,
            ),
            Chapter(
                "Another service claims the library",
                "Two services on one content token would fight: everything stops until an administrator decides.",
                self._strangers.claim_the_library,
            ),
            Chapter(
                "Our ledger and Apple's counts agree",
                "Nothing was lost on the way, and nothing was given twice.",
                self._agree,
            ),
        )

    async def _install_token(self) -> None:
        await self._doors.install_push_certificate()
        library = await self._doors.apple.post("/libraries", {"assets": school.purchases()})
        await self._doors.licensing.post("/v1/content-tokens", {"content_token": library["token"]})
        assets = await until(self._sights.assets, lambda found: len(found) == 2)
        by_kind = {asset["kind"]: asset["id"] for asset in assets}
        self._check("assets", sorted(by_kind), ["vpp_app", "vpp_book"])
        self._app, self._book = by_kind["vpp_app"], by_kind["vpp_book"]
        app, book = await self._sights.pool(self._app), await self._sights.pool(self._book)
        self._check("licences of the app", app["capacity"], school.APP_LICENSES)
        self._check("of them free", app["available"], school.APP_LICENSES)
        self._check("licences of the book", book["capacity"], school.BOOK_LICENSES)

    async def _enroll(self) -> None:
        self._ipads = await self._doors.enroll_new_devices(school.IPADS, kind="ios", prefix="IPAD")
        self._macs = await self._doors.enroll_new_devices(school.MACS, kind="mac", prefix="MAC")
        ipads = await self._known("iOS", school.IPADS)
        macs = await self._known("macOS", school.MACS)
        self._check("iPads enrolled", len(ipads), school.IPADS)
        self._check("Macs enrolled", len(macs), school.MACS)
        for number, person in enumerate(school.people()):
            owned = [mac["id"] for mac in macs[number : number + 1]]
            await self._doors.assignment.post("/v1/users", person.described() | {"enrollment_ids": owned})
        people = await self._doors.assignment.every("/v1/users")
        self._check("people", len(people), school.PEOPLE)
        self._check("of them with a Mac", sum(bool(each["enrollment_ids"]) for each in people), school.MACS)

    async def _assign_to_ipads(self) -> None:
        self._ipad_group = await self._group("iPads of the school", self._ipads)
        before = await self._sights.available(self._app)
        assignment = await self._assign(self._ipad_group)
        self._check("iPads that the request reached", assignment["counts"]["requested"], school.IPADS)
        after = await self._free(before - school.IPADS)
        self._check("licences free, before and after", (before, after), (school.APP_LICENSES, LEFT_FOR_MACS))
        states = await self._settled(assignment, {"installed": school.IPADS})
        self._check("installed, as the service says", states["installed"], school.IPADS)
        self._check("as the iPads say", await self._sights.having(self._ipads), school.IPADS)

    async def _assign_to_macs(self) -> None:
        assignment = await self._assign(await self._group("Macs of the staff", self._macs))
        states = await self._settled(assignment, {"installed": LEFT_FOR_MACS, "waitlisted": WAITING})
        self._check("Macs that got the app", states["installed"], LEFT_FOR_MACS)
        self._check("Macs that wait", states["waitlisted"], WAITING)
        positions = [each["position"] for each in await self._sights.waitlist(self._app)]
        self._check("their places", positions, list(range(1, WAITING + 1)))
        self._check("licences free", await self._sights.available(self._app), 0)

    async def _leave(self) -> None:
        leavers, stayers = self._ipads[:LEAVERS], self._ipads[LEAVERS:]
        await self._members(self._ipad_group, leavers, leave=True)
        self._check("Macs that have the app now", await self._have(self._macs, school.MACS), school.MACS)
        self._check("Macs that still wait", len(await self._sights.waitlist(self._app)), 0)
        self._check("leavers that still have it", await self._have(leavers, 0), 0)
        self._check("iPads of the group that have it", await self._sights.having(stayers), len(stayers))
        self._check("licences free", await self._free(LEAVERS - WAITING), LEAVERS - WAITING)

    async def _join(self) -> None:
        before = await self._sights.available(self._app)
        [newcomer] = await self._doors.enroll_new_devices(1, kind="ios", prefix="NEW")
        await self._known("iOS", school.IPADS + 1)
        await self._members(self._ipad_group, [newcomer])
        self._check("the new iPad has the app", await self._have([newcomer], 1) == 1, expected=True)
        after = await self._free(before - 1)
        self._check("licences free, before and after", (before, after), (before, before - 1))

    async def _refuse_book(self) -> None:
        before = await self._sights.available(self._book)
        target = {"type": "device", "serial_number": self._ipads[-1]}
        body = {"assignments": [{"asset_id": self._book, "target": target}]}
        answer = await self._doors.assignment.post("/v1/assignments", body)
        [refused] = answer["assignments"]
        self._check("the answer", refused["refusal"], "kind_not_for_device")
        self._check("in words", refused["explanation"], "this kind of asset is for people, not for devices")
        after = await self._sights.available(self._book)
        self._check("books free, before and after", (before, after), (before, before))

    async def _wipe(self) -> None:
        serial = self._ipads[LEAVERS]
        before = await self._sights.available(self._app)
        [former] = await self._sights.lives(serial, self._app)
        await self._doors.devices.post("/devices/wipe", {"serials": [serial]})
        await self._doors.enroll([serial])
        lives = await until(
            partial(self._sights.lives, serial, self._app),
            lambda found: [life["state"] for life in found] == ["revoked", "installed"],
        )
        ended = [life["state"] for life in lives if life["id"] == former["id"]]
        self._check("its former right", ended, ["revoked"])
        self._check("because it was", lives[0]["reason"], "wiped")
        self._check("its right now", lives[-1]["state"], "installed")
        self._check("the iPad has the app again", await self._have([serial], 1) == 1, expected=True)
        after = await self._free(before)
        self._check("licences free, before and after", (before, after), (before, before))

    async def _agree(self) -> None:
        holders = school.IPADS - LEAVERS + school.MACS + 1
        free = school.APP_LICENSES - holders
        pool = await self._sights.pool(self._app)
        apple = await until(
            partial(self._sights.at_apple, school.APP_ADAM_ID),
            lambda found: found["assignedCount"] == holders,
        )
        self._check("given, by our ledger", pool["held"], holders)
        self._check("given, as Apple counts", apple["assignedCount"], holders)
        self._check("free, by our ledger", pool["available"], free)
        self._check("free, as Apple counts", apple["availableCount"], free)
        same = await self._sights.holders(self._app) == sorted(apple["serialNumbers"])
        self._check("the same devices on both lists", same, expected=True)

    async def _known(self, platform: str, count: int) -> list[Any]:
        """Wait until assignment knows so many devices of a platform, and return them."""
        return await until(
            partial(self._sights.devices, platform=platform), lambda found: len(found) == count
        )

    async def _group(self, name: str, serials: Sequence[str]) -> str:
        group: str = (await self._doors.assignment.post("/v1/device-groups", {"name": name}))["id"]
        await self._members(group, serials)
        return group

    async def _members(self, group: str, serials: Sequence[str], *, leave: bool = False) -> None:
        path = f"/v1/device-groups/{group}/members{'/remove' if leave else ''}"
        await self._doors.assignment.post(path, {"serial_numbers": list(serials)})

    async def _assign(self, group: str) -> Any:
        target = {"type": "device_group", "id": group}
        body = {"assignments": [{"asset_id": self._app, "target": target}]}
        [assignment] = (await self._doors.assignment.post("/v1/assignments", body))["assignments"]
        return assignment

    async def _settled(self, assignment: Any, expected: Mapping[str, int]) -> Counter[str]:
        """Wait until the entitlements of an assignment stand as expected, and return how they stand."""
        return await until(
            partial(self._sights.states, assignment["id"]), lambda found: found == Counter(expected)
        )

    async def _have(self, serials: Sequence[str], count: int) -> int:
        """Wait until so many of these devices have the app, and return how many do."""
        return await until(partial(self._sights.having, serials), lambda found: found == count)

    async def _free(self, count: int) -> int:
        """Wait until so many licences of the app are free, and return how many are."""
        return await until(partial(self._sights.available, self._app), lambda found: found == count)


async def tell(doors: Doors, screen: Screen) -> bool:
    """Tell the story up to the first step that does not hold, then the verdict; return whether all held."""
    chapters = Story(doors, screen).chapters()
    broken_by = None
    for chapter in chapters:
        screen.begin(chapter.title, chapter.sentence)
        try:
            await chapter.tell()
        except Exception as error:  # noqa: BLE001 - whatever broke it is the verdict
            broken_by = error
            break
        if not screen.end():
            break
    return screen.verdict(steps=len(chapters), broken_by=broken_by)
