"""Converting a lead into an account, a contact and a deal (fact sheet 2.7)."""

from collections.abc import Iterable, Mapping
from typing import Any

from fastapi import Request, Response

from sandbox.store import Row
from sandbox.zoho.desk import Desk, done, missing_field
from sandbox.zoho.errors import RefusedError
from sandbox.zoho.module import CONVERTED, as_id
from sandbox.zoho.writing import Write
from schemas.values import Value, is_empty

COST = 5
_DEAL = ("Deal_Name", "Stage", "Pipeline", "Closing_Date")
_CARRIED = ("First_Name", "Last_Name", "Email", "Phone", "Mobile")


class Conversion:
    """``POST /Leads/{id}/actions/convert``."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> Iterable[tuple[str, str, Any]]:
        """Method, path and endpoint."""
        return (("POST", "/Leads/{record_id}/actions/convert", self.convert),)

    async def convert(self, request: Request, record_id: str) -> Response:
        """Make the three records, or join those that are named, and mark the lead."""
        self._desk.allow("ZohoCRM.modules.Leads.UPDATE")
        leads = self._desk.module("Leads")
        body = await self._desk.body(request)
        wish = (body.get("data") or [None])[0]
        if not isinstance(wish, Mapping):
            raise missing_field("data")
        self._desk.charge(COST)
        with self._desk.store.lock:
            lead = self._desk.live(leads, record_id)
            if lead.fields.get(CONVERTED):
                raise RefusedError(400, "ID_ALREADY_CONVERTED", "id already converted", {"resource_path_index": 1})
            _check_deal(wish.get("Deals"))
            made = self._made(lead, wish)
        message = "The record has been converted successfully"
        return self._desk.written([done(message, **made)], success=200)

    def _made(self, lead: Row, wish: Mapping[str, Any]) -> dict[str, Any]:
        owner = as_id((wish.get("assign_to") or {}).get("id")) or lead.fields.get("Owner") or self._desk.robot.user
        account = self._joined("Accounts", wish) or self._new(
            "Accounts", {"Account_Name": lead.fields.get("Company"), "Owner": {"id": owner}}
        )
        person = {name: lead.fields[name] for name in _CARRIED if not is_empty(lead.fields.get(name))}
        linked = {"Account_Name": {"id": account.id}, "Owner": {"id": owner}}
        contact = self._joined("Contacts", wish) or self._new("Contacts", {**person, **linked})
        deal = None
        if wish.get("Deals"):
            deal = self._new("Deals", {**linked, **wish["Deals"], "Contact_Name": {"id": contact.id}})
        self._mark(lead, account, contact, deal)
        return {
            "Accounts": self._named(account), "Contacts": self._named(contact),
            "Deals": None if deal is None else self._named(deal),
        }  # fmt: skip

    def _joined(self, name: str, wish: Mapping[str, Any]) -> Row | None:
        named = wish.get(name)
        if not isinstance(named, Mapping) or not named.get("id"):
            return None
        row = self._desk.store.row(name, str(as_id(named["id"])))
        if row is None:
            details = {"api_name": "id", "json_path": f"$.data[0].{name}.id"}
            raise RefusedError(400, "INVALID_DATA", "invalid data", details)
        return row

    def _new(self, name: str, fields: Mapping[str, Any]) -> Row:
        [result] = Write(self._desk.module(name), self._desk.robot).insert([fields])
        if result["status"] == "error":
            raise RefusedError(400, result["code"], result["message"], result["details"])
        row = self._desk.store.row(name, result["details"]["id"])
        assert row is not None, "it was inserted under the same lock"
        return row

    def _mark(self, lead: Row, account: Row, contact: Row, deal: Row | None) -> None:
        marked: dict[str, Value] = {
            CONVERTED: True, "Converted_Account": account.id, "Converted_Contact": contact.id,
            "Converted_Deal": deal.id if deal else None,
        }  # fmt: skip
        self._desk.store.update("Leads", lead.id, marked, self._desk.robot)

    def _named(self, row: Row) -> dict[str, str]:
        return {"id": row.id, "name": self._desk.module(row.tab).display_name(row)}


def _check_deal(deal: Any) -> None:
    if not deal:
        return
    for name in _DEAL:
        if is_empty(deal.get(name)):
            raise missing_field(name, json_path=f"$.data[0].Deals.{name}")
