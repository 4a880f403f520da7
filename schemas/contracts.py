"""The Avro contracts: how change events, commands, outcomes and decisions are written for everyone to read.

Field values are dynamic: an Avro union per value takes three times as long as JSON text, so they are carried as a JSON
object in one string, numbers exact. What a newer release added to a message stays with the noun as ``extra``.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from io import BytesIO
from typing import Any, Generic, Protocol, TypeVar, get_args

import msgspec
from fastavro import schemaless_reader, schemaless_writer
from fastavro.validation import validate

from schemas import packaged
from schemas.codec import CodecError
from schemas.commands import Command, CommandRank, Lane, OnUnknown, Outcome, Report
from schemas.decisions import Decision, DecisionKind
from schemas.events import Chain, ChangeEvent, Extra, Operation
from schemas.layout import Fields, Layout
from schemas.values import Amount


class _Noun(Protocol):
    @property
    def extra(self) -> Extra | msgspec.UnsetType: ...


T = TypeVar("T", bound=_Noun)


class Contract(Generic[T]):
    """One noun and its schema in force; the values of a message never appear in an error.

    ``read`` makes the noun of a record's fields, ``write`` the fields of a noun; ``objects`` are the fields that hold
    a JSON object. ``CONTRACTS`` has all four.
    """

    def __init__(
        self, name: str, title: str, objects: Sequence[str], read: Callable[[Fields], T], write: Callable[[T], Fields]
    ) -> None:
        self.name, self.title = name, title
        self._read, self._write, self._objects = read, write, frozenset(objects)
        text = packaged.current(name)
        self._known: dict[str, Any] = {field["name"]: field for field in json.loads(text)["fields"]}
        self._layouts: dict[str, Layout] = {}
        self.current = self.layout(text)

    def layout(self, schema: str) -> Layout:
        """A schema (JSON) made ready; each is parsed once. Raises CodecError on one that is not of this contract."""
        found = self._layouts.get(schema)
        if found is None:
            found = self._layouts[schema] = Layout(schema, self.title, self._objects, self._known)
        return found

    def layout_of(self, noun: T) -> Layout:
        """The layout by which a noun is written: the one in force, or that of the newer release that wrote it."""
        extra = noun.extra
        return self.current if extra is msgspec.UNSET else self.layout(extra.schema)

    def encode(self, noun: T) -> bytes:
        """The noun as an Avro body, by ``layout_of(noun)``. Raises CodecError where it cannot be written."""
        layout, extra = self.layout_of(noun), noun.extra
        out, fields = BytesIO(), {}
        try:
            fields = self._write(noun)
            if extra is not msgspec.UNSET:
                fields = _put_back(fields, extra, layout)
            schemaless_writer(out, layout.parsed, fields)
        except CodecError:
            raise
        except Exception as error:
            raise self._unwritable(fields, layout, error) from None
        return out.getvalue()

    def decode(self, body: bytes, layout: Layout) -> T:
        """The noun in an Avro body that was written by this layout.

        Raises:
            CodecError: the body is not what the layout says, or says what this release does not know.
        """
        stream = BytesIO(body)
        try:
            fields: Any = schemaless_reader(stream, layout.parsed, None)
            if not layout.same:
                fields = _taken_out(fields, layout)
            noun = self._read(fields)
        except Exception as error:
            raise self._unreadable(error) from None
        if stream.read(1):
            raise CodecError(f"bytes are left over after the {self.title}: it was written by another schema")
        return noun

    def _unwritable(self, fields: Fields, layout: Layout, error: Exception) -> CodecError:
        wrong = [one["name"] for one in layout.parsed["fields"] if not _fits(fields.get(one["name"]), one["type"])]
        where = ", ".join(wrong if fields else self._objects)  # no fields yet: a value that JSON cannot say
        return CodecError(f"a {self.title} cannot be written: {where} ({type(error).__name__})")

    def _unreadable(self, error: Exception) -> CodecError:
        if isinstance(error, KeyError):
            return CodecError(f"a {self.title} says {error}, which this release does not know: upgrade the reader")
        kind = type(error).__name__
        return CodecError(f"a {self.title} cannot be read ({kind}): it is damaged, or was written by another schema")


def _taken_out(fields: Fields, layout: Layout) -> Fields:
    """The fields that this release knows, and the others as ``extra``."""
    fields.update((name, value) for name, value in layout.missing.items())
    if not layout.newer:
        return fields
    unknown = {name: fields.pop(name) for name in layout.unknown}
    for name, inner in layout.inner.items():
        if fields[name] is not None:
            unknown[name] = {one: fields[name].pop(one) for one in inner}
    return {**fields, "extra": Extra(layout.text, unknown)}


def _put_back(fields: Fields, extra: Extra, layout: Layout) -> Fields:
    """The fields of a noun together with those that came as ``extra``."""
    told = {name: fields[name] for name in layout.missing if fields[name] not in (layout.missing[name], b"{}", ())}
    if told:
        raise CodecError(f"the newer schema by which it came has no field {', '.join(told)}: it would be lost")
    whole = dict(fields)
    for name, value in extra.fields.items():
        if name not in layout.inner:
            whole[name] = value
        elif whole[name] is not None:
            branch, known = whole[name]
            whole[name] = branch, {**known, **value}
    return whole


def _fits(value: Any, schema: Any) -> bool:
    try:
        return bool(validate(value, schema, raise_errors=False))
    except Exception:
        return False


def _number(value: object) -> object:
    if isinstance(value, Decimal) and value.is_finite():
        return msgspec.Raw(str(value).encode())
    raise TypeError(f"a {type(value).__name__} is not a field value")


_asdict = msgspec.structs.asdict
_object = msgspec.json.Encoder(enc_hook=_number, decimal_format="number").encode
_from_object = msgspec.json.Decoder(dict[str, Any], float_hook=Amount).decode
_operation = {symbol: symbol for symbol in get_args(Operation)}
_on_unknown = {symbol: symbol for symbol in get_args(OnUnknown)}
_lane = {symbol: symbol for symbol in get_args(Lane)}
_rank = {symbol: symbol for symbol in get_args(CommandRank)}
_decision_kind = {symbol: symbol for symbol in get_args(DecisionKind)}


def _chain(fields: Fields) -> Chain:
    return Chain(fields["id"], fields.get("hop", 0), tuple(fields.get("fired", ())))


def _told(chain: Chain | None) -> tuple[str, Fields] | None:
    """A chain, the branch of its union named: for the library to try each takes longer than to write it."""
    return None if chain is None else ("renkei.Chain", _asdict(chain))


def _read_event(fields: Fields) -> ChangeEvent:
    fields["op"] = _operation[fields["op"]]
    fields["changed_fields"] = tuple(fields["changed_fields"])
    if fields["after"] is not None:
        fields["after"] = _from_object(fields["after"])
    if fields["origin"] is not None:
        fields["origin"] = _chain(fields["origin"])
    return ChangeEvent(**fields)


def _write_event(event: ChangeEvent) -> Fields:
    fields = _asdict(event)
    if event.after is not None:
        fields["after"] = _object(event.after)
    fields["origin"] = _told(event.origin)
    return fields


def _read_command(fields: Fields) -> Command:
    fields["fields"] = _from_object(fields["fields"])
    fields["on_unknown"] = _on_unknown[fields["on_unknown"]]
    fields["lane"] = _lane[fields["lane"]]
    if fields["rank"] is not None:
        fields["rank"] = _rank[fields["rank"]]
    if fields["key"] is not None:
        fields["key"] = (fields["key"]["field"], fields["key"]["value"])
    if fields["chain"] is not None:
        fields["chain"] = _chain(fields["chain"])
    return Command(**fields)


def _write_command(command: Command) -> Fields:
    fields = _asdict(command)
    fields["fields"] = _object(command.fields)
    if command.key is not None:
        fields["key"] = "renkei.Key", {"field": command.key[0], "value": command.key[1]}
    fields["chain"] = _told(command.chain)
    if command.rank is not None:
        fields["rank"] = "renkei.Rank", command.rank
    return fields


_OUTCOMES: dict[str, type[Any]] = {str(type_.__struct_config__.tag): type_ for type_ in get_args(Outcome)}


def _read_report(fields: Fields) -> Report:
    type_ = _OUTCOMES[fields.pop("kind")]
    fields["fields"] = _from_object(fields["fields"])
    outcome = type_(**{name: fields.get(name) for name in type_.__struct_fields__})
    chain = _chain(fields["chain"]) if fields["chain"] is not None else None
    return Report(
        at=fields["at"], connection=fields["connection"], journey=fields["journey"], fire=fields["fire"],
        outcome=outcome, chain=chain, extra=fields.get("extra", msgspec.UNSET),
    )  # fmt: skip


def _write_report(report: Report) -> Fields:
    outcome = report.outcome
    fields = {**_asdict(report), "kind": outcome.__struct_config__.tag, **_asdict(outcome)}
    fields["fields"] = _object(fields.get("fields", {}))
    fields["chain"] = _told(report.chain)
    return fields


def _read_decision(fields: Fields) -> Decision:
    fields["kind"] = _decision_kind[fields["kind"]]
    fields["detail"] = _from_object(fields["detail"])
    if fields["chain"] is not None:
        fields["chain"] = _chain(fields["chain"])
    return Decision(**fields)


def _write_decision(decision: Decision) -> Fields:
    fields = _asdict(decision)
    fields["detail"] = _object(decision.detail)
    fields["chain"] = _told(decision.chain)
    return fields


CHANGE_EVENT = Contract("change_event", "ChangeEvent", ["after"], _read_event, _write_event)
COMMAND = Contract("command", "Command", ["fields"], _read_command, _write_command)
OUTCOME = Contract("outcome", "Outcome", ["fields"], _read_report, _write_report)
DECISION = Contract("decision", "Decision", ["detail"], _read_decision, _write_decision)
CONTRACTS: Mapping[str, Contract[Any]] = {one.name: one for one in (CHANGE_EVENT, COMMAND, OUTCOME, DECISION)}
