"""Whether a schema may follow those that were released: each can read what the other wrote (FULL_TRANSITIVE)."""

from collections.abc import Iterator
from typing import NamedTuple

from avro.compatibility import (
    ReaderWriterCompatibilityChecker,
    SchemaCompatibilityResult,
    SchemaCompatibilityType,
    lookup_writer_field,
)
from avro.schema import RecordSchema, Schema, parse

from schemas import packaged

_MISSING = "reader_field_missing_default_value"


class Problem(NamedTuple):
    """Why one of two schemas cannot read what the other wrote."""

    file: str
    version: str
    """The release that it does not go together with."""
    reader: str
    """Who cannot read: ``this version`` or ``release 0.1.0``."""
    field: str
    rule: str
    """The rule's name in the ``avro`` library."""
    detail: str

    def __str__(self) -> str:
        return (
            f"{self.file}, field {self.field}: {self.rule} ({self.detail}), so {self.reader} could not read "
            f"what the other wrote; compare released/{self.version}/{self.file}"
        )


def problems(name: str, schema: str | None = None) -> list[Problem]:
    """Why a contract's schema (the one in force unless another is given) may not follow the released ones."""
    current = parse(schema or packaged.current(name))
    found: list[Problem] = []
    for version, text in packaged.released(name).items():
        old = parse(text)
        for reader, writer, who in ((current, old, "this version"), (old, current, f"release {version}")):
            found += [Problem(f"{name}.avsc", version, who, *one) for one in unreadable(reader, writer)]
    return found


def unreadable(reader: Schema, writer: Schema) -> list[tuple[str, str, str]]:
    """Field, rule and detail of all that keeps a reader from what a writer wrote, as the ``avro`` library sees it."""
    whole = _compared(reader, writer)
    if whole.compatibility is not SchemaCompatibilityType.incompatible:
        return []
    found: list[tuple[str, str, str]] = []
    if isinstance(reader, RecordSchema) and isinstance(writer, RecordSchema):
        found = list(_fields(reader, writer))
    return found or [("/", *_rule(whole))]


def _fields(reader: RecordSchema, writer: RecordSchema) -> Iterator[tuple[str, str, str]]:
    for field in reader.fields:
        written = lookup_writer_field(writer_schema=writer, reader_field=field)
        if written is not None:
            result = _compared(field.type, written.type)
            if result.compatibility is SchemaCompatibilityType.incompatible:
                yield field.name, *_rule(result)
        elif not field.has_default:
            yield field.name, _MISSING, "the writer does not have it"


def _compared(reader: Schema, writer: Schema) -> SchemaCompatibilityResult:
    return ReaderWriterCompatibilityChecker().get_compatibility(reader, writer)  # type: ignore[no-untyped-call]


def _rule(result: SchemaCompatibilityResult) -> tuple[str, str]:
    return result.incompatibilities[0].value, "; ".join(sorted(result.messages))
