"""A schema by which messages of one contract were written, made ready to read and write them."""

import json
from collections.abc import Mapping
from typing import Any

from fastavro import parse_schema
from fastavro.schema import fingerprint, to_parsing_canonical_form

from schemas.codec import CodecError

Fields = dict[str, Any]
"""The fields of an Avro record, or of its schema, by name."""


class Layout:
    """One schema, parsed, and how it differs from the contract's schema in force (``known``).

    ``objects`` names the fields whose text is a JSON object: read as bytes, which stand the same on the wire.

    Raises:
        CodecError: it is not an Avro schema of this record, or lacks a field that has no default.
    """

    def __init__(self, text: str, title: str, objects: frozenset[str], known: Mapping[str, Any]) -> None:
        self.text = text
        schema = _schema(text, title)
        try:
            self.parsed: Any = parse_schema(_plain(schema, objects))
            self.fingerprint: bytes = rabin(schema)
        except Exception as error:
            raise CodecError(f"the schema of {title} cannot be parsed ({type(error).__name__})") from None
        names = _names(self.parsed)
        self.missing = _defaults(known, names, title)
        """What stands for the fields that it does not have."""
        self.unknown = [name for name in names if name not in known]
        self.inner = _inner_unknown(self.parsed, known)
        self.newer = bool(self.unknown or self.inner)
        """Whether it has fields that this release does not know."""
        self.same = not (self.newer or self.missing)


def rabin(schema: Any) -> bytes:
    """The CRC-64-AVRO fingerprint of a schema's parsing canonical form: 8 bytes, little-endian (Avro 1.8 and newer)."""
    return bytes.fromhex(fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO"))


def _names(schema: Any) -> list[str]:
    return [field["name"] for field in schema["fields"]]


def title_of(text: str) -> str:
    """The name of the record that a schema is of, without its namespace; empty if it is of none."""
    try:
        schema = json.loads(text)
    except (ValueError, RecursionError):
        raise CodecError("the schema is not JSON") from None
    if not isinstance(schema, dict) or schema.get("type") != "record" or not isinstance(schema.get("fields"), list):
        return ""
    return str(schema.get("name", "")).rpartition(".")[2]


def _schema(text: str, title: str) -> Any:
    found = title_of(text)
    if found != title:
        raise CodecError(f"the schema is one of {found or 'no record'}, not of {title}: a message on the wrong topic?")
    return json.loads(text)


def _plain(schema: Any, objects: frozenset[str]) -> Any:
    plain = _without_logical_types(schema)
    for field in plain["fields"]:
        if field["name"] in objects:
            branches = field["type"]
            field["type"] = [_bytes(one) for one in branches] if isinstance(branches, list) else _bytes(branches)
    return plain


def _bytes(branch: Any) -> Any:
    return "bytes" if branch == "string" else branch


def _without_logical_types(part: Any) -> Any:
    """The values of logical types then pass through as they stand on the wire."""
    if isinstance(part, list):
        return [_without_logical_types(one) for one in part]
    if not isinstance(part, dict):
        return part
    plain = {name: _without_logical_types(one) for name, one in part.items() if name != "logicalType"}
    return plain["type"] if plain.keys() == {"type"} else plain


def _defaults(known: Mapping[str, Any], names: list[str], title: str) -> Fields:
    missing = {name: field for name, field in known.items() if name not in names}
    without = [name for name, field in missing.items() if "default" not in field]
    if without:
        raise CodecError(f"the schema of {title} has no field {', '.join(without)}, which must be there")
    return {name: field["default"] for name, field in missing.items()}


def _records(fields: list[Any]) -> dict[str, set[str]]:
    """Of each field that is a record, or may be one, the names of that record's fields."""
    found: dict[str, set[str]] = {}
    for field in fields:
        branches = field["type"] if isinstance(field["type"], list) else [field["type"]]
        for branch in branches:
            if isinstance(branch, dict) and branch.get("type") == "record":
                found[field["name"]] = {inner["name"] for inner in branch["fields"]}
    return found


def _inner_unknown(parsed: Any, known: Mapping[str, Any]) -> dict[str, set[str]]:
    """The unknown fields of the records inside, by the field that holds them."""
    ours, theirs = _records(list(known.values())), _records(parsed["fields"])
    return {name: names - ours[name] for name, names in theirs.items() if name in ours and names - ours[name]}
