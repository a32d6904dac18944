"""What each event heard does, on a real database: late, doubled, in any order, and in sets."""

import asyncio
import itertools
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from shared.errors import Poison
from shared.events import Heard
from shared.ids import new_id, new_ids
from shared.vault import Secret
from tests.invitation.conftest import LINK, Bus, associated, changed, deleted, heard, retired

OTHER_LINK = LINK.replace("c0ffee", "decaf")


async def test_a_person_who_is_known_is_invited_at_once_with_one_letter(bus: Bus) -> None:
    user = new_id()
    await bus.hear(changed(user))
    await bus.hear(bus.requested(user))
    assert await bus.states() == ["sending"]
    assert len(await _letters(bus)) == 1
    assert await bus.told() == []


async def test_scenario_27_an_invitation_waits_for_the_person_and_nobody_else_waits(bus: Bus) -> None:
    late, known = new_id(), new_id()
    await bus.hear(changed(known))
    await bus.hear(bus.requested(late), bus.requested(known))
    assert await bus.states() == ["waiting", "sending"]
    await bus.hear(changed(late))
    assert await bus.states() == ["sending", "sending"]
    assert len(await _letters(bus)) == 2


async def test_scenario_27_an_older_copy_than_the_askers_is_waited_for(bus: Bus) -> None:
    user = new_id()
    await bus.hear(changed(user, 3, mail_address=None))
    await bus.hear(bus.requested(user, person_version=4))
    assert await bus.states() == ["waiting"]
    await bus.hear(changed(user, 4, managed_apple_id="zoe@school.appleid.com"))
    assert await bus.states() == ["cancelled"]
    assert await bus.told() == ["InvitationCancelled"]
    assert await _letters(bus) == []


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"mail_address": None}, "InvitationBounced"),
        ({"mail_address": "no address"}, "InvitationBounced"),
        ({"managed_apple_id": "zoe@school.appleid.com"}, "InvitationCancelled"),
        ({"state": "left"}, "InvitationCancelled"),
    ],
)
async def test_who_cannot_or_need_not_be_written_to_ends_the_invitation(
    bus: Bus, said: dict[str, Any], told: str
) -> None:
    user = new_id()
    await bus.hear(changed(user, **said))
    await bus.hear(bus.requested(user))
    assert await bus.told() == [told]
    assert await _letters(bus) == []
    await bus.hear(bus.requested(user))
    assert await bus.told() == [told, told]
    assert len(await bus.states()) == 1


async def test_a_repeated_request_sends_no_second_letter_and_repeats_the_present_state(bus: Bus) -> None:
    user = new_id()
    await bus.hear(changed(user))
    await bus.hear(bus.requested(user), bus.requested(user))
    await bus.hear(bus.requested(user, version=2))
    assert await bus.told() == []
    await _as_sent(bus)
    await bus.hear(bus.requested(user), bus.requested(user, version=2))
    assert await bus.told() == ["InvitationSent", "InvitationSent"]
    assert await bus.states() == ["sent"]
    assert await _letters(bus) == []


async def test_the_answer_to_a_repeated_request_is_on_the_askers_thread(bus: Bus) -> None:
    user = new_id()
    await bus.hear(changed(user))
    await bus.hear(bus.requested(user))
    await _as_sent(bus)
    again = bus.requested(user)
    await bus.hear(again)
    [row] = await bus.fetch("SELECT headers FROM outbox")
    assert str(again.envelope.correlation_id).encode() in row["headers"]
    assert str(again.envelope.event_id).encode() in row["headers"]


async def test_a_later_apple_users_link_replaces_the_dead_one_and_is_written_again(bus: Bus) -> None:
    user = new_id()
    await bus.hear(changed(user))
    await bus.hear(bus.requested(user))
    await _as_sent(bus)
    await bus.hear(bus.requested(user, version=4, link=OTHER_LINK))
    assert await bus.states() == ["sending"]
    assert len(await _letters(bus)) == 1
    assert await _link(bus) == Secret(OTHER_LINK.encode())
    await bus.hear(retired(user, version=3))
    assert await bus.states() == ["sending"]


