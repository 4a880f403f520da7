"""Records that move, and messages that race them: trust, credit, floors, seek numbers (stage protocol, section 5)."""

import pytest

from schemas.messages import Answer, Seek
from schemas.values import MINUTE
from tests.protocol.books import book
from tests.protocol.storms import Parts
from tests.protocol.wires import Wires

DEAL, FEEDBACK, CONTACT = "zoho:Deals/1", "zoho:Feedback/f", "zoho:Contacts/c"
ONE, TWO = "zoho:Feedback.Demo=1", "zoho:Feedback.Demo=2"

DEMOS = book(
    "deal",
    {
        "deal": "module: zoho.Deals",
        "demo": "module: zoho.Demos, related_to: deal, by: Deal",
        "feedback": "module: zoho.Feedback, related_to: demo, by: Demo",
    },
    {"deal": {"no-feedback": "no feedback", "any-feedback": "any feedback"}},
)
PEOPLE = book(
    "deal",
    {
        "deal": "module: zoho.Deals",
        "account": "module: zoho.Accounts, lookup: deal.Account",
        "contact": "module: zoho.Contacts, lookup: deal.Contact",
        "colleague": "module: zoho.Contacts, related_to: account, by: Account",
    },
    {"deal": {"any-colleague": "any colleague"}},
)


def two_demos(parts: Parts) -> Wires:
    """A deal with two demos; the feedback hangs below the first. The demos' keys are in partitions of their own."""
    wires = Wires(DEMOS, parts, ONE, TWO)
    wires.create("zoho:Demos/1", Deal="1")
    wires.create("zoho:Demos/2", Deal="1")
    wires.create(FEEDBACK, Demo="1")
    wires.run()
    wires.create(DEAL)
    wires.run()
    assert wires.members(DEAL, "feedback") == {FEEDBACK}
    return wires


@pytest.mark.parametrize(
    "slow",
    [
        ("records", "relations/1"), ("records", "relations/2"),
        ("relations/1", "journeys"), ("relations/2", "journeys"),
        ("none", "none"),
    ],
    ids="->".join,
)  # fmt: skip
def test_moved_within_one_journey_is_never_missing(parts: Parts, slow: tuple[str, str]) -> None:
    wires = two_demos(parts)
    wires.hold(*slow)
    wires.change(FEEDBACK, {"Demo": "2"})
    while wires.step():
        assert wires.members(DEAL, "feedback") == {FEEDBACK}
    wires.release()
    while wires.step():
        assert wires.members(DEAL, "feedback") == {FEEDBACK}
    assert wires.journey(DEAL).seen[FEEDBACK].image == {"Demo": "2", "id": "f"}
    assert wires.fires("no-feedback") == 0


def test_moved_below_a_record_that_has_not_answered_is_never_missing(parts: Parts) -> None:
    """It is shown, and stays so until the key that it went to says otherwise."""
    wires = Wires(DEMOS, parts, ONE, TWO)
    wires.create("zoho:Demos/1", Deal="1")
    wires.create(FEEDBACK, Demo="1")
    wires.create(DEAL)
    wires.run()
    wires.hold("relations/2", "journeys")
    wires.create("zoho:Demos/2", Deal="1")
    wires.run()
    wires.change(FEEDBACK, {"Demo": "2"})
    wires.run()
    assert wires.members(DEAL, "feedback") == {FEEDBACK}
    wires.release()
    wires.run()
    assert wires.members(DEAL, "feedback") == {FEEDBACK}


