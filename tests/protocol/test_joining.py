"""Who belongs to a journey, whichever record came first (stage protocol, sections 1 and 5)."""

from itertools import permutations

import pytest

from schemas.messages import Fact
from tests.protocol.books import book, books
from tests.protocol.storms import Parts
from tests.protocol.wires import Wires

DEAL, ACCOUNT, CONTACT, DEMO, FEEDBACK = (
    "zoho:Deals/1", "zoho:Accounts/A", "zoho:Contacts/c", "zoho:Demos/d", "zoho:Feedback/f",
)  # fmt: skip

TREE = {
    "deal": "module: zoho.Deals",
    "account": "module: zoho.Accounts, lookup: deal.Account",
    "parent": "module: zoho.Accounts, lookup: account.Parent",
    "grand": "module: zoho.Accounts, lookup: parent.Parent",
    "contact": "module: zoho.Contacts, lookup: deal.Contact",
    "colleague": "module: zoho.Contacts, related_to: account, by: Account",
    "demo": "module: zoho.Demos, related_to: deal, by: Deal",
    "feedback": "module: zoho.Feedback, related_to: demo, by: Demo",
    "lead": "module: sf.Leads, match: {Email: contact.Email}",
}
RULES = {
    "deal": {
        "gold-account": 'account.Grade is "gold"',
        "any-feedback": "any feedback",
        "no-account": "account does not exist",
        "no-colleague": "no colleague",
        "any-lead": "any lead",
        "gold-colleague": 'any colleague where (Grade is "gold")',
    },
    "demo": {"heard": "any feedback"},
}
JOINED = book("deal", TREE, RULES)


def test_child_before_parent_joins_when_the_parent_comes(parts: Parts) -> None:
    wires = Wires(JOINED, parts)
    wires.create(DEMO, Deal="1")
    wires.create(DEAL, Account="A")
    wires.run()
    assert wires.members(DEAL, "demo") == {DEMO}
    assert wires.truth(DEAL, "gold-account") is False
    wires.create(ACCOUNT, Grade="gold")
    wires.run()
    assert wires.members(DEAL, "account") == {ACCOUNT}
    assert wires.truth(DEAL, "gold-account") is True
    assert wires.fires("gold-account") == 1


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
def test_grandchild_before_child_before_main(parts: Parts, order: tuple[int, ...]) -> None:
    wires = Wires(JOINED, parts)
    makes = [(FEEDBACK, {"Demo": "d"}), (DEMO, {"Deal": "1"}), (DEAL, {})]
    for number in order:
        ref, fields = makes[number]
        wires.create(ref, **fields)
        wires.run()
    assert wires.members(DEAL, "demo") == {DEMO}
    assert wires.members(DEAL, "feedback") == {FEEDBACK}
    assert wires.fires("any-feedback") == 1


def test_record_by_two_paths_is_one_image_with_two_memberships(parts: Parts) -> None:
    wires = _contact_by_two_paths(parts)
    assert wires.members(DEAL, "contact") == wires.members(DEAL, "colleague") == {CONTACT}
    wires.change(CONTACT, {"Account": "A", "Grade": "gold"})
    wires.run()
    assert len([fact for fact in wires.told(Fact, DEAL) if fact.ref == CONTACT and fact.old]) == 2
    assert wires.fires("gold-colleague") == 1


def test_leaving_by_one_path_stays_by_the_other(parts: Parts) -> None:
    wires = _contact_by_two_paths(parts)
    wires.change(CONTACT, {"Account": "B"})
    wires.run()
    assert wires.members(DEAL, "contact") == {CONTACT}
    assert wires.members(DEAL, "colleague") == set()
    wires.change(CONTACT, {"Account": "A"})
    wires.change(DEAL, {"Account": "A"})
    wires.run()
    assert wires.members(DEAL, "contact") == set()
    assert wires.members(DEAL, "colleague") == {CONTACT}


