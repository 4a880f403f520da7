"""What goes, comes back, repeats itself, or interests nobody; and what is left of it (protocol, sections 4, 6)."""

import pytest

from schemas.messages import Fact
from schemas.values import DAY, HOUR, Ref
from streams.stage import Source
from tests.protocol.books import book
from tests.protocol.storms import Parts
from tests.protocol.wires import Wires, key_of

DEAL, ACCOUNT, DEMO, FEEDBACK = "zoho:Deals/1", "zoho:Accounts/A", "zoho:Demos/d", "zoho:Feedback/f"

DEALS = book(
    "deal",
    {
        "deal": "module: zoho.Deals",
        "account": "module: zoho.Accounts, lookup: deal.Account",
        "demo": "module: zoho.Demos, related_to: deal, by: Deal",
        "feedback": "module: zoho.Feedback, related_to: demo, by: Demo",
    },
    {"deal": {"all-there": 'account.Grade is "gold" and any demo and any feedback'}},
)
IMAGES = {
    DEAL: {"Account": "A"}, ACCOUNT: {"Grade": "gold"}, DEMO: {"Deal": "1"}, FEEDBACK: {"Demo": "d"},
}  # fmt: skip


def all_there(parts: Parts) -> Wires:
    wires = Wires(DEALS, parts)
    for ref, image in IMAGES.items():
        wires.create(ref, **image)
        wires.run()
    assert wires.truth(DEAL, "all-there") is True
    return wires


@pytest.mark.parametrize("ref", IMAGES)
def test_delete_and_undelete_of_main_child_and_parent(parts: Parts, ref: Ref) -> None:
    wires = all_there(parts)
    versions = [wires.journey(DEAL).seen[ref].version]
    for _ in range(2):
        wires.change(ref)
        wires.run()
        versions.append(wires.journey(DEAL).seen[ref].version)
        assert ref not in wires.journey(DEAL).join.shown
        assert wires.journey(DEAL).rules.truth("w/all-there", DEAL).value is not True
        wires.change(ref, IMAGES[ref], "undelete")
        wires.run()
        versions.append(wires.journey(DEAL).seen[ref].version)
        assert wires.truth(DEAL, "all-there") is True
    assert versions == sorted(set(versions))
    assert wires.fires("all-there") == (1 if ref == DEAL else 3)  # a main record that comes back is a baseline (D-22a)


def test_delete_of_main_unseeks_everything(parts: Parts) -> None:
    wires = all_there(parts)
    assert set(wires.journey(DEAL).head.want) == {key_of("zoho:Accounts.id=A"), key_of("zoho:Feedback.Demo=d")}
    wires.change(DEAL)
    wires.run()
    journey = wires.journey(DEAL)
    assert journey.head.want == {}
    assert journey.join.keys == {}
    assert not any(journey.join.members)
    assert wires.key("zoho:Accounts.id=A").seekers == {}
    assert wires.key("zoho:Feedback.Demo=d").seekers == {}
    assert journey.rules.truths == {}


def test_repeated_capture_out_of_order_is_dropped(parts: Parts) -> None:
    wires = Wires(DEALS, parts)
    events = [
        wires.event(ACCOUNT, {"Grade": "bad"}, "create", 1),
        wires.event(ACCOUNT, {"Grade": "gold"}, "update", 2),
        wires.event(ACCOUNT, None, "delete", 3),
        wires.event(ACCOUNT, {"Grade": "gold"}, "undelete", 4),
    ]
    wires.create(DEAL, Account="A")
    wires.run()
    for number, event in enumerate(events):
        wires.capture(event)
        wires.run()
        before = len(wires.delivered)
        for repeated in events[: number + 1]:
            wires.capture(repeated)
        wires.run()
        assert len(wires.delivered) == before
    assert wires.members(DEAL, "account") == {ACCOUNT}
    assert wires.journey(DEAL).join.shown[ACCOUNT]["Grade"] == "gold"