def test_old_key_asked_after_the_move_tells_where_it_went(parts: Parts) -> None:
    """One key answers after the move and the other has not heard of it: the record must not be seen at neither."""
    wires = Wires(DEMOS, parts, ONE, TWO)
    wires.create("zoho:Demos/1", Deal="1")
    wires.create("zoho:Demos/2", Deal="1")
    wires.create(FEEDBACK, Demo="1")
    wires.run()
    wires.hold("journeys", "relations/1")
    wires.create(DEAL)
    wires.run()
    assert wires.truth(DEAL, "no-feedback") is None
    wires.hold("records", "relations/2")
    wires.change(FEEDBACK, {"Demo": "2"})
    wires.run()
    wires.release("journeys", "relations/1")
    wires.run()
    assert wires.complete(DEAL, "feedback")
    assert wires.members(DEAL, "feedback") == {FEEDBACK}
    wires.release()
    wires.run()
    assert wires.members(DEAL, "feedback") == {FEEDBACK}
    assert wires.fires("no-feedback") == 0


def test_deleted_while_nobody_asked_does_not_come_back_from_memory(parts: Parts) -> None:
    wires = Wires(PEOPLE, parts, "zoho:Contacts.Account=A")
    wires.create("zoho:Accounts/A")
    wires.create(CONTACT, Account="A")
    wires.run()
    wires.create(DEAL, Account="A")
    wires.run()
    assert wires.members(DEAL, "colleague") == {CONTACT}
    wires.change(DEAL, {"Account": None})
    wires.run()
    wires.change(CONTACT)
    wires.run()
    wires.hold("relations/1", "journeys")
    wires.change(DEAL, {"Account": "A"})
    wires.run()
    assert wires.members(DEAL, "colleague") == set()
    wires.release()
    wires.run()
    assert wires.members(DEAL, "colleague") == set()
    assert wires.fires("any-colleague") == 1


def test_older_image_through_a_slow_key_is_dropped(parts: Parts) -> None:
    """The deletion came through the fast key: the image from before it must find a floor."""
    wires = Wires(PEOPLE, parts, "zoho:Contacts.Account=A")
    wires.create("zoho:Accounts/A")
    wires.create(DEAL, Account="A", Contact="c")
    wires.run()
    wires.hold("relations/1", "journeys")
    wires.create(CONTACT, Account="A")
    wires.run()
    wires.change(CONTACT)
    wires.run()
    assert wires.members(DEAL, "contact") == set()
    wires.deliver("relations/1", "journeys")  # still says that it is there
    assert wires.members(DEAL, "colleague") == set()
    wires.release()
    wires.run()
    assert wires.members(DEAL, "colleague") == set()
    assert wires.fires("any-colleague") == 1  # when it was made: one image, shown at both of its nodes


def test_image_older_than_the_one_shown_is_dropped(parts: Parts) -> None:
    wires = Wires(PEOPLE, parts, "zoho:Contacts.Account=A")
    wires.create("zoho:Accounts/A")
    wires.create(CONTACT, Account="A")
    wires.run()
    wires.create(DEAL, Account="A", Contact="c")
    wires.run()
    wires.hold("relations/1", "journeys")
    wires.change(CONTACT, {"Account": "B"})
    wires.change(CONTACT, {"Account": "A"})
    wires.run()
    wires.deliver("relations/1", "journeys")  # moved to B, it says
    assert wires.journey(DEAL).seen[CONTACT].image == {"Account": "A", "id": "c"}
    wires.release()
    wires.run()
    assert wires.members(DEAL, "colleague") == {CONTACT}


def test_credit_too_long_is_asked_again(parts: Parts) -> None:
    """Floors forgotten before a ``left`` row is: a stale image is believed, until its key is asked again."""
    wires = two_demos(parts.forgetful())
    wires.change(FEEDBACK, {"Demo": "2"})
    wires.run()
    wires.change(FEEDBACK)
    wires.run()
    wires.change("zoho:Demos/1", {"Deal": None})
    wires.run()
    wires.change("zoho:Demos/1", {"Deal": "1"})
    wires.run()
    assert wires.members(DEAL, "feedback") == {FEEDBACK}  # the left row of the first key, on credit of the second
    due = wires.journeys.next_due
    assert due is not None
    wires.tick(due - 1)
    wires.run()
    assert wires.members(DEAL, "feedback") == {FEEDBACK}
    wires.tick(due)
    wires.run()
    assert wires.members(DEAL, "feedback") == set()
    assert wires.asked(Seek)[-1] == TWO
    assert due - wires.journey(DEAL).head.now <= 15 * MINUTE


