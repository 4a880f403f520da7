"""Small workflow books for the protocol's tests, and the large one of the random worlds (stage protocol, section 8)."""

from collections.abc import Mapping
from functools import cache

from rules.book import Book
from rules.project import Project
from rules.publishing import publish

_ACTION = "      actions: [{webhook: 'https://example.org/{{ id }}'}]\n"


def book(main: str, tabs: Mapping[str, str], rules: Mapping[str, Mapping[str, str]], *, extra: str = "") -> Book:
    """One workflow: tabs as YAML flow mappings by alias, rules as ``{alias: {name: criteria}}``."""
    return publish({"w.yaml": _file("w", main, tabs, rules, extra)}, Project())


def books(*files: str) -> Book:
    """Several workflow files."""
    return publish({f"{number}.yaml": text for number, text in enumerate(files)}, Project())


def _file(
    name: str, main: str, tabs: Mapping[str, str], rules: Mapping[str, Mapping[str, str]], extra: str = ""
) -> str:
    lines = [f"workflow: {name}", f"main_tab: {main}", extra, "tabs:"]
    lines += [f"  {alias}: {{{text}}}" for alias, text in tabs.items()]
    lines.append("rules:")
    for alias, named in rules.items():
        lines.append(f"  {alias}:")
        for rule, criteria in named.items():
            lines += [f"    - name: {rule}", f"      {_wakes(criteria)}", _ACTION.rstrip().replace("{{ id }}", rule)]
    return "\n".join(lines) + "\n"


def _wakes(criteria: str) -> str:
    if criteria.startswith("on "):
        return f"trigger: {criteria.removeprefix('on ')}"
    return f"trigger: criteria_met\n      criteria: '{criteria}'"


DEALS = _file(
    "deals",
    "deal",
    {
        "deal": "module: zoho.Deals",
        "account": "module: zoho.Accounts, lookup: deal.Account",
        "parent": "module: zoho.Accounts, lookup: account.Parent",
        "grand": "module: zoho.Accounts, lookup: parent.Parent",
        "sibling": "module: zoho.Deals, related_to: account, by: Account",
        "contact": "module: zoho.Contacts, lookup: deal.Contact",
        "colleague": "module: zoho.Contacts, related_to: account, by: Account",
        "demo": "module: zoho.Demos, related_to: deal, by: Deal",
        "feedback": "module: zoho.Feedback, related_to: demo, by: Demo",
        "lead": "module: sf.Leads, match: {Email: contact.Email}",
        "task": "module: sf.Tasks, related_to: lead, by: Lead",
    },
    {
        "deal": {
            "gold-account": 'account.Grade is "gold"',
            "no-colleague": "no colleague",
            "gold-feedback": 'any feedback where (Grade is "gold")',
            "two-tasks": "count(task) >= 2",
            "gold-grand": 'grand.Grade is "gold" and no demo where (Grade is "bad")',
            "gold-siblings": 'all sibling where (Grade is "gold")',
            "no-bad-lead": 'no lead where (Grade is "bad")',
        },
        "demo": {"gold-demo": 'deal.Grade is "gold" and any feedback where (Grade is "gold")'},
    },
)

ACCOUNTS = _file(
    "accounts",
    "account",
    {
        "account": "module: zoho.Accounts",
        "up": "module: zoho.Accounts, lookup: account.Parent",
        "deal": "module: zoho.Deals, related_to: account, by: Account",
        "demo": "module: zoho.Demos, related_to: deal, by: Deal",
        "contact": "module: zoho.Contacts, related_to: account, by: Account",
    },
    {
        "account": {
            "demo-without-contact": 'any demo where (Grade is "gold") and no contact',
            "gold-up": 'up.Grade is "gold"',
        }
    },
)


@cache
def world_book() -> Book:
    """Two main tabs with trees of eleven and five nodes over seven tabs."""
    return books(DEALS, ACCOUNTS)
