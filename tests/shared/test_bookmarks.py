from types import SimpleNamespace

from aiokafka import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from shared.bookmarks import Bookmarks

HERE = TopicPartition("t", 0)
THERE = TopicPartition("t", 1)


def records(*offsets: int) -> list[SimpleNamespace]:
    return [SimpleNamespace(offset=offset) for offset in offsets]


def test_nothing_is_lost_where_the_log_still_has_what_was_not_read() -> None:
    bookmarks = Bookmarks()
    assert bookmarks.place({HERE: 7}, {HERE: 7}) == {}
    assert bookmarks.move({HERE: records(7, 8)}) == {}
    assert bookmarks.move({HERE: records(9)}) == {}


def test_a_log_that_begins_behind_the_committed_offset_lost_records() -> None:
    assert Bookmarks().place({HERE: 7, THERE: 7}, {HERE: 8, THERE: 2}) == {HERE: 8}


def test_a_group_of_which_the_broker_knows_nothing_lost_what_the_log_lost() -> None:
    """Offsets are forgotten with the same patience as records: who was away for too long finds neither."""
    assert Bookmarks().place({HERE: None, THERE: None}, {HERE: 3, THERE: 0}) == {HERE: 3}


def test_a_hole_between_two_polls_is_a_loss_and_is_told_once() -> None:
    bookmarks = Bookmarks()
    bookmarks.place({HERE: 0}, {HERE: 0})
    bookmarks.move({HERE: records(0, 1)})
    assert bookmarks.move({HERE: records(5, 6)}) == {HERE: 5}
    assert bookmarks.move({HERE: records(7)}) == {}


def test_partitions_that_went_are_looked_up_again() -> None:
    bookmarks = Bookmarks()
    bookmarks.place({HERE: 3}, {HERE: 0})
    assert bookmarks.missing([THERE, HERE]) == [THERE]
    bookmarks.forget()
    assert bookmarks.missing([THERE, HERE]) == [HERE, THERE]
    assert bookmarks.move({HERE: records(90)}) == {}  # somebody else read up to there


@given(st.lists(st.integers(1, 9), min_size=1, max_size=20), st.sets(st.integers(0, 19)))
def test_exactly_the_polls_behind_a_hole_are_told(sizes: list[int], holes: set[int]) -> None:
    bookmarks, offset = Bookmarks(), 0
    bookmarks.place({HERE: 0}, {HERE: 0})
    for poll, size in enumerate(sizes):
        offset += 100 if poll in holes else 0
        lost = bookmarks.move({HERE: records(*range(offset, offset + size))})
        assert lost == ({HERE: offset} if poll in holes else {})
        offset += size