def test_unread_field_stops_at_records(parts: Parts) -> None:
    wires = all_there(parts)
    before = len(wires.delivered)
    for ref, image in IMAGES.items():
        wires.change(ref, {**image, "Note": "nobody reads this"})
        wires.change(ref, {**image, "Note": "nor this"})
    assert not any(wires.channels.values())
    wires.run()
    assert len(wires.delivered) == before
    assert "Note" not in wires.journey(DEAL).join.shown[ACCOUNT]


def test_change_of_a_field_that_is_read_after_one_that_is_not_tells_its_old_value(parts: Parts) -> None:
    wires = all_there(parts)
    wires.change(ACCOUNT, {"Grade": "gold", "Note": "x"})
    wires.change(ACCOUNT, {"Grade": "bad", "Note": "y"})
    wires.run()
    assert wires.told(Fact, DEAL)[-1].old == {"Grade": "gold"}


def test_empty_key_and_floors_vanish(parts: Parts) -> None:
    wires = all_there(parts)
    wires.change(FEEDBACK, {"Demo": "e"})
    wires.change(DEAL, {"Account": None})
    wires.change(ACCOUNT)
    wires.change(DEMO, {"Deal": None})
    wires.run()
    assert wires.find_key("zoho:Accounts.id=A") is None  # nobody is there and nobody asks
    assert set(wires.key("zoho:Feedback.Demo=d").left) == {FEEDBACK}
    floors = wires.journey(DEAL).head.floors
    assert set(floors) == {ACCOUNT, DEMO, FEEDBACK}

    wires.now += HOUR + 1000
    wires.create("zoho:Accounts/other")  # any message of the partition sweeps
    wires.run()
    assert wires.find_key("zoho:Feedback.Demo=d") is None

    wires.now += DAY
    wires.change(DEAL, {"Account": None, "Grade": "x"})
    wires.change(DEAL)
    wires.run()
    assert set(wires.journey(DEAL).seen) == {DEAL}
    wires.now += DAY + 1000
    wires.create("zoho:Demos/late", Deal="1")
    wires.run()
    wires.change("zoho:Demos/late")
    wires.now += DAY + 1000
    wires.create("zoho:Demos/later", Deal="1")
    wires.change("zoho:Demos/later", {"Deal": None})
    wires.run()
    assert DEAL not in wires.journey(DEAL).seen


def test_left_rows_are_swept_after_a_restart_too(parts: Parts) -> None:
    wires = all_there(parts)
    wires.change(FEEDBACK, {"Demo": "e"})
    wires.change(DEMO, {"Deal": None})
    wires.run()
    rows: dict[str, dict[str, bytes]] = {}
    for changed in wires.relations[0].changed():
        if changed.content is not None:
            rows.setdefault(changed.key, {})[changed.part] = changed.content
    restarted = parts.stages.relations(wires.place, rows)
    assert key_of("zoho:Feedback.Demo=d") in restarted.states.names()
    later = Fact(
        at=wires.now + HOUR + 1000, ref="zoho:Accounts/B", home=0, version=99, image={"id": "B"}, op="create",
        position=99,
    )  # fmt: skip
    restarted.step(key_of("zoho:Accounts.id=B"), later, Source())
    assert key_of("zoho:Feedback.Demo=d") not in restarted.states.names()


def test_journey_whose_main_record_is_gone_for_long_is_forgotten(parts: Parts) -> None:
    wires = Wires(DEALS, parts)
    wires.create(DEAL)
    wires.change(DEAL)
    wires.run()
    wires.now += DAY + 2000
    wires.create(DEMO, Deal="1")
    wires.change(DEMO)
    wires.run()
    wires.now += DAY + 2000
    wires.change(DEMO, {"Deal": "1"}, "undelete")
    wires.change(DEMO, {"Deal": "2"})
    wires.run()
    assert DEAL not in wires.journey(DEAL).seen
    assert set(wires.journey(DEAL).head.floors) == {DEMO}
