"""What a workflow file asks of CRMs beside rows, done in the three practice CRMs over HTTP, once each."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from renkei.parts import FlowPart, Part
from renkei.practice import on_the_range
from renkei.runner import settle
from renkei.wiring import asked_of, discover, locked, parts
from sandbox.faults import Fault
from sandbox.server import Sandbox
from schemas.commands import Applied, Command
from schemas.decisions import Decision
from schemas.values import Value
from streams.lookup import explain_commands
from tests.sandbox.sales_seed import sales
from tests.sandbox.zoho_seed import TAKAHASHI

SETTINGS = """\
project: deeds
connections:
  zoho: {kind: zoho, key_field: Renkei_Key, sender: renkei@example.com, may_delete: [Demos]}
  salesforce: {kind: salesforce, login: client_credentials}
  vtiger: {kind: vtiger, options: {surface: cloud}, key_field: cf_renkei_key}
limits: {hops: 4}
"""


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(sales()) as running:
        running.clock.set(1_800_000_000_000)
        running.vtiger.options["per_minute"] = "100000"
        yield running


class Project:
    """A project at work in the sandbox, turned until it rests."""

    def __init__(self, sandbox: Sandbox, opened: list[Part]) -> None:
        self.sandbox, self._opened = sandbox, opened
        [self.flow] = [part.flow for part in opened if isinstance(part, FlowPart)]

    def rest(self) -> None:
        """Everything that follows has happened, and a few seconds have gone by."""
        for _ in range(4):
            self.sandbox.clock.advance(2_000)
            assert settle(self._opened, self.sandbox.clock.now, most=200) == {}

    def commands(self) -> list[Command]:
        return [one for one in self.flow.commands() if one.operation != "read"]

    def decisions(self, kind: str) -> list[Decision]:
        return [one for one in self.flow.decisions() if one.kind == kind]

    def outcomes(self) -> list[str]:
        """What became of each command: its operation, or why it was not applied."""
        found = [explain_commands(self.flow.store, one.id)[0] for one in self.commands()]
        return [
            one.command.operation if isinstance(one.outcome, Applied) else f"{one.command.operation}: {one.outcome}"
            for one in found
        ]


@contextmanager
def at_work(tmp_path: Path, sandbox: Sandbox, *workflows: str) -> Iterator[Project]:
    """A project of these workflows, with all that was there before it loaded."""
    (tmp_path / "workflows").mkdir()
    (tmp_path / "renkei.yaml").write_text(SETTINGS, encoding="utf-8")
    for number, text in enumerate(workflows):
        (tmp_path / "workflows" / f"w{number}.yaml").write_text(text, encoding="utf-8")
    folder = on_the_range(tmp_path, sandbox, tmp_path / "state")
    folder = discover(folder, asked_of(folder, folder.compile().book))
    edition = folder.compile()
    edition.problems.refuse()
    opened: list[Part] = []
    with locked(folder.state) as file:
        try:
            for make in parts(folder, edition.book, file, sandbox.clock.now).values():
                opened.append(make())  # noqa: PERF401 - those opened are closed, whatever happens
            project = Project(sandbox, opened)
            project.rest()
            yield project
        finally:
            for part in opened:
                part.close()


def row(sandbox: Sandbox, kind: str, tab: str, record_id: object) -> dict[str, Value]:
    found = sandbox.crm(kind).record(tab, str(record_id))
    assert found is not None, f"there is no {kind} {tab} {record_id}"
    return found


WON = """\
workflow: won
main_tab: lead
tabs:
  lead: {module: salesforce.Lead}
  account: {module: zoho.Accounts, match: {Account_Name: lead.Company}, several: oldest}
  organisation: {module: vtiger.Accounts, match: {accountname: lead.Company}, several: oldest}
rules:
  lead:
    - name: won
      trigger: {becomes: Rating is "Hot"}
      actions:
        - convert: lead
          deal: {Name: "{{ Company }} 🎌"}
          owner: user suzuki@example.com
        - note: "Converted in Salesforce: {{ steps.convert.Deal }}"
          on: account
          title: 見込み客
        - tag: organisation
          tags: [won, "{{ Rating }}"]
