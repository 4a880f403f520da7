"""The local copy of a changelog: it tells what was noted, and a wrong one is thrown away, never believed."""

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streams.changelog import Group
from streams.snapshot import MAX_AGE, Record, Snapshot

NOW = 1_800_000_000_000
CHUNKS: list[list[Record]] = [[(b"a", b"1"), (b"b", None)], [(b"a", "連携".encode())], [(b"c", b"3")]]

GROUPS = [
    Group("records", "main", {"a": {"": b"1"}}, []),
    Group("journeys", "main", {"b": {"r": b"2"}}, [("b", "r", 7)]),
]


def noted(path: Path, chunks: list[list[Record]] = CHUNKS, at: int = NOW) -> Path:
    snapshot = Snapshot(path)
    for number, records in enumerate(chunks):
        snapshot.append(records, (number + 1) * 10, at)
    snapshot.close()
    return path


def read(path: Path, *, now: int = NOW, earliest: int = 0, latest: int = 1_000) -> tuple[list[Record], int]:
    """What a file tells, and up to which offset."""
    snapshot = Snapshot(path)
    try:
        told: list[Record] = []
        for chunk in snapshot.read(now, earliest, latest):
            told += chunk if not isinstance(chunk, Group) else [(one.encode(), None) for one in chunk.rows]
        return told, snapshot.end
    finally:
        snapshot.close()


def test_what_was_noted_is_told_again(tmp_path: Path) -> None:
    assert read(noted(tmp_path / "s")) == ([one for chunk in CHUNKS for one in chunk], 30)


def test_a_new_file_tells_nothing(tmp_path: Path) -> None:
    assert read(tmp_path / "s") == ([], -1)


def test_a_file_cut_anywhere_tells_its_whole_chunks(tmp_path: Path) -> None:
    whole = noted(tmp_path / "s").read_bytes()
    ends = [len(noted(tmp_path / f"part{count}", CHUNKS[:count]).read_bytes()) for count in range(4)]
    for length in range(len(whole)):
        (tmp_path / "s").write_bytes(whole[:length])
        chunks = max(count for count in range(4) if ends[count] <= length)
        assert read(tmp_path / "s") == ([one for chunk in CHUNKS[:chunks] for one in chunk], chunks * 10 or -1)
        assert (tmp_path / "s").stat().st_size == ends[chunks]


def test_what_is_noted_after_a_torn_end_is_told_too(tmp_path: Path) -> None:
    path = noted(tmp_path / "s")
    path.write_bytes(path.read_bytes()[:-1])
    snapshot = Snapshot(path)
    list(snapshot.read(NOW, 0, 1_000))
    snapshot.append([(b"z", b"9")], 40, NOW)
    snapshot.close()
    assert read(path) == ([*CHUNKS[0], *CHUNKS[1], (b"z", b"9")], 40)


@given(st.integers(0), st.integers(1, 255))
@example(3, 3)  # records become a group
def test_a_changed_byte_is_never_believed(tmp_path_factory: pytest.TempPathFactory, where: int, change: int) -> None:
    """Beside the time and the offset in a chunk's head, everything is under a checksum."""
    path = noted(tmp_path_factory.mktemp("changed") / "s", CHUNKS[:1])
    content = bytearray(path.read_bytes())
    place = where % len(content)
    content[place] ^= change
    path.write_bytes(content)
    told, _ = read(path)
    assert told in ([], CHUNKS[0])


@given(st.integers(0), st.integers(1, 255))
@example(3, 3)  # a group becomes records
def test_a_changed_byte_of_a_rewritten_file_is_never_believed(
    tmp_path_factory: pytest.TempPathFactory, where: int, change: int
) -> None:
    path = tmp_path_factory.mktemp("changed") / "s"
    snapshot = Snapshot(path)
    snapshot.rewrite(GROUPS, [(b"c", b"3")], 30, NOW)
    snapshot.close()
    content = bytearray(path.read_bytes())
    content[where % len(content)] ^= change
    path.write_bytes(content)
    told, _ = read(path)
    assert told in ([], [(b"a", None), (b"b", None), (b"c", b"3")])


@pytest.mark.parametrize(
    "bounds",
    [{"latest": 29}, {"earliest": 31}, {"now": NOW + MAX_AGE + 1}],
    ids=["of a younger topic", "the topic begins later", "too old to know of deletions"],
)
def test_a_file_that_does_not_fit_the_topic_is_emptied(tmp_path: Path, bounds: dict[str, int]) -> None:
    path = noted(tmp_path / "s")
    assert read(path, **bounds) == ([], -1)
    assert path.stat().st_size == 0


def test_a_rewritten_file_holds_the_newest_values_alone_and_goes_on(tmp_path: Path) -> None:
    snapshot = Snapshot(noted(tmp_path / "s"))
    list(snapshot.read(NOW, 0, 1_000))
    snapshot.rewrite(GROUPS, [(b"c", b"3")], snapshot.end, NOW)
    snapshot.append([(b"d", None)], 40, NOW)
    snapshot.close()
    assert read(tmp_path / "s") == ([(b"a", None), (b"b", None), (b"c", b"3"), (b"d", None)], 40)
    assert [one.name for one in tmp_path.iterdir()] == ["s"]


def test_a_rewritten_file_that_is_torn_tells_nothing(tmp_path: Path) -> None:
    """Half of the newest values would be taken for all of them."""
    snapshot = Snapshot(tmp_path / "s")
    snapshot.rewrite(GROUPS, [(b"c", b"3")], 30, NOW)
    snapshot.close()
    whole = (tmp_path / "s").read_bytes()
    for length in range(len(whole)):
        (tmp_path / "s").write_bytes(whole[:length])
        assert read(tmp_path / "s") == ([], -1)


@contextmanager
def limited(size: int) -> Iterator[None]:
    """Files may not grow beyond this, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    former = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, former)


def test_a_full_disk_is_told_and_what_was_whole_is_still_told(tmp_path: Path) -> None:
    path = noted(tmp_path / "s")
    before = path.stat().st_size
    snapshot = Snapshot(path)
    list(snapshot.read(NOW, 0, 1_000))
    with limited(before + 10):
        with pytest.raises(OSError, match="large"):
            snapshot.append([(b"x" * 200_000, b"")], 40, NOW)
        snapshot.close()
    assert read(path) == ([one for chunk in CHUNKS for one in chunk], 30)


def test_a_full_disk_leaves_the_long_file_as_it_was(tmp_path: Path) -> None:
    snapshot = Snapshot(noted(tmp_path / "s"))
    list(snapshot.read(NOW, 0, 1_000))
    with limited(1_000), pytest.raises(OSError, match="large"):
        snapshot.rewrite([], [(b"x" * 200_000, b"")], 30, NOW)
    snapshot.append([(b"z", b"9")], 40, NOW)
    snapshot.close()
    assert read(tmp_path / "s") == ([*(one for chunk in CHUNKS for one in chunk), (b"z", b"9")], 40)
