"""The broker's own messages about commits: where they are, and what they say."""

import struct

import pytest

from connectors.kafka_io import Partition
from connectors.lag_reader import Committed, commit_of, home


def text(words: str) -> bytes:
    packed = words.encode()
    return struct.pack(">h", len(packed)) + packed


def key(group: str, topic: str, partition: int, version: int = 1) -> bytes:
    return struct.pack(">h", version) + text(group) + text(topic) + struct.pack(">i", partition)


def value(offset: int, version: int = 3) -> bytes:
    return struct.pack(">hq", version, offset) + b"what follows differs from version to version"


@pytest.mark.parametrize("version", [0, 1, 3, 4])
def test_a_commit_is_read_whatever_its_version(version: int) -> None:
    told = commit_of(key("renkei", "顧客", 7, version % 2), value(42, version))
    assert told == Committed("renkei", Partition("顧客", 7), 42)


def test_a_forgotten_commit_is_read_as_such() -> None:
    assert commit_of(key("renkei", "t", 7), None) == Committed("renkei", Partition("t", 7), None)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (None, value(1)),
        (struct.pack(">h", 2) + text("renkei"), b"members of a group"),
        (key("renkei", "t", 7)[:-1], value(1)),
        (key("renkei", "t", 7) + b"x", value(1)),
        (key("renkei", "t", 7), b"\x00"),
        (b"", value(1)),
        (struct.pack(">hh", 1, 2) + b"\xff\xff", value(1)),
    ],
)
def test_other_messages_are_passed_over(key: bytes | None, value: bytes | None) -> None:
    assert commit_of(key, value) is None


@pytest.mark.parametrize(
    ("group", "partition"),
    [
        ("hello", 99162322 % 50),  # Java: "hello".hashCode() == 99162322
        ("polygenelubricants", 0),  # Java: Integer.MIN_VALUE, which has no absolute value
        ("", 0),
        ("group0", 1237460591 % 50),  # a negative hash: the sign is dropped, not the bit
    ],
)
def test_the_home_of_a_group(group: str, partition: int) -> None:
    assert home(group, 50) == partition
