"""The project in which the examples of the documentation stand, and a workflow to put parts into."""

import copy
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

from connectors.salesforce.abilities import ABILITIES as SALESFORCE
from connectors.vtiger.abilities import abilities as vtiger
from connectors.zoho.abilities import ABILITIES as ZOHO
from rules.calendars import Calendar
from rules.criteria import AliasContext, Context
from rules.project import Project
from rules.publishing import Edition, compile_files
from rules.source import read_yaml
from schemas.codec import to_json
from schemas.metadata import ConnectionMetadata, Field, FieldType, Tab, Team, User

_CHOICES: dict[str, tuple[str, ...]] = {
    "Stage": ("Qualification", "Negotiation", "Closed Won", "Closed Lost"),
    "Lead_Status": ("New", "Contacted", "Qualified"),
    "Account_Type": ("Prospect", "Customer"),
    "Tags": ("partner", "urgent", "campaign"),
}
_SYSTEM = frozenset({"Created_Time", "Modified_Time"})


def _tab(name: str, **fields: FieldType) -> Tab:
    known = {
        key: Field(name=key, type=kind, values=_CHOICES.get(key, ()), writable=key not in _SYSTEM)
        for key, kind in fields.items()
    }
    return Tab(name=name, fields=known)


_ZOHO = (
    _tab(
        "Deals", Deal_Name="text", Amount="number", Discount="number", Probability="number", Stage="picklist",
        Lead_Status="picklist", Closing_Date="date", Renewal_Date="date", Created_Time="datetime",
        Modified_Time="datetime", Owner="user", Account_Name="lookup", Contact_Name="lookup", Tags="multipicklist",
        Paid="boolean", Competitor="text", Next_Step="text", Currency="text", Project_Link="text", Renkei_Key="text",
        Lead_Source="text", Approved_On="date", Lead="lookup", Opportunity_Id="text",
    ),
    _tab(
        "Accounts", Account_Name="text", Account_Type="picklist", Industry="text", Website="text", Employees="number",
        Phone="text", Owner="user", Renkei_Key="text",
    ),
    _tab("Contacts", Last_Name="text", First_Name="text", Email="text", Phone="text", Account_Name="lookup",
         Owner="user", Renkei_Key="text"),
    _tab("Demos", Name="text", Status="text", Deal="lookup", Held_On="datetime", Owner="user", Amount="number",
         Deal_Name="text", Renkei_Key="text"),
    _tab("Leads", Last_Name="text", Company="text", Email="text", Status="text", Owner="user", Renkei_Key="text"),
    _tab("Quoted_Items", Product="text", Quantity="number", Net_Total="number", List_Total="number", Deal="lookup"),
    _tab("Onboarding", Name="text", Status="text", Deal="lookup", Owner="user", Renkei_Key="text"),
)  # fmt: skip
_PEOPLE: dict[str, Any] = {
    "users": (
        User(id="1", name="鈴木 一郎", email="suzuki@example.com", roles=("Sales",), manager="2"),
        User(id="2", name="佐藤 花子", email="sato@example.com", roles=("Sales Director",)),
    ),
    "teams": (
        Team(id="t1", name="Sales", members=("1", "2")),
        Team(id="t2", name="Presales", members=("2",)),
        Team(id="t3", name="Tier 2", members=("2",)),
    ),
}
METADATA = {
    "zoho": ConnectionMetadata(connection="zoho", tabs={one.name: one for one in _ZOHO}, **_PEOPLE),
    "salesforce": ConnectionMetadata(
        connection="salesforce",
        tabs={
            "Contract": _tab(
                "Contract", Status="text", StartDate="date", EndDate="date", Value__c="number", Framework__c="boolean",
                Zoho_Deal_Id__c="text", OwnerId="user", ContractNumber="text",
            ),
            "Opportunity": _tab("Opportunity", Name="text", Amount="number", StageName="text", OwnerId="user"),
            "Contact": _tab(
                "Contact", LastName="text", FirstName="text", Email="text", Phone="text", Zoho_Contact_Id__c="text",
                Renkei_Key__c="text",
            ),
            "Case": _tab(
                "Case", Status="text", Priority="text", ContactEmail="text", OwnerId="user", CreatedDate="datetime",
                Subject="text",
            ),
        },
        **_PEOPLE,
    ),
    "vtiger": ConnectionMetadata(
        connection="vtiger",
        tabs={"Project": _tab("Project", projectname="text", startdate="date", cf_origin_deal="text")},
    ),
}  # fmt: skip
OFFICE = Calendar("office", ZoneInfo("Asia/Tokyo"), hours=(((9 * 60, 18 * 60),),) * 5 + ((), ()))

