"""Writing rows: collections of up to 200 rows and ten objects, and single rows on a condition.

Facts: the vendor's pages on sObject Collections (create, update, upsert, delete) and on conditional requests.
"""

from collections.abc import Mapping, Sequence
from email.utils import formatdate
from typing import Any

from connectors.answers import holds, parsed, text, uncertain, unreadable
from connectors.base import Request, Response
from connectors.checks import overtaken, rejected
from connectors.directory import Directory, Refused
from connectors.fields import field_types
from connectors.salesforce.deeds import headers, owner_id, query, rows_of, unclear
from connectors.salesforce.values import API, JSON, image, literal, misfit, write
from connectors.salesforce.verdicts import Verdicts
from connectors.settings import ConnectionSettings
from schemas.codec import to_json
from schemas.commands import Applied, Command, Outcome, Rejected, RetryLater, Uncertain
from schemas.metadata import ConnectionMetadata
from schemas.values import SECOND, Value

MOST = 200
CHUNKS = 10
"""Rows of one object that follow each other are a chunk; a collection has so many at most."""
NEW = frozenset({"create", "upsert"})
LINKS = frozenset({"link", "unlink"})
_CHANGING = frozenset({"update", *LINKS})


class Rows:
    """Create, update, upsert, delete, link and unlink; a command in another record's words comes in theirs."""

    def __init__(self, settings: ConnectionSettings, metadata: ConnectionMetadata, directory: Directory) -> None:
        self._metadata, self._directory = metadata, directory
        self._verdicts = Verdicts(settings)

    def refusal(self, command: Command) -> Rejected | None:
        """Refuses values that Salesforce would refuse, with all other rows of the request, or store as others."""
        if command.if_unmodified is not None and command.operation not in _CHANGING:
            reason = f"Salesforce knows no condition on a {command.operation}"
            return rejected(command, "no_condition", reason)
        known = self._metadata.tabs.get(_tab(command))
        for name, value in written(command).items() if known else ():
            field = known.fields.get(name) if known else None
            why = misfit(value, field) if field else ""
            if why:
                return rejected(command, "bad_value", f"{name}: {why}")
        return None

    def request(self, commands: Sequence[Command]) -> Request:
        """One call, each row settled alone (``allOrNone`` false). Raises ValueError: they cannot go together."""
        first = commands[0]
        if first.if_unmodified is not None or any(one.if_unmodified is not None for one in commands):
            if len(commands) > 1:
                raise ValueError("a conditional write goes alone")
            return self._conditional(first)
        ordered = [commands[place] for place in _order(commands)]
        if first.operation == "delete":
            params = {"ids": ",".join(command.record_id for command in ordered), "allOrNone": "false"}
            return Request(method="DELETE", path=f"{API}/composite/sobjects", params=params, headers=headers(first))
        body = {"allOrNone": False, "records": [self._row(command) for command in ordered]}
        keyed = first.operation in NEW and first.key
        path = f"{API}/composite/sobjects" + (f"/{_tab(first)}/{first.key[0]}" if keyed and first.key else "")
        method = "POST" if first.operation == "create" and not first.key else "PATCH"
        return Request(method=method, path=path, headers=headers(first), body=to_json(body), content_type=JSON)

    def outcomes(self, commands: Sequence[Command], response: Response) -> list[Outcome]:
        """Row by row; a collection answers 200 even when rows fail."""
        if commands[0].if_unmodified is not None:
            return [self._conditional_outcome(commands[0], response)]
        answer = parsed(response)
        if response.status not in {200, 201} or not isinstance(answer, list):
            return self._verdicts.whole(commands, response)
        order = _order(commands)
        told = self._told([commands[place] for place in order], answer, response)
        by_place = dict(zip(order, told, strict=True))
        return [by_place[place] for place in range(len(commands))]

    def find(self, command: Command) -> Request | None:
        """A query by external id or id; SOQL sees every committed row."""
        if command.operation in NEW and not command.key:
            return None
        name, value = command.key if command.key and command.operation in NEW else ("Id", command.record_id)
        columns = ", ".join(dict.fromkeys(["Id", "SystemModstamp", *self._compared(command)]))
        return query(f"SELECT {columns} FROM {_tab(command)} WHERE {name} = {literal(value)} LIMIT 2")  # noqa: S608

    def found(self, command: Command, response: Response) -> Outcome:
        """No rows proves absence."""
        rows = rows_of(response)
        if rows is None or len(rows) > 1:
            return unclear(command, response)
        if not rows:
            return self._absent(command)
        row = image(rows[0], field_types(self._metadata, _tab(command)))
        as_wished = command.operation != "delete" and holds(row, self._wanted(command))
        if command.operation == "create" or as_wished:
            return self._there(command, row)
        return RetryLater(command_id=command.id, reason="looked up: not as it should be")

    def _row(self, command: Command) -> dict[str, object]:
        row: dict[str, object] = {"attributes": {"type": _tab(command)}}
        if command.operation in _CHANGING:
            row["id"] = command.record_id
        row |= self._values(command)
        if command.key and command.operation in NEW:
            row[command.key[0]] = command.key[1]
        return row

    def _values(self, command: Command) -> dict[str, object]:
        types = field_types(self._metadata, _tab(command))
        values = {name: write(value, types.get(name, "unknown")) for name, value in written(command).items()}
        owner = owner_id(self._directory, command)
        return {**values, "OwnerId": owner} if isinstance(owner, str) and owner else values

    def _conditional(self, command: Command) -> Request:
        """One row, written only if it was not changed since; Salesforce compares in whole seconds."""
        since = formatdate((command.if_unmodified or 0) // SECOND, usegmt=True)
        told = {**headers(command), "If-Unmodified-Since": since}
        path = f"{API}/sobjects/{_tab(command)}/{command.record_id}"
        body = to_json(self._values(command))
        return Request(method="PATCH", path=path, headers=told, body=body, content_type=JSON)

    def _conditional_outcome(self, command: Command, response: Response) -> Outcome:
        if response.status == 204 and not response.body:
            return self._verdicts.applied(command)
        if response.status == 412:
            return overtaken(command)
        return self._verdicts.whole([command], response)[0]

    def _told(self, commands: Sequence[Command], rows: list[Any], response: Response) -> list[Outcome]:
        if len(rows) != len(commands) or not all(isinstance(row, dict) for row in rows):
            return unreadable(commands, response)
        for command, row in zip(commands, rows, strict=True):
            if row.get("success") is True and command.record_id and not _same_id(text(row.get("id")), command):
                return uncertain(commands, "the answer's rows name other records")
        return [self._outcome(command, row) for command, row in zip(commands, rows, strict=True)]

    def _outcome(self, command: Command, row: Mapping[str, Any]) -> Outcome:
        record_id = text(row.get("id")) or command.record_id
        if row.get("success") is True and record_id:
            duplicate = command.operation == "create" and row.get("created") is False
            return self._verdicts.applied(command, record_id, duplicate=duplicate)
        if row.get("success") is not False:
            return Uncertain(command_id=command.id, reason="a row that does not say whether it was written")
        errors = row.get("errors")
        error = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
        return self._verdicts.failure(command, error)

    def _absent(self, command: Command) -> Outcome:
        if command.operation == "delete":
            return self._there(command, {})
        if command.operation in _CHANGING:
            return rejected(command, "NOT_FOUND", "the record is not there any more")
        return RetryLater(command_id=command.id, reason="looked up: not there")

    def _there(self, command: Command, row: Mapping[str, Any]) -> Applied:
        told = {"SystemModstamp": row["SystemModstamp"]} if row.get("SystemModstamp") else {}
        return self._verdicts.applied(command, text(row.get("id")), fields=told, duplicate=True)

    def _wanted(self, command: Command) -> dict[str, Value]:
        owner = owner_id(self._directory, command)
        return {**written(command), **({"OwnerId": owner} if not isinstance(owner, Refused) and owner else {})}

    def _compared(self, command: Command) -> list[str]:
        return list(self._wanted(command)) if command.operation in {"update", "upsert", *LINKS} else []


def written(command: Command) -> dict[str, Any]:
    """The fields that a command writes: a link is a lookup field with a value, an unlink one without."""
    if command.operation in LINKS:
        to = command.fields.get("to") if command.operation == "link" else None
        return {str(command.fields.get("relation", "")): to}
    return command.fields


def _order(commands: Sequence[Command]) -> list[int]:
    """The places of the commands in the order of the rows: one chunk per object, in it those of one parent together.

    So ten objects fit into a request, and locks are rare.
    """
    return sorted(range(len(commands)), key=lambda place: (commands[place].tab, *_parent(commands[place]), place))


def _parent(command: Command) -> tuple[str, str]:
    lookups = (value for name, value in sorted(written(command).items()) if name.endswith(("Id", "__c")))
    ids = [value for value in lookups if isinstance(value, str) and len(value) in {15, 18} and value.isalnum()]
    return (ids[0] if ids else "", command.record_id)


def _tab(command: Command) -> str:
    return command.tab.partition(":")[2]


def _same_id(found: str, command: Command) -> bool:
    """15 and 18 characters name the same record; the last three are a checksum."""
    return found[:15] == command.record_id[:15]
