"""Bytes that are not what was written are refused with one kind of error, whatever is wrong with them."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as some

from schemas.codec import FORMAT, CodecError, Unpacker, from_json, pack

_read: Unpacker[list[str]] = Unpacker(list[str])


@pytest.mark.parametrize("content", [b"", b"{", b'"\x80"', b'{"a\xff": 1}', b"[" * 100_000, "[1"], ids=range(6))
def test_what_is_not_json_is_refused(content: bytes | str) -> None:
    with pytest.raises(CodecError, match="not JSON"):
        from_json(content)


@pytest.mark.parametrize("content", [b"", b"\x02\x90", FORMAT, FORMAT + b"\x91\xa1\x80", FORMAT + b"\x91\x01"])
def test_what_was_not_packed_is_refused(content: bytes) -> None:
    with pytest.raises(CodecError):
        _read(content)


@given(some.lists(some.text()), some.integers(0), some.integers(0, 255))
def test_a_byte_that_was_changed_gives_a_value_or_a_refusal(told: list[str], place: int, byte: int) -> None:
    content = bytearray(pack(told))
    content[place % len(content)] = byte
    with suppress(CodecError):
        assert isinstance(_read(bytes(content)), list)


@given(some.lists(some.text()))
def test_what_was_packed_is_read(told: list[str]) -> None:
    assert _read(pack(told)) == told
