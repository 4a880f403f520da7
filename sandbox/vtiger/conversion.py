"""Converting a lead into an account, a contact and a deal (fact sheet 2.5, recordings of 8.4.0)."""

from collections.abc import Iterator, Mapping
from typing import Any

from sandbox.store import Row
from sandbox.vtiger.entity import CONVERTED
from sandbox.vtiger.errors import RefusedError
from sandbox.vtiger.records import Records, element_of
from schemas.values import is_empty

_ORDER = ("Accounts", "Contacts", "Potentials")
_MAPPED: Mapping[str, Mapping[str, str]] = {
    "Accounts": {"accountname": "company", "phone": "phone", "email1": "email"},
    "Contacts": {name: name for name in ("firstname", "lastname", "phone", "email", "mobile")},
    "Potentials": {},
}


def convert(records: Records, element: str | None) -> dict[str, str] | None:
    """The ids of what was made; nothing at all, and success all the same, where no contact is made.

    Raises:
        RefusedError: the lead is not there or converted already, or a record lacks something.
    """
    asked = element_of(element)
    _, lead = records.row(str(asked.get("leadId") or ""))
    if lead.fields.get(CONVERTED):
        raise RefusedError("LEAD_ALREADY_CONVERTED", "Lead is already converted")
    with records.store.lock:
        made = dict(_made(records, lead, asked))
        if "Contacts" not in made:
            for record_id in made.values():
                records.delete(record_id)
            return None
        if lead.tab == "Leads":
            records.store.update("Leads", lead.id, {CONVERTED: True}, records.actor)
    return made


def _made(records: Records, lead: Row, asked: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    made: dict[str, str] = {}
    wishes = asked.get("entities") or {}
    owner = asked.get("assignedTo") or lead.fields.get("assigned_user_id")
    for tab in _ORDER:
        wish = wishes.get(tab)
        if isinstance(wish, dict) and wish.get("create"):
            made[tab] = _one(records, lead, tab, {**wish, "assigned_user_id": owner}, made)
            yield tab, made[tab]


def _one(records: Records, lead: Row, tab: str, wish: Mapping[str, Any], made: Mapping[str, str]) -> str:
    entity = records.entities[tab]
    there = records.store.holder(tab, "accountname", wish.get("accountname")) if tab == "Accounts" else None
    if there is not None:
        return there.id
    mapped = {name: lead.fields.get(of) for name, of in _MAPPED[tab].items() if name in entity.fields}
    linked = {"account_id": made.get("Accounts")} if tab == "Contacts" else _deal_links(made)
    given = {**mapped, **(linked if tab != "Accounts" else {}), **wish, "isconvertedfromlead": "1"}
    for name, field in entity.fields.items():
        if field.mandatory and is_empty(given.get(name)):
            raise RefusedError("UNKNOWN_OPERATION", f"{name} does not have a value : {tab}")
    return records.add(entity, given).id


def _deal_links(made: Mapping[str, str]) -> dict[str, str | None]:
    return {"related_to": made.get("Accounts") or made.get("Contacts"), "contact_id": made.get("Contacts")}