def test_main_moves_to_another_account_is_unknown_not_empty(parts: Parts) -> None:
    wires = Wires(JOINED, parts, "zoho:Contacts.Account=B")
    wires.create("zoho:Contacts/c1", Account="A")
    wires.create("zoho:Contacts/c2", Account="B")
    wires.create("zoho:Accounts/A")
    wires.create("zoho:Accounts/B")
    wires.run()
    wires.create(DEAL, Account="A")
    wires.run()
    assert wires.truth(DEAL, "no-colleague") is False
    wires.hold("relations/1", "journeys")
    wires.change(DEAL, {"Account": "B"})
    wires.run()
    assert wires.members(DEAL, "colleague") == set()
    assert wires.truth(DEAL, "no-colleague") is None
    wires.release()
    wires.run()
    assert wires.members(DEAL, "colleague") == {"zoho:Contacts/c2"}
    assert wires.truth(DEAL, "no-colleague") is False
    assert wires.fires("no-colleague") == 0


def test_absent_parent_is_false_after_load_and_unknown_before(parts: Parts) -> None:
    wires = Wires(JOINED, parts, loaded=False)
    wires.change(DEAL, {"Account": "nobody"}, "create", load=True)
    wires.loaded("zoho:Deals")
    wires.run()
    assert not wires.complete(DEAL, "account")
    assert wires.truth(DEAL, "gold-account") is None
    assert wires.truth(DEAL, "no-account") is None
    wires.loaded("zoho:Accounts")
    wires.run()
    assert wires.complete(DEAL, "account")
    assert wires.truth(DEAL, "gold-account") is False
    assert wires.truth(DEAL, "no-account") is True


def test_parent_cycle_ends_at_tree_depth(parts: Parts) -> None:
    wires = Wires(JOINED, parts)
    wires.create("zoho:Accounts/A", Parent="B")
    wires.create("zoho:Accounts/B", Parent="A")
    wires.create(DEAL, Account="A")
    wires.run()
    assert [wires.members(DEAL, one) for one in ("account", "parent", "grand")] == [
        {"zoho:Accounts/A"}, {"zoho:Accounts/B"}, {"zoho:Accounts/A"},
    ]  # fmt: skip
    wires.change("zoho:Accounts/B", {"Parent": None})
    wires.run()
    assert wires.members(DEAL, "grand") == set()
    assert wires.members(DEAL, "account") == {"zoho:Accounts/A"}


def test_record_that_is_its_own_parent(parts: Parts) -> None:
    wires = Wires(JOINED, parts)
    wires.create(ACCOUNT, Parent="A")
    wires.create(DEAL, Account="A")
    wires.run()
    assert all(wires.members(DEAL, one) == {ACCOUNT} for one in ("account", "parent", "grand"))
    wires.change(ACCOUNT, {"Parent": None, "Grade": "gold"})
    wires.run()
    assert [wires.members(DEAL, one) for one in ("account", "parent", "grand")] == [{ACCOUNT}, set(), set()]
    wires.change(DEAL, {"Account": None})
    wires.run()
    assert wires.find_key("zoho:Accounts.id=A") is not None
    assert wires.key("zoho:Accounts.id=A").seekers == {}


_OF_DEALS = """
workflow: deals
main_tab: deal
tabs: {deal: {module: zoho.Deals}, account: {module: zoho.Accounts, lookup: deal.Account}}
rules:
  deal:
    - {name: gold-deal, trigger: {becomes: account.Grade is "gold"}, actions: [{webhook: 'https://example.org/d'}]}
"""
_OF_CONTACTS = """
workflow: contacts
main_tab: contact
tabs: {contact: {module: zoho.Contacts}, account: {module: zoho.Accounts, lookup: contact.Account}}
rules:
  contact:
    - {name: gold-contact, trigger: {becomes: account.Grade is "gold"}, actions: [{webhook: 'https://example.org/c'}]}
"""


def test_two_main_tabs_share_one_key(parts: Parts) -> None:
    wires = Wires(books(_OF_DEALS, _OF_CONTACTS), parts)
    wires.create(DEAL, Account="A")
    wires.create(CONTACT, Account="A")
    wires.create(ACCOUNT, Grade="bad")
    wires.run()
    assert set(wires.key("zoho:Accounts.id=A").seekers) == {DEAL, CONTACT}
    wires.change(ACCOUNT, {"Grade": "gold"})
    wires.run()
    assert (wires.fires("gold-deal"), wires.fires("gold-contact")) == (1, 1)
    wires.change(DEAL, {"Account": None})
    wires.run()
    assert set(wires.key("zoho:Accounts.id=A").seekers) == {CONTACT}
    assert CONTACT in wires.journey(CONTACT).join.members[0]
    assert ACCOUNT in wires.journey(CONTACT).join.members[1]