PROJECT = Project(
    connections=frozenset({"zoho", "salesforce", "vtiger", "mail", "hooks"}),
    metadata=METADATA,
    calendars={"office": OFFICE},
    templates={"deal-won": "Subject: {{ deal.Deal_Name }} is won\n\nAmount: {{ deal.Amount }}\n"},
    key_fields={"zoho": "Renkei_Key"},
    abilities={"zoho": ZOHO, "salesforce": SALESFORCE, "vtiger": vtiger(cloud=False)},
    may_delete={"zoho": ["Demos", "Leads"]},
    modified_fields={"zoho": "Modified_Time", "salesforce": "SystemModstamp", "vtiger": "modifiedtime"},
)

FRAME: dict[str, Any] = {
    "workflow": "frame",
    "timezone": "Asia/Tokyo",
    "calendar": "office",
    "main_tab": "deal",
    "tabs": {
        "deal": {"module": "zoho.Deals"},
        "account": {"module": "zoho.Accounts", "lookup": "deal.Account_Name"},
        "contact": {"module": "zoho.Contacts", "lookup": "deal.Contact_Name"},
        "demo": {"module": "zoho.Demos", "related_to": "deal", "by": "Deal"},
        "lead": {"module": "zoho.Leads", "lookup": "deal.Lead"},
        "opportunity": {"module": "salesforce.Opportunity", "lookup": "deal.Opportunity_Id"},
        "item": {"module": "zoho.Quoted_Items", "related_to": "deal", "by": "Deal"},
        "onboarding": {"module": "zoho.Onboarding", "related_to": "deal", "by": "Deal"},
        "contract": {"module": "salesforce.Contract", "match": {"Zoho_Deal_Id__c": "deal.id"}},
        "person": {"module": "salesforce.Contact", "match": {"Zoho_Contact_Id__c": "contact.id"}},
        "project": {"module": "vtiger.Project", "match": {"cf_origin_deal": "deal.id"}},
    },
    "teams": {"sales": "Sales", "presales": "Presales"},
    "sections": {"prices": ["Amount", "Discount"]},
    "formulas": {"discount": "1 - sum(item.Net_Total) / sum(item.List_Total)"},
}
"""A workflow without rules, into which the parts of a page are put."""

_SINGLE = frozenset({"deal", "account", "contact", "lead", "opportunity"})
CONTEXT = Context(
    own="deal",
    aliases={
        alias: AliasContext(PROJECT.tab(part["module"].replace(".", ":")), alias in _SINGLE, _SINGLE)
        for alias, part in FRAME["tabs"].items()
    },
    calendar=OFFICE,
    formulas=FRAME["formulas"],
    steps=None,
    teams=FRAME["teams"],
)
"""What a condition of the pages may name: those of a rule of tab ``deal``."""


def plain(text: str, name: str = "block.yaml") -> Any:
    """The values of a piece of YAML, read as workflow files are."""
    return read_yaml(text, name).value


def compiled(file: str | dict[str, Any], templates: dict[str, str] | None = None) -> Edition:
    """A workflow file, or the values of one, compiled in this project."""
    text = file if isinstance(file, str) else to_json(file).decode()
    more = {**PROJECT.templates, **(templates or {})}
    return compile_files({"workflows/example.yaml": text}, replace(PROJECT, templates=more))


def framed(kind: str, part: Any, alias: str = "deal") -> dict[str, Any]:
    """The frame with a part of a page put where it belongs: whole keys, rules, actions, a trigger, or tests."""
    file = copy.deepcopy(FRAME)
    rule: dict[str, Any] = {
        "name": "example", "trigger": "created", "actions": [{"notify": "team sales", "template": "deal-won"}]
    }  # fmt: skip
    match kind:
        case "keys":
            file |= part
            file.setdefault("rules", {alias: [rule]})
        case "rules":
            file["rules"] = {alias: part}
        case "actions":
            file["rules"] = {alias: [{**rule, "actions": part}]}
        case "rule":
            file["rules"] = {alias: [{**rule, **part}]}
        case _:
            raise AssertionError(f"nobody knows what to do with a block of '{kind}'")
    return file
