"""Three CRMs with leads, deals and calendars: what every action of the workflow file needs."""

from typing import Any

from sandbox.seed import Seed, load_seed
from schemas.metadata import Field, Tab
from tests.sandbox.salesforce_seed import SEED as SALESFORCE
from tests.sandbox.vtiger_seed import SALES as VTIGER
from tests.sandbox.zoho_seed import KEY, journey

_ZOHO = {
    "Events": ("Event_Title", "Start_DateTime", "End_DateTime"),
    "Calls": ("Subject", "Call_Start_Time"),
}
_ACTIVITY: dict[str, Any] = {"Subject": {"type": "text"}, "Renkei_Key__c": {"type": "text", "unique": True}}
_ABOUT: dict[str, Any] = {
    "WhoId": {"type": "lookup", "refers_to": ["Contact", "Lead"]},
    "WhatId": {"type": "lookup", "refers_to": ["Account", "Opportunity"]},
}
_MOMENT: dict[str, Any] = {"type": "text", "mandatory": True}


def sales() -> Seed:
    """The seed of the three."""
    zoho = journey().zoho
    deals = zoho.tabs["Deals"]
    pipeline = Field(name="Pipeline", type="picklist", values=("Standard",))
    deals = deals.model_copy(update={"fields": {**deals.fields, pipeline.name: pipeline}})
    zoho = zoho.model_copy(update={"tabs": {**zoho.tabs, "Deals": deals, **{name: _zoho(name) for name in _ZOHO}}})
    others = load_seed({"salesforce": _salesforce(), "vtiger": _vtiger()})
    return others.model_copy(update={"zoho": zoho})


def _zoho(name: str) -> Tab:
    title, *times = _ZOHO[name]
    fields = [
        Field(name=title, type="text", mandatory=True), *(Field(name=one, type="datetime") for one in times),
        Field(name="Call_Type", type="picklist", values=("Inbound", "Outbound")),
        Field(name="What_Id", type="lookup", refers_to=("Deals", "Accounts", "Demos", "Leads")),
        Field(name="Who_Id", type="lookup", refers_to=("Contacts",)), Field(name="Owner", type="user"), KEY,
    ]  # fmt: skip
    return Tab(name=name, label=name, fields={field.name: field for field in fields})


def _salesforce() -> dict[str, Any]:
    seed: dict[str, Any] = SALESFORCE["salesforce"]
    status = {"Status": {"type": "text"}, "ActivityDate": {"type": "date"}, "TaskSubtype": {"type": "text"}}
    times = {name: {"type": "datetime", "mandatory": True} for name in ("StartDateTime", "EndDateTime")}
    more = {
        "Task": {"fields": {**_ACTIVITY, **_ABOUT, **status}},
        "Event": {"fields": {**_ACTIVITY, **_ABOUT, **times}},
    }
    return {**seed, "person": "0055g0000000002AAA", "tabs": {**seed["tabs"], **more}}


def _vtiger() -> dict[str, Any]:
    seed: dict[str, Any] = VTIGER["vtiger"]
    shared: dict[str, Any] = {
        "subject": _MOMENT, "activitytype": {"type": "text"}, "date_start": {"type": "date", "mandatory": True},
        "time_start": _MOMENT, "due_date": {"type": "date", "mandatory": True},
        "parent_id": {"type": "lookup", "refers_to": ["Leads", "Accounts", "Potentials"]},
        "contact_id": {"type": "lookup", "refers_to": ["Contacts"]}, "cf_renkei_key": {"type": "text", "unique": True},
    }  # fmt: skip
    times = {"time_end": _MOMENT, "duration_hours": {"type": "number", "mandatory": True}, "eventstatus": _MOMENT}
    more = {"Calendar": {"fields": {**shared, "taskstatus": _MOMENT}}, "Events": {"fields": {**shared, **times}}}
    return {**seed, "tabs": {**seed["tabs"], **more}}
