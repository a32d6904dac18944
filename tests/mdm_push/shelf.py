"""An in-memory stand for the rules: it stores what they decide, and plays one obedient device with one asset."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from mdm_push import commands
from mdm_push.decide import Knowledge, Outcome, Place, Standing, hear, listed, reported, unenrolled
from mdm_push.messages import Report, read
from mdm_push.model import (
    App,
    Ask,
    Enrollment,
    EnrollmentState,
    Intent,
    NewCommand,
    Patience,
    Wish,
    WishState,
)
from shared.events.words import AssetKind, Channel, EnrollmentKind, Platform
from shared.ids import new_id

PATIENCE = Patience(verify_limit_seconds=60)
ASSET = new_id()
BUNDLE = "com.example.app"
ABOUT_WISHES = {commands.INSTALL_APPLICATION, commands.REMOVE_APPLICATION}


@dataclass(slots=True)
class Queued:
    command: NewCommand
    handed_out: bool = False


@dataclass(slots=True)
class Shelf:
    """`on_device` is the truth about the app; `told` all events in order."""

    enrollment: Enrollment = field(
        default_factory=lambda: Enrollment(
            id=new_id(),
            apple_id="U",
            generation=1,
            version=1,
            state=EnrollmentState.ENROLLED,
            kind=EnrollmentKind.DEVICE,
            platform=Platform.MACOS,
            os_version="13.6",
            supervised=True,
        )
    )
    now: datetime = datetime(2026, 11, 22, tzinfo=UTC)
    wishes: dict[UUID, Wish] = field(default_factory=dict)
    queue: list[Queued] = field(default_factory=list)
    app: App | None = None
    on_device: bool = False
    told: list[object] = field(default_factory=list)

    def ask(self, delivery: UUID, intent: Intent, version: int) -> list[object]:
        """Hear one ask; return what is told at once."""
        ask = Ask(
            delivery_id=delivery,
            entitlement_id=delivery,
            version=version,
            enrollment_id=self.enrollment.id,
            channel=Channel.DEVICE,
            asset_id=ASSET,
            kind=AssetKind.VPP_APP,
            adam_id="1",
            intent=intent,
            correlation_id=new_id(),
            causation_id=new_id(),
        )
        active = self.one({WishState.COMMANDED, WishState.VERIFYING})
        standing = Standing(
            enrollment=self.enrollment,
            mine=tuple(wish for wish in self.wishes.values() if wish.delivery_id == delivery),
            active=active,
            handed_out=any(
                each.handed_out for each in self.queue if active and each.command.wish_id == active.id
            ),
            waiting=self.one({WishState.WAITING}),
            app=self.app,
            newest=max((wish.delivery_id for wish in self.wishes.values()), default=None),
        )
        return self._store(hear(ask, standing, wish_id=new_id(), now=self.now, patience=PATIENCE))

    def poll(self) -> Queued | None:
        """Hand out the head of the queue."""
        due = [each for each in self.queue if each.command.due_at <= self.now]
        if not due:
            return None
        due[0].handed_out = True
        return due[0]

    def answer(self, *, errors: tuple[int, ...] = ()) -> list[object]:
        """Poll, and report what an obedient device would; an error only where one is given."""
        head = self.poll()
        if head is None:
            self.now += timedelta(seconds=5)
            return []
        self.queue.remove(head)
        if head.command.request_type == commands.MANAGED_APPLICATION_LIST:
            return self._listed()
        if errors:
            report = {"Status": "Error", "ErrorChain": [{"ErrorCode": code} for code in errors]}
        else:
            self.on_device = head.command.request_type == commands.INSTALL_APPLICATION
            report = {"Status": "Acknowledged"}
        wish = self.wishes[head.command.wish_id] if head.command.wish_id else None
        if wish is None:
            raise AssertionError("a command without a wish")
        place = Place(self.enrollment, self.one({WishState.WAITING}), self.app)
        return self._store(reported(wish, read(Report, report), place, now=self.now, patience=PATIENCE))

    def unenroll(self) -> list[object]:
        """End the life of the enrollment."""
        self.queue.clear()
        self.on_device = False
        return self._store(unenrolled([wish for wish in self.wishes.values() if wish.state.open]))

    def settle(self) -> None:
        """Let the device work until nothing is open."""
        for _ in range(200):
            if not any(wish.state.open for wish in self.wishes.values()):
                return
            self.answer()
        raise AssertionError(f"never settled: {self.wishes}")

    def one(self, states: set[WishState]) -> Wish | None:
        """Return the one wish in these states."""
        found = [wish for wish in self.wishes.values() if wish.state in states]
        assert len(found) <= 1
        return found[0] if found else None

    def _listed(self) -> list[object]:
        verifying = [wish for wish in self.wishes.values() if wish.state is WishState.VERIFYING]
        statuses = {BUNDLE: "Managed"} if self.on_device else {}
        known = Knowledge(self.enrollment, {ASSET: self.app} if self.app else {}, {})
        return self._store(listed(verifying, statuses, knowledge=known, now=self.now, patience=PATIENCE))

    def _store(self, outcome: Outcome) -> list[object]:
        self.wishes |= {wish.id: wish for wish in outcome.wishes}
        self.queue += [Queued(command) for command in outcome.commands]
        over = {wish.id for wish in self.wishes.values() if not wish.state.open}
        self.queue = [each for each in self.queue if each.command.wish_id not in over]
        if outcome.apps:
            self.app = outcome.apps[-1]
        events: list[object] = [each.event for each in outcome.events]
        self.told += events
        self.check()
        return events

    def check(self) -> None:
        """Hold the invariants: one open wish per (enrollment, asset), one open command per commanded wish."""
        self.one({WishState.COMMANDED, WishState.VERIFYING})
        self.one({WishState.WAITING})
        about = [each for each in self.queue if each.command.request_type in ABOUT_WISHES]
        assert len(about) <= 1
        commanded = self.one({WishState.COMMANDED})
        assert [each.command.wish_id for each in about] == ([commanded.id] if commanded else [])
