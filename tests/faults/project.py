"""The project whose faults are looked at, the history of edits that is played to it, and its practice CRMs."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any

from sandbox.server import Sandbox
from tests.faults.checker import ACCOUNTS, ACTIVATED, CONTRACTS, CUSTOMER, DEALS, WON, Edit

WORKFLOW = """
workflow: won
main_tab: deal
tabs:
  deal: {module: zoho.Deals}
  account: {module: zoho.Accounts, lookup: deal.Account_Name}
  contract: {module: salesforce.Contract, match: {Zoho_Deal_Id__c: deal.id}}
  project: {module: vtiger.Project, match: {cf_origin_deal: deal.id}}
rules:
  deal:
    - name: start-project
      trigger: criteria_met
      criteria: >-
        deal.Stage is "Closed Won" and deal.Amount >= 0 and account.Account_Type is "Customer"
        and account.Industry is not empty and any contract where (Status is "Activated")
      actions:
        - create: project
          fields: {projectname: "{{ deal.Deal_Name }}", cf_origin_deal: "{{ deal.id }}"}
        - update: deal
          fields: {Project_Link: "{{ steps.project.id }}"}
"""
"""Amount and Industry are read, so that their changes go through all stages; they never decide."""


def _users(integration: str, person: str) -> dict[str, Any]:
    return {
        "integration_user": integration, "person": person,
        "users": [
            {"id": integration, "name": "Renkei", "email": "renkei@example.com"},
            {"id": person, "name": "鈴木 一郎", "email": "suzuki@example.com"},
        ],
    }  # fmt: skip


SEED: dict[str, Any] = {
    "zoho": {
        **_users("5725767000000010008", "5725767000000010002"),
        "tabs": {
            "Accounts": {"fields": {
                "Account_Name": {"type": "text", "mandatory": True}, "Account_Type": {"type": "text"},
                "Industry": {"type": "text"}, "Owner": {"type": "user"}, "Renkei_Key": {"type": "text", "unique": True},
            }},
            "Deals": {"fields": {
                "Deal_Name": {"type": "text", "mandatory": True}, "Amount": {"type": "number"},
                "Stage": {"type": "text"},
                "Account_Name": {"type": "lookup", "refers_to": ["Accounts"]}, "Project_Link": {"type": "text"},
                "Owner": {"type": "user"}, "Renkei_Key": {"type": "text", "unique": True},
            }},
        },
    },
    "salesforce": {
        **_users("0055g0000000008AAA", "0055g0000000002AAA"),
        "tabs": {"Contract": {"fields": {
            "Status": {"type": "text"}, "Zoho_Deal_Id__c": {"type": "text"},
            "Renkei_Key__c": {"type": "text", "unique": True},
        }}},
    },
    # Nothing in this CRM keeps a key from being written twice: only Renkei itself can prevent a second project.
    "vtiger": {
        **_users("19x8", "19x2"),
        "options": {"charset": "utf8mb4"},  # names of deals hold emoji
        "tabs": {"Project": {"fields": {
            "projectname": {"type": "text", "mandatory": True}, "cf_origin_deal": {"type": "text"},
            "cf_renkei_key": {"type": "text"},
        }}},
    },
}  # fmt: skip


def practice_crms() -> Sandbox:
    """CRMs with this project's tabs, and no day's limit on calls."""
    sandbox = Sandbox(SEED)
    for crm in (sandbox.zoho, sandbox.salesforce, sandbox.vtiger):
        crm.quota.limit = 10**9
    return sandbox


def write_project(folder: Path, sandbox: Sandbox, kafka: Mapping[str, Any], urls: Mapping[str, str]) -> None:
    """The files of the project; ``kafka`` is its part of the settings, ``urls`` are those that go through a proxy."""
    (folder / "workflows").mkdir(parents=True, exist_ok=True)
    (folder / "workflows" / "won.yaml").write_text(WORKFLOW, encoding="utf-8")
    lines = ["project: faults", "kafka:", *(f"  {name}: {value}" for name, value in kafka.items()), "connections:"]
    for kind, key in (("zoho", "Renkei_Key"), ("salesforce", "Renkei_Key__c"), ("vtiger", "cf_renkei_key")):
        url = urls.get(kind, sandbox.crm(kind).url)
        user = getattr(sandbox.seed, kind).integration_user
        more = ", login: client_credentials" if kind == "salesforce" else ""
        more = ", options: {charset: utf8mb4}" if kind == "vtiger" else more
        lines.append(
            f"  {kind}: {{kind: {kind}, url: '{url}', allow_private: true, key_field: {key}, user: '{user}', "
            f"poll: 1 second, timeout: 5{more}}}"
        )
    (folder / "renkei.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def secrets(sandbox: Sandbox) -> dict[str, str]:
    """The credentials of the practice CRMs, as the environment has them."""
    return {
        f"RENKEI_{kind.upper()}_{name.upper()}": value
        for kind in ("zoho", "salesforce", "vtiger")
        for name, value in sandbox.crm(kind).credentials.items()
    }


def deal_id(number: int) -> str:
    """A deal's id in Zoho's form."""
    return str(5_725_767_000_000_100_000 + number)


def account_id(number: int) -> str:
    """An account's id in Zoho's form."""
    return str(5_725_767_000_000_900_000 + number)


def history(deals: int, edits: int, seed: int, first: int = 0) -> list[Edit]:
    """About so many edits of so many deals, their accounts and contracts, mixed; each record's own are in order.

    About three in ten deals get all that makes a project. A contract's id is a name by which the plant finds it.
    """
    draw = Random(seed)
    noise = max(0, edits - deals * 4) // max(1, deals)
    lines = [line for number in range(first, first + deals) for line in _of_deal(number, noise, draw)]
    return list(_mixed(lines, draw))


def _of_deal(number: int, noise: int, draw: Random) -> Iterator[list[Edit]]:
    """The lines of edits that a deal brings along: of itself, of its contract, of an account for every third."""
    deal, account = deal_id(number), account_id(number // 3)
    name = f"取引 {number} 🚄"
    line = [Edit(DEALS, deal, {"Deal_Name": name, "Amount": 0, "Stage": "Negotiation", "Account_Name": account})]
    line += [Edit(DEALS, deal, {"Amount": draw.randrange(10_000)}) for _ in range(noise)]
    if draw.random() < 0.65:
        line.insert(draw.randint(1, len(line)), Edit(DEALS, deal, {"Stage": WON}))
    yield line
    contract = [Edit(CONTRACTS, f"contract {number}", {"Status": "Draft", "Zoho_Deal_Id__c": deal})]
    if draw.random() < 0.65:
        contract.append(Edit(CONTRACTS, f"contract {number}", {"Status": ACTIVATED}))
    yield contract
    if number % 3 == 0:
        of_account = [
            Edit(ACCOUNTS, account, {"Account_Name": f"株式会社 {number}", "Industry": "IT", "Account_Type": "-"})
        ]
        of_account += [Edit(ACCOUNTS, account, {"Industry": f"IT {step}"}) for step in range(noise // 2)]
        if draw.random() < 0.75:
            of_account.insert(draw.randint(1, len(of_account)), Edit(ACCOUNTS, account, {"Account_Type": CUSTOMER}))
        yield of_account


def _mixed(lines: list[list[Edit]], draw: Random) -> Iterator[Edit]:
    """One edit after another, of some forty lines at a time, so that what belongs together is near in time."""
    waiting = [line[::-1] for line in lines][::-1]
    active: list[list[Edit]] = []
    while waiting or active:
        while waiting and len(active) < 40:
            active.append(waiting.pop())
        at = draw.randrange(len(active))
        yield active[at].pop()
        if not active[at]:
            active.pop(at)