async def test_an_older_requests_link_replaces_nothing(bus: Bus) -> None:
    user = new_id()
    await bus.hear(changed(user))
    await bus.hear(bus.requested(user, version=4, link=OTHER_LINK))
    await bus.hear(bus.requested(user, version=1))
    assert await _link(bus) == Secret(OTHER_LINK.encode())


@pytest.mark.parametrize(
    ("end", "told"), [(associated, "InvitationAccepted"), (retired, "InvitationCancelled")]
)
async def test_scenario_28_apples_word_ends_the_invitation_whenever_it_comes(
    bus: Bus, end: Callable[..., Heard[Any]], told: str
) -> None:
    early, late = new_id(), new_id()
    await bus.hear(changed(early), changed(late))
    await bus.hear(end(early))
    await bus.hear(bus.requested(early), bus.requested(late))
    await bus.hear(end(late))
    assert await bus.told() == [told, told]
    assert await bus.fetch("SELECT id FROM invitation WHERE sealed_link IS NOT NULL") == []
    await bus.hear(bus.requested(late))
    assert await bus.told() == [told, told, told]
    assert len(await bus.states()) == 2


async def test_a_retired_apple_user_that_is_made_anew_is_invited_anew(bus: Bus) -> None:
    user = new_id()
    await bus.hear(changed(user))
    await bus.hear(bus.requested(user))
    await bus.hear(retired(user, version=2))
    await bus.hear(bus.requested(user, version=3, link=OTHER_LINK))
    assert await bus.states() == ["cancelled", "sending"]


async def test_scenario_26_an_older_copy_of_a_person_changes_nothing(bus: Bus) -> None:
    user = new_id()
    await bus.hear(changed(user, 5, mail_address="new@school.example"))
    await bus.hear(changed(user, 4), changed(user, 5))
    [row] = await bus.fetch("SELECT version, mail_address FROM person")
    assert (row["version"], row["mail_address"]) == (5, "new@school.example")


async def test_scenario_26_an_erased_person_never_returns_and_nothing_of_them_stays(bus: Bus) -> None:
    user = new_id()
    await bus.hear(changed(user, 1))
    await bus.hear(bus.requested(user))
    await bus.hear(deleted(user, 2))
    assert await bus.told() == ["InvitationCancelled"]
    await bus.hear(changed(user, 1), changed(user, 9))
    await bus.hear(bus.requested(user, version=7))
    [row] = await bus.fetch("SELECT * FROM person")
    assert (row["version"], row["deleted"]) == (2, True)
    assert [row[name] for name in ("name", "mail_address", "locale")] == [None] * 3
    assert await bus.told() == ["InvitationCancelled"] * 2
    assert await bus.fetch("SELECT id FROM invitation WHERE sealed_link IS NOT NULL") == []


async def test_whatever_the_order_of_the_news_the_end_is_the_same(bus: Bus) -> None:
    ends = set()
    for order in itertools.permutations(range(4)):
        user = new_id()
        told = [
            changed(user, 1),
            changed(user, 2, mail_address="z@school.example"),
            bus.requested(user),
            associated(user),
        ]
        for place in order:
            await bus.hear(told[place])
            await bus.hear(told[place])
        [row] = await bus.fetch("SELECT state, cause FROM invitation WHERE user_id = $1", user)
        [person] = await bus.fetch("SELECT version, mail_address FROM person WHERE user_id = $1", user)
        ends.add((row["state"], row["cause"], person["version"], person["mail_address"]))
    assert ends == {("accepted", "apple_user_associated", 2, "z@school.example")}


async def test_a_thousand_requests_are_handled_as_one_set(bus: Bus) -> None:
    users = new_ids(1000)
    sets: list[list[Heard[Any]]] = [
        [changed(user) for user in users],
        [bus.requested(user) for user in users],
        [associated(user) for user in users],
    ]
    for events in sets:
        assert 2 < await bus.statements_for(*events) <= 12
    assert await bus.states() == ["accepted"] * 1000
    assert len(await _letters(bus)) == 1000
    assert await bus.told() == ["InvitationAccepted"] * 1000


