"""Batches of several topics in the order of time, however they were cut."""

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from streams.merging import Batch, Merge
from streams.topology import Incoming

TOPICS = ("changes.a", "changes.b", "journeys")


def records(times: Sequence[int], start: int = 0, step: int = 1) -> list[Incoming]:
    return [Incoming(start + number * step, b"k", b"v", (), at) for number, at in enumerate(times)]


def batch(topic: str, found: Sequence[Incoming], start: int | None = None, end: int | None = None) -> Batch:
    first = found[0].offset if start is None else start
    return Batch(topic, 0, first, found[-1].offset + 1 if end is None else end, list(found))


def drained(merge: Merge, most: int = 1_000) -> list[tuple[str, int]]:
    """Everything that waits, by topic and offset; what was read before a topic ran out first."""
    order: list[tuple[str, int]] = []
    while merge.count:
        order += [(piece.topic, one.offset) for piece in merge.take(most) for one in piece.records]
    return order


def merge_of(**topics: list[Incoming]) -> Merge:
    merge = Merge(dict.fromkeys(topics, 0))
    for topic, found in topics.items():
        if found:
            assert merge.put(batch(topic, found))
    return merge


TIMES = st.dictionaries(st.sampled_from(TOPICS), st.lists(st.integers(0, 5), min_size=1, max_size=12), min_size=1)


@given(TIMES.map(lambda times: {topic: sorted(found) for topic, found in times.items()}), st.data())
def test_the_order_is_that_of_time_however_it_was_cut(times: dict[str, list[int]], data: st.DataObject) -> None:
    """Ties go by the name of the topic; the order inside a topic stays."""
    whole = {topic: records(found) for topic, found in times.items()}
    wanted = sorted((one.at, topic, one.offset) for topic, found in whole.items() for one in found)
    merge = Merge(dict.fromkeys(whole, 0))
    for topic, found in whole.items():
        cuts = sorted(data.draw(st.sets(st.integers(1, len(found)))) | {0, len(found)})
        for first, last in pairwise(cuts):
            assert merge.put(batch(topic, found[first:last]))
    order = drained(merge, data.draw(st.integers(1, 7)))
    assert order == [(topic, offset) for _, topic, offset in wanted]


def test_those_named_go_first_among_records_of_one_time() -> None:
    merge = Merge({"a": 0, "b": 0, "c": 0}, ["c", "elsewhere", "b"])
    for topic in "abc":
        assert merge.put(batch(topic, records([1, 2])))
    assert drained(merge) == [(topic, offset) for offset in (0, 1) for topic in "cba"]


@given(TIMES, st.data())
def test_every_record_comes_once_in_the_order_of_its_topic(times: dict[str, list[int]], data: st.DataObject) -> None:
    """Whatever their times, and however often something was read twice."""
    whole = {topic: records(found) for topic, found in times.items()}
    merge = Merge(dict.fromkeys(whole, 0))
    order: list[tuple[str, int]] = []
    for topic, found in whole.items():
        ends = data.draw(st.lists(st.integers(1, len(found)), max_size=4))
        for end in [*ends, len(found)]:
            start = data.draw(st.integers(0, end - 1))
            if merge.put(batch(topic, found[start:end])):
                order += [(piece.topic, one.offset) for piece in merge.take(2) for one in piece.records]
        merge.put(batch(topic, found))
    order += drained(merge)
    for topic, found in whole.items():
        assert [offset for name, offset in order if name == topic] == [one.offset for one in found]


def test_taking_ends_where_a_topic_runs_out() -> None:
    """More of it may be older than what the others have."""
    merge = merge_of(a=records([1, 3]), b=records([2, 9]))
    order = [(piece.topic, [one.at for one in piece.records]) for piece in merge.take(100)]
    assert order == [("a", [1]), ("b", [2]), ("a", [3])]
    assert merge.empty() == {"a": 2}


def test_what_does_not_follow_is_refused_and_nothing_of_it_kept() -> None:
    merge = merge_of(a=records([1, 2]))
    assert not merge.put(batch("a", records([9], start=5)))
    assert drained(merge) == [("a", 0), ("a", 1)]


def test_offsets_missing_inside_a_batch_are_no_gap() -> None:
    """Compacted records and the ends of transactions leave holes."""
    merge = merge_of(a=records([1, 2, 3], step=4))
    assert merge.put(batch("a", records([4], start=20), start=9, end=30))
    assert [piece.end for piece in merge.take(100)] == [30]


def test_the_end_of_a_piece_is_what_follows_next() -> None:
    merge = merge_of(a=records([1, 2, 3], step=4))
    assert [piece.end for piece in merge.take(1)] == [4]


def test_offsets_without_a_record_are_taken_by_themselves() -> None:
    merge = Merge({"a": 0, "b": 0})
    assert merge.put(Batch("a", 0, 0, 2, []))
    assert merge.has_skips
    assert [(piece.topic, piece.records, piece.end) for piece in merge.skips()] == [("a", [], 2)]
    assert not merge.has_skips


def test_offsets_without_a_record_never_overtake_one_that_waits() -> None:
    merge = Merge({"a": 0})
    merge.put(Batch("a", 0, 0, 2, []))
    merge.put(batch("a", records([1], start=2)))
    merge.put(Batch("a", 0, 3, 5, []))
    assert merge.skips() == []
    assert [(len(piece.records), piece.end) for piece in merge.take(9)] == [(1, 5)]


def test_what_is_forgotten_is_read_again() -> None:
    merge = merge_of(a=records([1, 2]), b=records([3]))
    merge.clear(["a"], {"a": 0})
    assert merge.count == 1
    assert merge.put(batch("a", records([1, 2])))
    assert drained(merge) == [("a", 0), ("a", 1), ("b", 0)]
