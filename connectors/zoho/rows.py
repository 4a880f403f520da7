"""Create, update, upsert, delete and assign: up to 100 rows of one module in one call."""

from collections.abc import Sequence
from typing import Any

from connectors.answers import holds, text
from connectors.base import Request, Response
from connectors.checks import rejected
from connectors.fields import field_types
from connectors.zoho.values import API, image, literal, misfit, write
from connectors.zoho.verbs import (
    Row,
    Verb,
    details,
    failure,
    found_rows,
    json_request,
    not_there,
    path,
    tab,
    wondering,
)
from schemas.commands import Applied, Command, Outcome, Rejected, RetryLater, Uncertain
from schemas.values import Value, format_instant

MOST = 100
_COMPARED = 40
"""A COQL query selects at most 50 columns, so a lookup compares this many fields."""
_WORTHWHILE = 10
"""A write costs one credit for every ten rows; changing an owner costs one for all."""
ASSIGN = "assign"
CHANGE_OWNER = "change_owner"
"""The option by which a connection says that it has the scope ``ZohoCRM.change_owner.CREATE``."""
_CHANGES = frozenset({"update", ASSIGN})


class Rows(Verb):
    """Writes of whole rows. A create carries its key in a unique field: a repeat is refused, and found (D-42)."""

    def refuse(self, command: Command) -> Rejected | None:
        """Refuses what Zoho would refuse, or silently leave out; the reason names the field, never its value."""
        if command.operation == ASSIGN and not command.owner:
            return rejected(command, "no_owner", "assign needs an owner: user:…, manager:…, team:… or queue:…")
        known = self._ground.metadata.tabs.get(tab(command))
        reason = misfit(known, command.fields) if known and command.operation != "delete" else ""
        return rejected(command, "bad_value", reason) if reason else None

    def request(self, commands: Sequence[Command]) -> Request:
        """One call for all."""
        first = commands[0]
        if first.if_unmodified is not None and len(commands) > 1:
            raise ValueError("a conditional write goes alone")
        if first.operation == "delete":
            return _deletion(commands)
        if self._is_change_of_owner(commands):
            body: dict[str, object] = {"ids": [command.record_id for command in commands]}
            body |= {"owner": {"id": self._ground.owner_id(first)}, "notify": False}
            return json_request("POST", f"{API}/{tab(first)}/actions/change_owner", body)
        body = {"data": [self._row(command) for command in commands]}
        if not first.trigger_native:
            body["trigger"] = []
        if first.operation in _CHANGES:
            return json_request("PUT", f"{API}/{tab(first)}", body, _condition(first))
        if first.operation == "upsert" and first.key:
            body["duplicate_check_fields"] = [first.key[0]]
            return json_request("POST", f"{API}/{tab(first)}/upsert", body, _condition(first))
        return json_request("POST", f"{API}/{tab(first)}", body)

    def refused(self, command: Command, row: Row) -> Outcome:
        """A create that is refused because its key is taken was there already."""
        taken = command.key is not None and details(row).get("api_name") == command.key[0]
        if row.get("code") == "DUPLICATE_DATA" and taken and command.operation == "create":
            return self._there_already(command, row)
        return failure(command, row)

    def read(self, command: Command, row: Row) -> Outcome:
        """A written row tells the record's id, and when it was modified."""
        record_id = text(details(row).get("id"))
        if not record_id:
            return Uncertain(command_id=command.id, reason="a success without a record id")
        duplicate = command.operation == "create" and row.get("action") == "update"
        return self._ground.applied(command, record_id, details(row).get("Modified_Time"), duplicate=duplicate)

    def find(self, command: Command) -> Request | None:
        """By key with COQL, which unlike search has no index lag; by id otherwise."""
        if command.record_id:
            fields = ",".join(["Modified_Time", *self._compared(command)])
            return Request(method="GET", path=path(command), params={"fields": fields})
        if not command.key:
            return None
        columns = ", ".join(dict.fromkeys(["id", "Modified_Time", *self._compared(command)]))
        name, value = command.key
        query = f"select {columns} from {tab(command)} where {name} = {literal(value)} limit 2"  # noqa: S608
        return json_request("POST", f"{API}/coql", {"select_query": query})

    def found(self, command: Command, response: Response) -> Outcome:
        """204 proves absence, for a record in the recycle bin too."""
        rows = found_rows(response)
        if rows is None or len(rows) > 1 or (not rows and command.operation in _CHANGES):
            return wondering(command, response)
        if not rows:
            there = command.operation == "delete"
            return self._ground.applied(command, duplicate=True) if there else not_there(command)
        if command.record_id and rows[0]["id"] != command.record_id:
            return wondering(command, response)
        row = image(rows[0], field_types(self._ground.metadata, tab(command)))
        if command.operation == "create" or (command.operation != "delete" and holds(row, self._wanted(command))):
            return self._there(command, row)
        return RetryLater(command_id=command.id, reason="looked up: not as it should be")

    def _is_change_of_owner(self, commands: Sequence[Command]) -> bool:
        """Whether all get the same owner and nothing else, and are so many that one call for it is cheaper."""
        wished = self._ground.settings.options.get(CHANGE_OWNER) == "true"
        if not wished or len(commands) <= _WORTHWHILE or not commands[0].trigger_native:
            return False  # it needs a scope of its own, and cannot be kept from the CRM's own automation
        plain = all(command.operation in _CHANGES and not command.fields for command in commands)
        return plain and len({self._ground.owner_id(command) for command in commands} - {""}) == 1

    def _row(self, command: Command) -> dict[str, object]:
        row: dict[str, object] = {"id": command.record_id} if command.operation in _CHANGES else {}
        types, zone = self._ground.types(command), self._ground.settings.zone
        row |= {name: write(value, types.get(name, "unknown"), zone) for name, value in command.fields.items()}
        if command.key and command.operation not in _CHANGES:
            row[command.key[0]] = command.key[1]
        owner = self._ground.owner_id(command)
        return {**row, "Owner": {"id": owner}} if owner else row

    def _there_already(self, command: Command, row: Row) -> Outcome:
        record = details(row).get("duplicate_record")
        record_id = text(details(row).get("id")) or (text(record.get("id")) if isinstance(record, dict) else "")
        if not record_id:
            return Uncertain(command_id=command.id, reason="its key is taken already")
        return self._ground.applied(command, record_id, duplicate=True)

    def _wanted(self, command: Command) -> dict[str, Value]:
        types, zone = self._ground.types(command), self._ground.settings.zone
        named = [(name, value) for name, value in command.fields.items() if self._can_be_read(command, name)]
        named = named[:_COMPARED]
        wanted = image({name: write(value, types.get(name, "unknown"), zone) for name, value in named}, types)
        owner = self._ground.owner_id(command)
        return {**wanted, "Owner": owner} if owner else wanted

    def _can_be_read(self, command: Command, name: str) -> bool:
        """COQL selects no field of a type that is not ours; one record alone comes with all."""
        return bool(command.record_id) or self._ground.types(command).get(name) != "unknown"

    def _compared(self, command: Command) -> list[str]:
        return list(self._wanted(command)) if command.operation in {*_CHANGES, "upsert"} else []

    def _there(self, command: Command, row: dict[str, Any]) -> Applied:
        return self._ground.applied(command, text(row.get("id")), row.get("Modified_Time"), duplicate=True)


def _deletion(commands: Sequence[Command]) -> Request:
    flag = {} if commands[0].trigger_native else {"wf_trigger": "false"}
    ids = ",".join(command.record_id for command in commands)
    return Request(method="DELETE", path=f"{API}/{tab(commands[0])}", params={"ids": ids, **flag})


def _condition(command: Command) -> dict[str, str]:
    """Zoho's times have whole seconds."""
    if command.if_unmodified is None:
        return {}
    seen = format_instant(command.if_unmodified // 1000 * 1000).replace("Z", "+00:00")
    return {"If-Unmodified-Since": seen}