"""


def test_a_lead_of_one_crm_a_note_in_another_and_a_tag_in_the_third(tmp_path: Path, sandbox: Sandbox) -> None:
    company = "北海道乳業"
    account = sandbox.zoho.insert("Accounts", {"Account_Name": company})
    organisation = sandbox.vtiger.insert("Accounts", {"accountname": company})
    lead = sandbox.salesforce.insert("Lead", {"LastName": "高橋", "Company": company, "Rating": "Cold"})
    with at_work(tmp_path, sandbox, WON) as project:
        sandbox.zoho.faults.add(Fault("reset_after", "POST /crm/v8/Notes"))
        sandbox.salesforce.update("Lead", lead, {"Rating": "Hot"})
        project.rest()
        assert project.outcomes() == ["convert", "note", "tag"]
        [deal] = sandbox.salesforce.records("Opportunity")
        [note] = sandbox.zoho.records("Notes")
        assert (deal["Name"], deal["OwnerId"]) == (f"{company} 🎌", "0055g0000000002AAA")
        assert (note["Note_Content"], note["Parent_Id"]) == (f"Converted in Salesforce: {deal['id']}", account)
        assert row(sandbox, "vtiger", "Accounts", organisation)["tags"] == "won,Hot"
        assert row(sandbox, "salesforce", "Lead", lead)["IsConverted"] is True
        assert [one.rule for one in project.decisions("fired")] == ["won"]


ZOHO = """\
workflow: zoho
main_tab: demo
timezone: Asia/Tokyo
tabs:
  demo: {module: zoho.Demos}
  deal: {module: zoho.Deals, lookup: demo.Deal}
  contact: {module: zoho.Contacts, lookup: deal.Contact_Name}
  account: {module: zoho.Accounts, lookup: contact.Account_Name}
rules:
  demo:
    - name: go
      trigger: {field_updated: Name, to: go}
      actions:
        - {tag: demo, tags: [重要, old]}
        - {untag: demo, tags: [old]}
        - {transition: demo, take: Schedule}
        - {lock: deal, reason: Under review}
        - {unlock: deal}
        - {note: Seen, on: deal}
        - {event: Kick-off, on: deal, starts: created + 1 day, at: "10:00", owner: user suzuki@example.com}
        - {call: Ask, on: contact, starts: created + 1 day, at: "14:00"}
        - {email: contact.Email, on: deal, subject: Hello, text: Today}
        - {unlink: contact, from: account, by: Account_Name}
        - {delete: demo}
"""


def test_all_that_zoho_can_do(tmp_path: Path, sandbox: Sandbox) -> None:
    zoho = sandbox.zoho
    deal = zoho.insert("Deals", {"Deal_Name": "D", "Stage": "Negotiation", "Contact_Name": TAKAHASHI})
    demo = zoho.insert("Demos", {"Name": "new", "Status": "Requested", "Deal": deal})
    with at_work(tmp_path, sandbox, ZOHO) as project:
        zoho.update("Demos", demo, {"Name": "go"})
        project.rest()
        assert project.outcomes() == [
            "tag", "untag", "transition", "lock", "unlock", "note", "event", "call", "mail", "update", "delete",
        ]  # fmt: skip
    assert zoho.record("Demos", demo) is None
    tagged = next(one for one in reversed(zoho.ledger()) if one.record_id == demo and "Tag" in one.fields)
    assert tagged.fields["Tag"] == ["重要"]
    [event], [call] = zoho.records("Events"), zoho.records("Calls")
    assert (event["What_Id"], event["Owner"]) == (deal, "5725767000000010002")
    assert (event["Start_DateTime"], event["End_DateTime"]) == ("2027-01-16T01:00:00Z", "2027-01-16T02:00:00Z")
    assert (call["Who_Id"], call["Call_Start_Time"]) == (TAKAHASHI, "2027-01-16T05:00:00Z")
    assert row(sandbox, "zoho", "Contacts", TAKAHASHI)["Account_Name"] is None


SALESFORCE = """\
workflow: salesforce
main_tab: account
timezone: Asia/Tokyo
tabs:
  account: {module: salesforce.Account}
rules:
  account:
    - name: go
      trigger: {field_updated: Name, to: go}
      actions:
        - {tag: account, tags: [重要, old]}
        - {untag: account, tags: [old]}
        - {note: "話した 📞\\nagain", on: account}
        - {event: Kick-off, on: account, starts: created + 1 day, at: "10:00"}
        - {call: Ask, on: account, starts: created + 1 day, at: "14:00"}
        - {submit: account, comment: Please, approvers: user sato@example.com}
        - {approve: account, comment: Fine}
        - {submit: account}
        - {reject: account}
