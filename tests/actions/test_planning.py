"""What each action plans, in tables over tiny workflows; whole stories are in tests/scenarios."""

from collections.abc import Iterable
from typing import Any

import pytest

from rules.errors import WorkflowError
from rules.project import Project
from rules.publishing import publish
from schemas.commands import Command
from schemas.metadata import ConnectionMetadata, Field, Tab
from streams.testing import Driver

WORKFLOW = """\
workflow: w
main_tab: deal
timezone: Asia/Tokyo
tabs:
  deal: {{module: zoho.Deals}}
  account: {{module: zoho.Accounts, lookup: deal.Account}}
  contact: {{module: zoho.Contacts, lookup: deal.Contact}}
  demo: {{module: zoho.Demos, related_to: deal, by: Deal}}
  feedback: {{module: zoho.Feedback, related_to: demo, by: Demo}}
  contract: {{module: salesforce.Contract, match: {{Deal__c: deal.Key}}}}
teams: {{sales: Sales Asia}}
context: [{context}]
rules:
  deal:
    - name: r
      trigger: {{becomes: Go is true}}
      actions:
        - {action}
"""


def planned(action: str, context: str = "", project: Project | None = None, **deal: Any) -> list[Command]:
    """The commands of one action for a deal with an account, a contact and no demos."""
    book = publish({"w.yaml": WORKFLOW.format(action=action, context=context)}, project or Project())
    driver = Driver(book)
    driver.create("zoho:Accounts", "A1", Name="Acme", Owner="u2")
    driver.create("zoho:Contacts", "C1", Name="Jo", Email="jo@example.com", Owner="")
    driver.create("zoho:Deals", "D1", **{"Account": "A1", "Contact": "C1", "Name": "One", "Owner": "u1", **deal})
    driver.update("zoho:Deals", "D1", Go=True)
    return driver.commands()


def refused(action: str) -> str:
    """What is wrong with an action, in one line per problem."""
    with pytest.raises(WorkflowError) as error:
        planned(action)
    return " | ".join(f"{one.problem} {one.hint}" for one in error.value.problems)


@pytest.mark.parametrize(
    ("who", "owner"),
    [
        ("team sales", "team:Sales Asia"),
        ("queue Tier 2", "queue:Tier 2"),
        ("role Sales Director", "role:Sales Director"),
        ("user a@b.example", "user:a@b.example"),
        ("a@b.example", "user:a@b.example"),
        ("deal.Owner", "user:u1"),
        ("Owner", "user:u1"),
        ("account.Owner", "user:u2"),
        ("manager of deal.Owner", "manager:u1"),
        ("'{{ account.Owner }}'", "user:u2"),
    ],
)
def test_an_owner_is_named_as_connectors_resolve_it(who: str, owner: str) -> None:
    (command,) = planned(f"{{create: demo, owner: {who}, fields: {{Name: x}}}}")
    assert command.owner == owner


@pytest.mark.parametrize("who", ["deal.Nobody", "manager of contact.Owner"])
def test_an_empty_owner_leaves_a_create_without_one_and_fails_an_assign(who: str) -> None:
    (command,) = planned(f"{{create: demo, owner: {who}, fields: {{Name: x}}}}")
    assert command.owner == ""
    assert planned(f"{{assign: account, owner: {who}}}") == []


@pytest.mark.parametrize(
    ("action", "fields"),
    [
        ("{create: demo, fields: {Name: '{{ Name }} {{ account.Name }}'}}", {"Name": "One Acme", "Deal": "D1"}),
        ("{create: demo, fields: {Amount: '{{ Amount }}', Empty: '{{ Nothing }}'}}", {"Amount": 7, "Deal": "D1"}),
        ("{create: demo, fields: {Deal: D9}}", {"Deal": "D9"}),
        ("{create: contract, fields: {Kind: a}}", {"Kind": "a", "Deal__c": "K1"}),
        ("{create: account, fields: {Name: New}}", {"Name": "New"}),
        ("{create: demo, fields: {On: '{{ today() }}', List: [a, '{{ Name }}'], Flag: true}}",
         {"On": "2026-01-05", "List": ["a", "One"], "Flag": True, "Deal": "D1"}),
    ],
)  # fmt: skip
def test_a_new_record_is_tied_to_its_parent_and_keeps_the_types_of_its_values(
    action: str, fields: dict[str, Any]
) -> None:
    (command,) = planned(action, Amount=7, Key="K1")
    assert command.fields == fields


def test_a_record_without_a_parent_to_hang_on_is_not_created() -> None:
    """Feedback hangs on a demo, and there is none."""
    assert planned("{create: feedback, fields: {Name: x}}") == []


