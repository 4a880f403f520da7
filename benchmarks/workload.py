"""The work that is measured: deals, accounts and contracts of three tabs in two CRMs, one rule over all three."""

import random
from collections.abc import Iterator

from rules.book import Book
from rules.project import Project
from rules.publishing import publish
from schemas.events import ChangeEvent, Operation
from schemas.values import Image

WORKFLOW = """
workflow: bench
main_tab: deal
tabs:
  deal:     {module: zoho.Deals}
  account:  {module: zoho.Accounts, lookup: deal.Account_Name}
  contract: {module: salesforce.Contract, match: {Deal__c: deal.id}}
rules:
  deal:
    - name: won
      trigger: criteria_met
      criteria: >-
        deal.Stage is "Closed Won" and any contract where (Status is "Activated")
        and account.Type is "Customer" and deal.Amount >= 1000
      actions:
        - update: deal
          fields: {Next_Step: "Start with {{ account.Account_Name }}"}
"""
DEALS, ACCOUNTS, CONTRACTS = "zoho:Deals", "zoho:Accounts", "salesforce:Contract"
TABS = (DEALS, ACCOUNTS, CONTRACTS)


def book() -> Book:
    """The published workflow."""
    return publish({"bench.yaml": WORKFLOW}, Project())


class World:
    """Records that change: found by a first load, then edited so that one event in ten fires, however many there are.

    Half of the deals are won and three contracts in five are active from the start and stay so on the whole, so that
    the share that fires does not hang on how often each record is edited.
    """

    def __init__(self, deals: int, seed: int = 1) -> None:
        self._random = random.Random(seed)
        self._deals, self._accounts = deals, max(1, deals // 4)
        self._images: dict[tuple[str, str], Image] = {}
        self._position = 0

    def found(self) -> Iterator[ChangeEvent]:
        """Every record: accounts, deals, and a contract for each deal."""
        for number in range(self._accounts):
            yield self._event(ACCOUNTS, f"A{number}", "create", {
                "Account_Name": f"Account {number}", "Type": "Customer", "Industry": "Retail", "Phone": "1",
            })  # fmt: skip
        for number in range(self._deals):
            yield self._event(DEALS, f"D{number}", "create", {
                "Deal_Name": f"Deal {number}", "Stage": self._either(0.5, "Closed Won", "Open"), "Amount": 5000,
                "Owner": "u1", "Probability": 10,
                "Account_Name": f"A{number % self._accounts}", "Next_Step": "",
            })  # fmt: skip
            yield self._event(CONTRACTS, f"K{number}", "create", {
                "Deal__c": f"D{number}", "Status": self._either(0.6, "Activated", "Draft"), "StartDate": "2026-01-01",
            })  # fmt: skip

    def edited(self, count: int) -> Iterator[ChangeEvent]:
        """So many edits, spread over all records."""
        for _ in range(count):
            yield self._edit()

    def _edit(self) -> ChangeEvent:
        chance, number = self._random.random(), self._random.randrange(self._deals)
        if chance < 0.55:
            return self._edit_deal(f"D{number}")
        if chance < 0.90:
            return self._edit_contract(f"K{number}")
        field = "Phone" if chance < 0.97 else "Account_Name"
        return self._change(ACCOUNTS, f"A{number % self._accounts}", {field: f"{self._random.random():.6f}"})

    def _edit_deal(self, name: str) -> ChangeEvent:
        if self._random.random() < 0.36:
            open_ = self._images[(DEALS, name)]["Stage"] != "Closed Won"
            return self._change(DEALS, name, {"Stage": "Closed Won" if open_ else "Open"})
        return self._change(DEALS, name, {"Amount": self._random.randrange(1000, 9000)})

    def _edit_contract(self, name: str) -> ChangeEvent:
        day = f"2026-01-{self._random.randrange(1, 28):02d}"
        status = self._either(0.6, "Activated", "Draft")
        return self._change(CONTRACTS, name, {"Status": status, "StartDate": day})

    def _either(self, share: float, one: str, other: str) -> str:
        return one if self._random.random() < share else other

    def _change(self, tab: str, name: str, fields: Image) -> ChangeEvent:
        return self._event(tab, name, "update", {**self._images[(tab, name)], **fields})

    def _event(self, tab: str, name: str, operation: Operation, image: Image) -> ChangeEvent:
        self._position += 1
        self._images[(tab, name)] = image
        return ChangeEvent(
            tab=tab, record_id=name, op=operation, after={**image, "id": name}, committed_at=self._position,
            seen_at=self._position, source_position=self._position, load=operation == "create",
        )  # fmt: skip
