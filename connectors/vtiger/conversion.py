"""Converting a lead: ``convertlead`` with its account, contact and deal, and finding them again by our key."""

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from connectors.answers import text
from connectors.base import Request, Response
from connectors.checks import rejected
from connectors.vtiger import reading
from connectors.vtiger.surface import Surface
from schemas.commands import Applied, Command, Outcome, Rejected, RetryLater, Uncertain
from schemas.metadata import ConnectionMetadata

CONVERT = "convert"
"""The operation: ``fields`` are ``account`` and ``contact``, each true, fields of the new record, or (an account) the
id of one that is there; and ``deal``, its fields or none. ``record_id`` is the lead. The outcome's fields ``Account``,
``Contact`` and ``Deal`` name the records that were made."""

ALREADY = "LEAD_ALREADY_CONVERTED"

_MODULES = {"Account": "Accounts", "Contact": "Contacts", "Deal": "Potentials"}
_DEAL = ("potentialname", "closingdate", "sales_stage")
_MADE = {"Accounts": "Account", "Contacts": "Contact", "Potentials": "Deal"}


def refuse(command: Command) -> Rejected | None:
    """Refuses what Vtiger could not do, or would do in silence otherwise than it was meant."""
    account, contact = (command.fields.get(name, True) for name in ("account", "contact"))
    deal = command.fields.get("deal")
    if not (isinstance(account, bool | dict) or reading.is_id(account)):
        return rejected(command, "bad_value", "field account: true, fields of a new account, or the id of an old one")
    if isinstance(contact, str):
        return rejected(command, "bad_value", "field contact: Vtiger always makes a new contact of a lead; write true")
    if not isinstance(contact, bool | dict) or not (deal is None or isinstance(deal, dict)):
        return rejected(command, "bad_value", "contact takes true or fields, deal takes fields or nothing")
    if not account and not contact:
        return rejected(command, "bad_value", "Vtiger converts a lead to an account or a contact at least")
    missing = [name for name in _DEAL if deal and not deal.get(name)]
    return rejected(command, "bad_value", f"field deal: it lacks {', '.join(missing)}") if missing else None


def request(surface: Surface, command: Command, owner: str, metadata: ConnectionMetadata) -> Request:
    """One lead. Our key goes into each new record whose module has the key's field."""
    entities = {
        module: _entity(command, name.lower(), module, metadata)
        for name, module in _MODULES.items()
        if command.fields.get(name.lower(), name != "Deal")
    }
    element: dict[str, Any] = {"leadId": command.record_id, "entities": entities}
    if owner:
        element["assignedTo"] = owner
    return surface.post("convertlead", element=json.dumps(element, ensure_ascii=False))


def outcome(command: Command, result: Any) -> Outcome | None:
    """The ids; nothing at all is Vtiger's way to say that it made nothing. None where it has another form."""
    if result is None:
        reason = "Vtiger converted nothing and does not say why; it wants a contact"
        return rejected(command, "not_converted", reason)
    if not isinstance(result, dict) or not all(reading.is_id(one) for one in result.values()) or not result:
        return None
    return _applied(command, {_MADE[tab]: one for tab, one in result.items() if tab in _MADE}, duplicate=False)


def already(command: Command) -> Applied:
    """The lead was converted before, by somebody else: our own conversion was looked up by its key before."""
    return _applied(command, {}, duplicate=True)


def find(surface: Surface, command: Command, metadata: ConnectionMetadata) -> Request | None:
    """The name of an account that is to be joined; else what was made, by our key in the new contact."""
    if isinstance(command.fields.get("account"), str):
        return reading.lookup(surface, "Accounts", "id", command.fields["account"])
    key = _key(command, "Contacts", metadata)
    return reading.lookup(surface, "Contacts", *key) if key else None


def found(command: Command, response: Response) -> Outcome | Command:
    """The command with the account's name, by which Vtiger joins; or what our key found."""
    rows = reading.rows_of(response)
    if rows is None:
        return Uncertain(command_id=command.id, reason=f"the lookup answered {response.status}")
    if isinstance(command.fields.get("account"), str):
        return _joining(command, rows)
    if not rows:
        return RetryLater(command_id=command.id, reason="looked up: not converted by us")
    made = {"Contact": text(rows[0].get("id")), "Account": text(rows[0].get("account_id"))}
    return _applied(command, {name: one for name, one in made.items() if one}, duplicate=True)


def _joining(command: Command, rows: list[dict[str, Any]]) -> Outcome | Command:
    name = text(rows[0].get("accountname")) if rows else ""
    if not name:
        return rejected(command, "RECORD_NOT_FOUND", "field account: that account is not there")
    fields = {**command.fields, "account": {"accountname": name}}
    return msgspec.structs.replace(command, fields=fields)


def _entity(command: Command, name: str, module: str, metadata: ConnectionMetadata) -> Mapping[str, Any]:
    given = command.fields.get(name)
    key = _key(command, module, metadata)
    named = {one: str(value) for one, value in given.items()} if isinstance(given, dict) else {}
    return {"create": True, "name": module, **({key[0]: key[1]} if key else {}), **named}


def _key(command: Command, module: str, metadata: ConnectionMetadata) -> tuple[str, str] | None:
    tab = metadata.tabs.get(module)
    return command.key if command.key and tab and command.key[0] in tab.fields else None


def _applied(command: Command, made: Mapping[str, str], duplicate: bool) -> Applied:
    return Applied(command_id=command.id, record_id=command.record_id, fields=dict(made), duplicate=duplicate)