@pytest.mark.parametrize("side", [CONTACT, "sf:Leads/l"])
def test_equality_match_changes_on_either_side(parts: Parts, side: str) -> None:
    wires = Wires(JOINED, parts)
    wires.create(DEAL, Contact="c")
    wires.create(CONTACT, Email="Ann@example.com ")
    wires.create("sf:Leads/l", Email="ann@EXAMPLE.com")
    wires.run()
    assert wires.fires("any-lead") == 1
    assert wires.members(DEAL, "lead") == {"sf:Leads/l"}
    wires.change(side, {"Email": "bob@example.com"})
    wires.run()
    assert wires.members(DEAL, "lead") == set()
    assert wires.truth(DEAL, "any-lead") is False
    wires.change(side, {"Email": "ann@example.com"})
    wires.run()
    assert wires.members(DEAL, "lead") == {"sf:Leads/l"}
    assert wires.fires("any-lead") == 2


def test_child_that_moves_to_its_sibling_is_seen_by_the_rules_of_both(parts: Parts) -> None:
    """Nobody comes or goes at the node, but who hangs below whom is another thing."""
    wires = Wires(JOINED, parts)
    wires.create(DEAL)
    wires.create("zoho:Demos/d1", Deal="1")
    wires.create("zoho:Demos/d2", Deal="1")
    wires.create(FEEDBACK, Demo="d1")
    wires.run()
    truths = wires.journey(DEAL).rules.truths["w/heard"]
    assert {anchor: truth.value for anchor, truth in truths.items()} == {"zoho:Demos/d1": True, "zoho:Demos/d2": False}
    wires.change(FEEDBACK, {"Demo": "d2"})
    wires.run()
    assert {anchor: truth.value for anchor, truth in truths.items()} == {"zoho:Demos/d1": False, "zoho:Demos/d2": True}
    assert wires.fires("heard") == 2


def test_node_that_ceases_to_want_an_unanswered_key_is_known_at_once(parts: Parts) -> None:
    wires = Wires(JOINED, parts, "zoho:Accounts.id=A")
    wires.hold("relations/1", "journeys")
    wires.create(DEAL, Account="A")
    wires.run()
    assert wires.truth(DEAL, "no-colleague") is None
    wires.change(DEAL, {"Account": None})
    wires.run()
    assert wires.truth(DEAL, "no-colleague") is True


def _contact_by_two_paths(parts: Parts) -> Wires:
    wires = Wires(JOINED, parts)
    wires.create(ACCOUNT)
    wires.create(CONTACT, Account="A")
    wires.create(DEAL, Account="A", Contact="c")
    wires.run()
    return wires


def test_blank_after_an_id_is_another_value_and_its_correction_is_a_move(parts: Parts) -> None:
    """To criteria a blank at the end is no change; a key takes ids as they are (D-35)."""
    wires = Wires(JOINED, parts)
    wires.create(ACCOUNT)
    wires.create(DEAL, Account="A ")
    wires.run()
    assert wires.members(DEAL, "account") == set()
    wires.change(DEAL, {"Account": "A"})
    wires.run()
    assert wires.members(DEAL, "account") == {ACCOUNT}
    wires.change(DEAL, {"Account": "A "})
    wires.run()
    assert wires.members(DEAL, "account") == set()


def test_lookup_that_names_several_joins_them_all(parts: Parts) -> None:
    wires = Wires(JOINED, parts)
    wires.create("zoho:Accounts/A", Grade="bad")
    wires.create("zoho:Accounts/B", Grade="gold")
    wires.create(DEAL, Account=["A", "B"])
    wires.run()
    assert wires.members(DEAL, "account") == {"zoho:Accounts/A", "zoho:Accounts/B"}
    wires.change(DEAL, {"Account": ["B", "C"]})
    wires.run()
    assert wires.members(DEAL, "account") == {"zoho:Accounts/B"}