def test_floor_keeps_a_left_row_from_bringing_back_what_is_deleted(parts: Parts) -> None:
    wires = two_demos(parts)
    wires.change(FEEDBACK, {"Demo": "2"})
    wires.change(FEEDBACK)
    wires.run()
    wires.change("zoho:Demos/1", {"Deal": None})
    wires.change("zoho:Demos/1", {"Deal": "1"})
    wires.run()
    assert [row.ref for row in wires.told(Answer, DEAL)[-1].rows] == [FEEDBACK]
    assert wires.members(DEAL, "feedback") == set()


def test_answer_to_an_earlier_seek_is_dropped(parts: Parts) -> None:
    """Sought, unsought, sought again; a child left in between, when nobody asked."""
    wires = Wires(DEMOS, parts, ONE)
    wires.create("zoho:Demos/1", Deal="1")
    wires.create(FEEDBACK, Demo="1")
    wires.run()
    wires.hold("relations/1", "journeys")
    wires.create(DEAL)
    wires.run()
    wires.change("zoho:Demos/1", {"Deal": None})
    wires.run()
    wires.change(FEEDBACK)
    wires.run()
    wires.change("zoho:Demos/1", {"Deal": "1"})
    wires.run()
    assert [
        len(message.rows) for message in wires.waiting("relations/1", "journeys") if isinstance(message, Answer)
    ] == [1, 0]
    wires.deliver("relations/1", "journeys")
    assert not wires.complete(DEAL, "feedback")
    assert wires.members(DEAL, "feedback") == set()
    wires.release()
    wires.run()
    assert wires.members(DEAL, "feedback") == set()
    assert wires.fires("any-feedback") == 0


def test_fact_under_an_earlier_seek_is_dropped(parts: Parts) -> None:
    """It says nothing of who is there now: only the present subscription does."""
    wires = Wires(DEMOS, parts, ONE)
    wires.create("zoho:Demos/1", Deal="1")
    wires.create(DEAL)
    wires.run()
    wires.hold("relations/1", "journeys")
    wires.create(FEEDBACK, Demo="1")
    wires.run()
    wires.change("zoho:Demos/1", {"Deal": None})
    wires.run()
    wires.change(FEEDBACK)
    wires.run()
    wires.change("zoho:Demos/1", {"Deal": "1"})
    wires.run()
    wires.deliver("relations/1", "journeys")
    assert wires.members(DEAL, "feedback") == set()
    wires.release()
    wires.run()
    assert wires.members(DEAL, "feedback") == set()


def test_unseek_rechecks_records_shown_on_credit(parts: Parts) -> None:
    """The key never listed it; when the key is no longer wanted, nobody vouches for it."""
    wires = two_demos(parts)
    wires.hold("records", "relations/2")
    wires.change(FEEDBACK, {"Demo": "2"})
    wires.run()
    assert wires.members(DEAL, "feedback") == {FEEDBACK}
    wires.change("zoho:Demos/2", {"Deal": "9"})
    wires.run()
    assert wires.members(DEAL, "demo") == {"zoho:Demos/1"}
    assert wires.members(DEAL, "feedback") == set()
    assert FEEDBACK not in wires.journey(DEAL).join.shown
    assert not wires.journey(DEAL).seen[FEEDBACK].shown
    wires.release()
    wires.run()
    assert FEEDBACK not in wires.journey(DEAL).join.shown


def test_late_unseek_does_not_end_the_subscription_that_runs_now(parts: Parts) -> None:
    wires = two_demos(parts)
    number = wires.key(ONE).seekers[DEAL]
    wires.key(ONE).unseek(DEAL, number - 1)
    assert wires.key(ONE).seekers == {DEAL: number}
    wires.key(ONE).unseek(DEAL, number)
    assert wires.key(ONE).seekers == {}