async def test_person_and_request_that_cross_each_other_always_meet(bus: Bus) -> None:
    """Without the person's lock each transaction could miss the other's row, and the invitation waits for ever."""
    for _ in range(25):
        user, known = new_id(), new_id()
        await asyncio.gather(bus.hear(changed(user)), bus.hear(bus.requested(user)))
        await bus.hear(changed(known, 1))
        await asyncio.gather(bus.hear(changed(known, 2)), bus.hear(bus.requested(known, person_version=2)))
    assert await bus.states() == ["sending"] * 50
    assert len(await _letters(bus)) == 50


async def test_people_in_any_order_never_deadlock(bus: Bus) -> None:
    users = new_ids(50)
    backwards = list(reversed(users))
    for version in range(1, 6):
        await asyncio.gather(
            bus.hear(*(changed(user, version) for user in users)),
            bus.hear(*(bus.requested(user) for user in backwards)),
            bus.hear(*(associated(user, version) for user in backwards)),
        )
    assert set(await bus.states()) == {"accepted"}


async def test_a_name_that_no_table_can_hold_is_kept_without_what_it_cannot(bus: Bus) -> None:
    await bus.hear(changed(new_id(), name="Zo\x00ë\r\nBcc: eve@evil.example"))
    [row] = await bus.fetch("SELECT name FROM person")
    assert row["name"] == "Zo ë Bcc: eve@evil.example"


async def test_a_link_sealed_for_another_event_is_poison(bus: Bus) -> None:
    stolen = bus.requested(new_id()).event
    with pytest.raises(Poison, match="sealed_link_unreadable"):
        await bus.hear(heard(stolen, 1))


async def test_a_link_that_is_none_is_poison_and_is_not_repeated_in_the_complaint(bus: Bus) -> None:
    with pytest.raises(Poison, match="link_unusable") as caught:
        await bus.hear(bus.requested(new_id(), link="javascript:c0ffee"))
    assert "c0ffee" not in str(caught.value)


async def test_an_event_without_a_version_is_poison(bus: Bus) -> None:
    with pytest.raises(Poison, match="no_sequence"):
        await bus.hear(heard(changed(new_id()).event, None))


async def test_the_link_is_nowhere_in_the_database_in_the_clear(bus: Bus) -> None:
    user = new_id()
    await bus.hear(changed(user))
    await bus.hear(bus.requested(user))
    tables = await bus.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    for table in tables:
        rows = await bus.fetch(f"SELECT t::text AS line FROM {table['tablename']} AS t")
        assert not any("c0ffee" in row["line"] or b"c0ffee".hex() in row["line"] for row in rows)


async def test_nothing_about_a_person_is_told(bus: Bus) -> None:
    user = new_id()
    await bus.hear(changed(user))
    await bus.hear(bus.requested(user))
    await bus.hear(associated(user))
    for row in await bus.fetch("SELECT headers, value FROM outbox"):
        said = row["headers"] + row["value"]
        assert not any(word in said for word in (b"zoe", b"Zo", b"school.example", b"c0ffee"))


async def _as_sent(bus: Bus) -> None:
    """Let the letters have gone."""
    async with bus.database.transaction() as tx:
        await tx.raw.execute("UPDATE invitation SET state = 'sent', sent_at = now() WHERE state = 'sending'")
        await tx.raw.execute("DELETE FROM work")


async def _letters(bus: Bus) -> list[UUID]:
    return [row["id"] for row in await bus.fetch("SELECT id FROM work WHERE kind = 'letter'")]


async def _link(bus: Bus) -> Secret:
    [row] = await bus.fetch("SELECT id, sealed_link FROM invitation ORDER BY id DESC LIMIT 1")
    return bus.vault.open(row["sealed_link"], table="invitation", column="sealed_link", row_id=row["id"])