@pytest.mark.parametrize(
    ("action", "written"),
    [
        ("{update: account, fields: {Name: ' Acme '}}", []),
        ("{update: account, fields: {Name: Acme, Type: Customer}}", [{"Type": "Customer"}]),
        ("{update: account, fields: {Type: ''}}", []),
        ("{update: account, fields: {Name: ''}}", [{"Name": ""}]),
        ("{update: demo, all: true, fields: {Name: x}}", []),
        ("{link: deal, to: account, by: Account}", []),
        ("{link: contact, to: account, by: Employer}", [{"Employer": "A1"}]),
        ("{upsert: contract, key: {Deal__c: '{{ Key }}'}, fields: {A: 1}}", []),
        ("{upsert: contract, key: {Deal__c: '{{ Name }}'}, fields: {A: 1}}", [{"Deal__c": "One", "A": 1}]),
    ],
)
def test_only_what_differs_is_written(action: str, written: list[dict[str, Any]]) -> None:
    """D-44; an upsert without a key value fails instead of creating anything."""
    assert [command.fields for command in planned(action)] == written


@pytest.mark.parametrize(
    ("context", "body"),
    [
        ("", "hello"),
        ("deal.Name", "hello\n\nName: One"),
        ("deal.Name, account.Name", "hello\n\ndeal.Name: One\naccount.Name: Acme"),
        ("deal.Nothing, contact.Email", "hello\n\nEmail: jo@example.com"),
    ],
)
def test_notifications_carry_the_context_and_mails_to_customers_do_not(context: str, body: str) -> None:
    (notify,) = planned("{notify: user a, text: hello}", context)
    assert notify.fields["body"] == body
    (email,) = planned("{email: contact.Email, text: hello}", context)
    assert email.fields["body"] == "hello"


def test_the_context_of_an_html_message_is_escaped() -> None:
    project = Project(templates={"t": "Subject: S\nContent-Type: text/html\n\n<b>Hi</b>"})
    (command,) = planned("{notify: user a, template: t}", "deal.Name", project, Name="<One>")
    assert command.fields["body"] == "<b>Hi</b><p>Name: &lt;One&gt;</p>\n"


def test_the_context_fills_the_fields_of_a_new_record_that_have_its_name() -> None:
    known = ("Name", "Email", "Owner", "Go", "Key", "Account", "Contact", "Demo", "Amount")
    tabs = {name: _tab(name, *known) for name in ("Deals", "Accounts", "Contacts", "Feedback")}
    zoho = ConnectionMetadata(connection="zoho", tabs={**tabs, "Demos": _tab("Demos", "Name", "Deal", "Email")})
    (command,) = planned(
        "{create: demo, fields: {Name: mine}}",
        "deal.Name, contact.Email, deal.Amount",
        Project(metadata={"zoho": zoho}),
    )
    assert command.fields == {"Name": "mine", "Email": "jo@example.com", "Deal": "D1"}


def _tab(name: str, *fields: str) -> Tab:
    return Tab(name=name, fields={one: Field(name=one) for one in fields})


@pytest.mark.parametrize(
    ("action", "what"),
    [
        ("{update: demo, fields: {A: 1}}", "there can be several records of tab demo"),
        ("{assign: demo, owner: user a}", "put it into `for_each: demo`"),
        ("{task: call, on: demo}", "there can be several records of tab demo"),
        ("{link: demo, to: account, by: X}", "there can be several records of tab demo"),
        ("{update: account}", "fields"),
        ("{update: account, fields: {A: 1}, if_unmodified: true}", "if_unmodified"),
        ("{create: demo, unless_exist: true}", "unless_exists"),
        ("{create: nothing}", "unknown tab 'nothing'"),
        ("{notify: team nobody, text: x}", "unknown team 'nobody'"),
        ("{notify: user a, text: '{{ demo.Name }}'}", "there can be several records of tab demo"),
        ("{notify: user a, text: '{{ steps.x.id }}'}", "steps"),
        ("{notify: user a, template: t, text: x}", "a template has its own subject and text"),
        ("{webhook: 'https://example.com', retries: 3}", "retries"),
        ("{wait: a while}", "'a while' is no duration"),
        ("{branch: [{if: Amount > 1}]}", "`if` with `then`"),
        ("{for_each: demo, do: [{lookup: demo}]}", "`lookup` is not built yet"),
        ("{parallel: []}", "`parallel` is not built yet"),
        ("{create: demo, update: deal}", "one action has two verbs"),
        ("{creat: demo}", "'create'"),
    ],
)
def test_what_is_wrong_with_an_action_is_said(action: str, what: str) -> None:
    assert what in refused(action)


@pytest.mark.parametrize("context", ["demo.Name", "nothing.Name", "deal"])
def test_the_context_names_fields_of_single_records(context: str) -> None:
    with pytest.raises(WorkflowError):
        planned("{notify: user a, text: x}", context)


def test_every_command_can_be_traced_to_its_rule_and_chain() -> None:
    first, second = planned("{notify: user a, text: x}") + planned("{notify: user a, text: x}")
    assert first.id == second.id, "the same cause gives the same id"
    assert (first.workflow, first.rule, first.anchor, first.journey) == ("w", "r", "zoho:Deals/D1", "zoho:Deals/D1")
    assert first.chain is not None
    assert (first.chain.hop, first.chain.fired) == (1, ("w/r@zoho:Deals/D1",))


def _ids(commands: Iterable[Command]) -> list[str]:
    return [command.id for command in commands]


def test_two_steps_never_share_an_id() -> None:
    commands = planned("{notify: user a, text: x}\n        - {notify: user a, text: x}")
    assert len(set(_ids(commands))) == 2
