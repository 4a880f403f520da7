"""How nouns are written down: msgpack with a version byte for messages and state, JSON for people.

Exact decimals keep their type: msgpack extension 1 in messages and state, a plain number in JSON.
"""

from decimal import Decimal
from typing import Any, Generic, TypeVar

import msgspec

from schemas.values import Amount

T = TypeVar("T")

FORMAT = b"\x01"
"""The version byte in front of every message and state value; another one is refused."""

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What msgspec raises at bytes that are not what was expected."""

_AMOUNT = 1


class CodecError(ValueError):
    """Bytes that cannot be read: another format, or not what was expected."""


def _to_msgpack(value: object) -> object:
    if isinstance(value, Amount):
        return msgspec.msgpack.Ext(_AMOUNT, str(value).encode())
    raise NotImplementedError(f"a {type(value).__name__} is not a field value")


def _from_msgpack(code: int, content: memoryview) -> object:
    if code == _AMOUNT:
        return Amount(bytes(content).decode())
    raise CodecError(f"unknown msgpack extension {code}")


def _to_json(value: object) -> object:
    if isinstance(value, Decimal):
        return msgspec.Raw(str(value).encode())
    raise NotImplementedError(f"a {type(value).__name__} cannot be written as JSON")


_packer = msgspec.msgpack.Encoder(enc_hook=_to_msgpack)
_json_encoder = msgspec.json.Encoder(enc_hook=_to_json, decimal_format="number")
_json_decoder = msgspec.json.Decoder(float_hook=Amount)


def pack(value: object) -> bytes:
    """The value as msgpack behind the version byte."""
    return FORMAT + _packer.encode(value)


class Unpacker(Generic[T]):
    """Reads what ``pack`` wrote, as one type."""

    def __init__(self, type_: Any) -> None:
        self._decoder: msgspec.msgpack.Decoder[T] = msgspec.msgpack.Decoder(type_, ext_hook=_from_msgpack)

    def __call__(self, content: bytes) -> T:
        """The value. Raises CodecError on another format or another shape."""
        if content[:1] != FORMAT:
            raise CodecError(f"format byte {content[:1].hex() or 'missing'}: only {FORMAT.hex()} is known")
        try:
            return self._decoder.decode(content[1:])  # to copy what is small is quicker than to look into it
        except UNREADABLE as error:
            raise CodecError(str(error)) from None


def to_json(value: object) -> bytes:
    """The value as JSON, decimals as exact numbers."""
    return _json_encoder.encode(value)


def from_json(content: bytes | str) -> Any:
    """Parsed JSON, every fraction an exact decimal. Raises CodecError on what is not JSON."""
    try:
        return _json_decoder.decode(content)
    except UNREADABLE as error:
        raise CodecError(f"not JSON: {error}") from None
