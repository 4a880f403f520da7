"""What is asked of a CRM beside writing rows: found again by key, told apart from field values, warned about."""

import pytest

from rules.advice import Surroundings, examine
from rules.analysis import rule_node
from rules.lint import CREATED, TOUCHED, Write
from rules.placed import Placed, places
from rules.project import Project
from rules.publishing import compile_files, publish
from schemas.abilities import Ability
from schemas.commands import Command
from schemas.metadata import ConnectionMetadata
from streams.testing import Driver

WORKFLOW = """\
workflow: w
main_tab: lead
tabs:
  lead: {module: zoho.Leads}
  account: {module: zoho.Accounts, lookup: lead.Account}
rules:
  lead:
    - name: r
      trigger: {becomes: Go is true}
      actions:
"""
PROJECT = Project(
    key_fields={"zoho": "Renkei_Key"}, may_delete={"zoho": ["Leads"]},
    abilities={
        "zoho": {
            "delete": Ability(), "tag": Ability(), "note": Ability(makes={"": "Notes"}, touches=False),
            "convert": Ability(tabs=("Leads",), makes={"Account": "Accounts", "Deal": "Deals"}),
            "mail": Ability(touches=False),
        }
    },
)  # fmt: skip


def text(*actions: str) -> str:
    return WORKFLOW + "".join(f"        - {action}\n" for action in actions)


def planned(*actions: str, project: Project = PROJECT) -> list[Command]:
    driver = Driver(publish({"w.yaml": text(*actions)}, project))
    driver.create("zoho:Accounts", "A1", Name="みらい")
    driver.create("zoho:Leads", "L1", Account="A1", Name="高橋", Owner="u1")
    driver.update("zoho:Leads", "L1", Go=True)
    return driver.commands()


@pytest.mark.parametrize(
    ("action", "keyed"),
    [
        ("{note: Won, on: lead}", True),
        ("{convert: lead}", True),
        ("{event: Kick-off, on: lead, starts: created + 1 day}", True),
        ("{call: Ask, on: lead, starts: created + 1 day}", True),
        ("{tag: lead, tags: [vip]}", False),
        ("{lock: lead}", False),
    ],
)
def test_what_makes_something_carries_the_key_by_which_it_is_found_again(action: str, keyed: bool) -> None:
    (command,) = planned(action, project=Project(key_fields={"zoho": "Renkei_Key"}))
    assert command.key == (("Renkei_Key", command.id) if keyed else None)


def test_what_a_note_says_is_no_field_of_its_record() -> None:
    """A later step compares with the record itself, and writes."""
    _, update = planned("{note: Won, on: account}", "{update: account, fields: {text: Won}}")
    assert (update.operation, update.fields) == ("update", {"text": "Won"})


def test_the_values_of_a_transition_are_fields_of_its_record() -> None:
    actions = ("{transition: account, take: Win, fields: {Name: 受注}}", "{update: account, fields: {Name: 受注}}")
    assert [one.operation for one in planned(*actions, project=Project())] == ["transition"]


@pytest.mark.parametrize(
    ("action", "writes"),
    [
        ("{tag: account, tags: [vip]}", {Write("zoho:Accounts", TOUCHED, True)}),
        ("{note: Won, on: account}", {Write("zoho:Notes", CREATED, creates=True)}),
        ("{email: lead.Name, on: lead, text: x}", set()),
        ("{delete: lead}", set()),
        (
            "{convert: lead, deal: {Deal_Name: x}}",
            {Write("zoho:Leads", TOUCHED, True), *(Write(f"zoho:{tab}", CREATED, creates=True)
                                                   for tab in ("Accounts", "Deals"))},
        ),
        (
            "{convert: lead}",
            {Write("zoho:Leads", TOUCHED, True), Write("zoho:Accounts", CREATED, creates=True)},
        ),
    ],
)  # fmt: skip
def test_the_checker_sees_what_a_crm_does_of_its_own_accord(action: str, writes: set[Write]) -> None:
    edition = compile_files({"w.yaml": text(action)}, PROJECT)
    assert not edition.problems.errors, edition.problems.render()
    (draft,) = edition.drafts
    (part,) = draft.file.rules["lead"]
    rule = edition.book.rule("w/r")
    assert rule is not None
    placed = Placed(rule, part, draft.document, places(draft.file)["r"])
    assert set(rule_node(placed, edition.book.trees["zoho:Leads"], PROJECT).writes) == writes


RING = """\
workflow: ring
main_tab: lead
tabs:
  lead: {module: zoho.Leads}
  deal: {module: zoho.Deals, match: {Lead: lead.id}}
rules:
  lead:
    - {name: turn, trigger: created, actions: [{convert: lead, deal: {Name: x}}]}
  deal:
    - {name: back, trigger: created, actions: [{upsert: lead, key: {Name: "{{ deal.Name }}"}}]}
"""


def test_a_ring_by_way_of_a_conversion_is_refused() -> None:
    """A lead becomes a deal, and the deal makes a lead (D-63)."""
    told = compile_files({"w.yaml": RING}, PROJECT).problems.errors
    assert ["creates zoho:Deals" in one.problem for one in told] == [True]
    assert not compile_files({"w.yaml": RING}, Project()).problems.errors, "nobody says what a conversion makes"


AROUND = Surroundings(ConnectionMetadata(connection="mail"), frozenset())


@pytest.mark.parametrize(
    ("actions", "warned"),
    [
        (["{delete: lead}", "{note: Bye, on: account}"], ["the journey ends with its main record"]),
        (["{note: Bye, on: account}", "{delete: lead}"], []),
        (["{email: lead.Name, on: lead, text: x}"], []),
        (["{email: lead.Name, text: x}"], ["there is no connection of kind email"]),
    ],
)
def test_what_is_often_not_meant_is_warned_of(actions: list[str], warned: list[str]) -> None:
    edition = compile_files({"w.yaml": text(*actions)}, PROJECT)
    found = [one.problem for one in examine(edition, PROJECT, AROUND)]
    assert len(found) == len(warned), found
    assert all(words in problem for words, problem in zip(warned, found, strict=True))