"""


def test_all_that_salesforce_can_do(tmp_path: Path, sandbox: Sandbox) -> None:
    salesforce = sandbox.salesforce
    account = salesforce.insert("Account", {"Name": "new"})
    with at_work(tmp_path, sandbox, SALESFORCE) as project:
        salesforce.update("Account", account, {"Name": "go"})
        project.rest()
        assert project.outcomes() == [
            "tag", "untag", "note", "event", "call", "submit", "approve", "submit", "reject",
        ]  # fmt: skip
    [note], [event], [call] = (salesforce.records(tab) for tab in ("ContentNote", "Event", "Task"))
    assert str(note["Title"]).startswith("話した 📞 [")
    assert (event["WhatId"], event["StartDateTime"]) == (account, "2027-01-16T01:00:00Z")
    assert (call["TaskSubtype"], call["ActivityDate"]) == ("Call", "2027-01-16")
    states = [(one["TargetObjectId"], one["Status"]) for one in salesforce.records("ProcessInstance")]
    assert states == [(account, "Approved"), (account, "Rejected")]


VTIGER = """\
workflow: vtiger
main_tab: lead
timezone: Asia/Tokyo
tabs:
  lead: {module: vtiger.Leads}
rules:
  lead:
    - name: go
      trigger: {field_updated: leadstatus, to: Hot}
      actions:
        - {tag: lead, tags: [重要, old]}
        - {untag: lead, tags: [old]}
        - {note: 話した, on: lead, title: Call}
        - {event: Kick-off, on: lead, starts: created + 1 day, at: "10:00", lasts: 90 minutes}
        - {call: Ask, on: lead, starts: created + 1 day, at: "14:00"}
        - {convert: lead, deal: {potentialname: "{{ company }}", closingdate: "2027-02-01", sales_stage: Prospecting}}
"""


def test_all_that_vtiger_can_do(tmp_path: Path, sandbox: Sandbox) -> None:
    vtiger = sandbox.vtiger
    lead = vtiger.insert("Leads", {"lastname": "高橋", "company": "北海道乳業", "leadstatus": "Cold"})
    with at_work(tmp_path, sandbox, VTIGER) as project:
        vtiger.update("Leads", lead, {"leadstatus": "Hot"})
        project.rest()
        assert project.outcomes() == ["tag", "untag", "note", "event", "call", "convert"]
    [note], [deal] = vtiger.records("ModComments"), vtiger.records("Potentials")
    assert (note["commentcontent"], note["related_to"]) == ("Call\n話した", lead)
    assert deal["potentialname"] == "北海道乳業"
    event, call = vtiger.records("Events")
    times = [str(event[name]) for name in ("date_start", "time_start", "due_date", "time_end")]
    assert times == ["2027-01-16", "01:00:00", "2027-01-16", "02:30:00"]
    assert (event["activitytype"], call["activitytype"], call["parent_id"]) == ("Meeting", "Call", lead)


RING = """\
workflow: leads
main_tab: lead
tabs:
  lead: {module: zoho.Leads}
rules:
  lead:
    - name: turn
      trigger: created
      criteria: lead.Company is not empty
      loop: intended
      actions:
        - convert: lead
          deal: {Deal_Name: "{{ Company }}", Stage: Qualification, Pipeline: Standard, Closing_Date: "2027-02-01"}
"""
BACK = """\
workflow: deals
main_tab: deal
tabs:
  deal: {module: zoho.Deals}
  lead: {module: zoho.Leads, match: {First_Name: deal.id}}
rules:
  deal:
    - name: back
      trigger: created
      criteria: deal.Deal_Name is not empty
      loop: intended
      actions:
        - create: lead
          fields: {Last_Name: Again, Company: "{{ Deal_Name }}"}
"""


def test_a_ring_of_conversions_is_one_chain_and_ends(tmp_path: Path, sandbox: Sandbox) -> None:
    """Each turn makes a record that no rule has seen: nothing but the chain tells that it is the same work (D-61)."""
    with at_work(tmp_path, sandbox, RING, BACK) as project:
        sandbox.zoho.insert("Leads", {"Last_Name": "高橋", "Company": "Ring"})
        project.rest()
        assert [one.operation for one in project.commands()] == ["convert", "create", "convert", "create"]
        chains = [one.chain for one in project.commands()]
        assert {chain.id for chain in chains if chain} == {chains[0].id if chains[0] else ""}
        assert [chain.hop for chain in chains if chain] == [1, 2, 3, 4]
        [alarm] = project.decisions("alarm")
        assert "chain of 4 hops stopped" in alarm.reason
        sandbox.zoho.insert("Leads", {"Last_Name": "鈴木", "Company": "Anew"})
        project.rest()
        assert len(project.commands()) == 8, "a person's lead is work of its own (D-64)"
