"""State rows on a compacted topic: what is written is read back, and the newest value of each row counts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import CodecError
from streams.changelog import Group, Layout, Positions, Restored, fingerprint_row, layout_row, position_row, row
from streams.stage import Changed

NAMES = st.sampled_from(["", "a", "ä", "案件", "🚚", "main\x1fdeal/1"])
STAGES = st.sampled_from(["records", "journeys", "chat"])
WRITTEN = st.lists(
    st.tuples(
        STAGES, NAMES,
        st.builds(Changed, NAMES, NAMES, st.none() | st.binary(max_size=20), st.none() | st.integers(0, 2**62)),
    )
)  # fmt: skip


def restored(*records: tuple[bytes, bytes | None]) -> Restored:
    found = Restored()
    found.take(records)
    return found


def expected(written: list[tuple[str, str, Changed]]) -> dict[tuple[str, str, str, str], tuple[bytes, int | None]]:
    rows: dict[tuple[str, str, str, str], tuple[bytes, int | None]] = {}
    for stage, workspace, one in written:
        name = (stage, workspace, one.key, one.part)
        rows.pop(name, None)
        if one.content is not None:
            rows[name] = one.content, one.due
    return rows


def held(found: Restored) -> dict[tuple[str, str, str, str], tuple[bytes, int | None]]:
    return {
        (stage, workspace, key, part): (content, stored.due_rows.get((key, part)))
        for (stage, workspace), stored in found.stages.items()
        for key, parts in stored.rows.items()
        for part, content in parts.items()
    }


@given(WRITTEN)
def test_the_newest_value_of_every_row_is_read_back(written: list[tuple[str, str, Changed]]) -> None:
    found = restored(*(row(*one) for one in written))
    assert held(found) == expected(written)
    assert found.live == len(expected(written))
    assert found.loose == len(written)


@given(WRITTEN, st.integers(0, 2**40))
def test_rows_told_again_say_the_same(written: list[tuple[str, str, Changed]], offset: int) -> None:
    """What a snapshot is rewritten from: groups of all rows, and the notes."""
    noted = [position_row(Positions({"journeys": offset}, {"records/0": (offset, 1)}, 7)), layout_row(Layout(4, True))]
    found = restored(*(row(*one) for one in written), *noted, fingerprint_row("案件", "f" * 64))
    again = restored(*found.notes())
    for group in found.groups():
        again.take_group(group)
    assert held(again) == held(found)
    assert again.positions == found.positions
    assert again.positions.next == {"journeys": offset}
    assert (again.layout, again.fingerprints) == (Layout(4, True), {"案件": "f" * 64})


def test_rows_after_a_group_replace_those_in_it() -> None:
    found = restored()
    rows = {"j": {"rules": b"1", "head": b"2"}, "k": {"rules": b"3"}}
    found.take_group(Group("journeys", "main", rows, [("j", "rules", 50)]))
    found.take_group(Group("journeys", "main", {"l": {"rules": b"4"}}, []))
    later = [Changed("j", "rules", b"5"), Changed("k", "rules", None)]
    found.take(row("journeys", "main", changed) for changed in later)
    kept = {("j", "rules"): b"5", ("j", "head"): b"2", ("l", "rules"): b"4"}
    assert held(found) == {("journeys", "main", *name): (content, None) for name, content in kept.items()}


def test_a_deleted_row_takes_its_due_time_with_it() -> None:
    records = [row("journeys", "main", Changed("j", "rules", content, due)) for content, due in ((b"1", 50), (None, 9))]
    found = restored(*records)
    assert found.of("journeys", "main").dues == {}
    assert found.workspaces() == []


def test_a_row_written_without_a_due_time_is_due_no_more() -> None:
    found = restored(*(row("journeys", "main", Changed("j", "rules", b"1", due)) for due in (50, None)))
    assert found.of("journeys", "main").dues == {}


def test_rows_are_handed_out_once() -> None:
    found = restored(row("records", "main", Changed("r", "", b"1")))
    assert found.of("records", "main").rows == {"r": {"": b"1"}}
    assert found.of("records", "main").rows == {}


@pytest.mark.parametrize("key", [b"", b"plain", b"\x91\xa1a", "案件".encode(), b"\x94\xa1\x80\xa0\xa0\xa0"])
def test_what_is_not_a_state_row_is_refused(key: bytes) -> None:
    with pytest.raises(CodecError, match="not a state row"):
        restored((key, b"\x00" * 9))
