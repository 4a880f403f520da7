"""Answers and fan-outs in pages, and the markers that wait for them (stage protocol, sections 5 and 6)."""

from rules.rounds import Limits
from schemas import topics
from schemas.messages import Answer, Fact, Go, Loaded, Unseek, Walk
from schemas.values import Ref
from streams.stage import Output, Place, Source
from streams.testing import START
from tests.protocol.books import book
from tests.protocol.storms import Parts
from tests.protocol.wires import Wires

ACCOUNT, KEY = "zoho:Accounts/A", "zoho:Accounts.id=A"

DEALS = book(
    "deal",
    {
        "deal": "module: zoho.Deals",
        "account": "module: zoho.Accounts, lookup: deal.Account",
        "colleague": "module: zoho.Contacts, related_to: account, by: Account",
    },
    {
        "deal": {
            "gold-account": 'account.Grade is "gold"',
            "no-account": "account does not exist",
            "no-bad": 'no colleague where (Grade is "bad")',
        }
    },
)


def deals(count: int) -> list[Ref]:
    return [f"zoho:Deals/{number:02}" for number in range(count)]


def account_of_deals(parts: Parts, count: int, page: int) -> Wires:
    """Deals that wait for an account which does not exist yet."""
    wires = Wires(DEALS, parts, page=page)
    for deal in deals(count):
        wires.create(deal, Account="A")
    wires.run()
    return wires


def test_no_related_record_is_unknown_until_the_last_page(parts: Parts) -> None:
    wires = Wires(DEALS, parts, page=2)
    wires.create(ACCOUNT)
    for number in range(5):
        wires.create(f"zoho:Contacts/{number}", Account="A", Grade="bad" if number == 4 else "good")
    wires.run()
    wires.create("zoho:Deals/00", Account="A")
    wires.until(lambda: any(one.key.startswith("zoho:Contacts") for one in wires.told(Answer, "zoho:Deals/00")))
    while not wires.complete("zoho:Deals/00", "colleague"):
        assert wires.truth("zoho:Deals/00", "no-bad") is None
        assert wires.step()
    pages = [one for one in wires.told(Answer, "zoho:Deals/00") if one.key.startswith("zoho:Contacts")]
    assert [len(page.rows) for page in pages] == [2, 2, 1]
    assert [page.last for page in pages] == [False, False, True]
    assert [page.as_of is None for page in pages] == [False, True, True]
    assert wires.truth("zoho:Deals/00", "no-bad") is False
    assert wires.fires("no-bad") == 0


def test_marker_waits_for_an_open_fan_out(parts: Parts) -> None:
    """Twenty deals and pages of one: no deal may believe that there is no account before it was told of it."""
    wires = Wires(DEALS, parts, page=1, loaded=False)
    for deal in deals(20):
        wires.change(deal, {"Account": "A"}, "create", load=True)
    wires.loaded("zoho:Deals", "zoho:Contacts")
    wires.run()
    wires.change(ACCOUNT, {"Grade": "gold"}, "create", load=True)
    wires.loaded("zoho:Accounts")
    while wires.step():
        assert all(wires.truth(deal, "no-account") is not True for deal in deals(20))
    assert all(wires.truth(deal, "gold-account") is True for deal in deals(20))


def test_marker_does_not_wait_for_passes_opened_after_it(parts: Parts) -> None:
    wires = Wires(DEALS, parts, page=1, loaded=False)
    for deal in deals(4):
        wires.change(deal, {"Account": "A"}, "create", load=True)
    wires.loaded("zoho:Deals", "zoho:Contacts")
    wires.run()
    wires.change(ACCOUNT, {"Grade": "gold"}, "create", load=True)
    wires.loaded("zoho:Accounts")
    wires.change("zoho:Accounts/B", {"Grade": "gold"}, "create")
    for number in range(12):
        wires.change(ACCOUNT, {"Grade": f"grade {number}"})
        wires.deliver("records", "journeys") if wires.waiting("records", "journeys") else wires.step()
    wires.run()
    assert all(wires.complete(deal, "account") for deal in deals(4))


def test_marker_needs_every_upstream_partition(parts: Parts) -> None:
    place = Place(number=1, records=2, relations=2, journeys=3)
    relations = parts.stages.relations(place, {})
    assert relations.step("", _marker("records", 0), Source()) == []
    assert relations.step("", _marker("records", 0), Source()) == []
    said = relations.step("", _marker("records", 1), Source())
    assert [(output.topic, output.partition) for output in said] == [(topics.JOURNEYS, number) for number in range(3)]
    assert {output.message.upstream for output in said} == {("relations", 1)}

    journeys = parts.stages.journeys(DEALS, place, {}, limits=Limits())
    journeys.step("zoho:Deals/1", _deal("zoho:Deals/1"), Source())
    for marker in (_marker("records", 0), _marker("relations", 0), _marker("records", 1), _marker("records", 1)):
        journeys.step("", marker, Source())
        assert not _deal_known(parts, journeys)
    journeys.step("", _marker("relations", 1), Source())
    assert _deal_known(parts, journeys)


def test_walk_over_many_journeys_goes_on_page_by_page(parts: Parts) -> None:
    journeys = parts.stages.journeys(DEALS, Place(), {}, limits=Limits())
    for number in range(1100):
        journeys.step(f"zoho:Deals/{number:04}", _deal(f"zoho:Deals/{number:04}"), Source())
    journeys.step("", _marker("records", 0), Source())
    said = journeys.step("", _marker("relations", 0), Source())
    walks = [output.message for output in said if isinstance(output.message, Walk)]
    assert [walk.after for walk in walks] == ["zoho:Deals/0499"]
    (following,) = journeys.step("", walks[0], Source())
    assert following.message.after == "zoho:Deals/0999"
    assert following.partition == 0
    assert journeys.step("", following.message, Source()) == []


def test_fan_out_pages_and_one_go_at_a_time(parts: Parts) -> None:
    wires = account_of_deals(parts, 10, page=3)
    wires.create(ACCOUNT, Grade="gold")
    wires.until(lambda: bool(_gos(wires)))
    wires.create("zoho:Deals/98", Account="A")
    wires.create("zoho:Deals/99", Account="A")
    pages: list[int] = []
    while wires.step():
        assert len(_gos(wires)) <= 1
        message = wires.delivered[-1][2]
        if isinstance(message, Go):
            pages.append(len(wires.waiting("relations/0", "journeys")))
    assert max(pages) <= 2 * 3 + 2
    assert len(pages) >= 4
    told = [len([fact for fact in wires.told(Fact, deal) if fact.ref == ACCOUNT]) for deal in deals(10)]
    assert told == [1] * 10
    assert wires.fires("gold-account") == 12
    assert not wires.key(KEY).pumping


def test_key_that_is_emptied_and_filled_while_a_go_is_under_way_has_one_go(parts: Parts) -> None:
    wires = account_of_deals(parts, 3, page=1)
    wires.hold("relations/0", "relations/0")
    wires.create(ACCOUNT)
    wires.run()
    wires.change(ACCOUNT)
    for deal in deals(3):
        wires.change(deal, {"Account": None})
    wires.run()
    wires.create(ACCOUNT)
    for deal in deals(3):
        wires.change(deal, {"Account": "A"})
    wires.run()
    assert len(_gos(wires)) == 1
    wires.release()
    wires.run()
    assert all(wires.members(deal, "account") == {ACCOUNT} for deal in deals(3))


def test_overtaken_pass_runs_round_and_starves_nobody(parts: Parts) -> None:
    """Overtaken again and again it goes on where it is, so that every seeker has heard after one round."""
    wires = account_of_deals(parts, 6, page=2)
    wires.create(ACCOUNT, Grade="grade 0")
    for number in range(1, 5):
        wires.until(lambda: bool(_gos(wires)))
        wires.change(ACCOUNT, {"Grade": f"grade {number}"})
        wires.deliver("records", "relations/0")
        wires.deliver("relations/0", "relations/0")
    told = {
        deal for deal in deals(6) for one in (*wires.told(Fact, deal), *_under_way(wires, deal)) if one.ref == ACCOUNT
    }
    assert told == set(deals(6))
    wires.run()
    for deal in deals(6):
        assert wires.journey(deal).join.shown[ACCOUNT]["Grade"] == "grade 4"
        assert [fact.version for fact in wires.told(Fact, deal)] == sorted(
            fact.version for fact in wires.told(Fact, deal)
        )
    assert not wires.key(KEY).passes


def test_new_seeker_during_a_pass_gets_the_newest_image_once_shown(parts: Parts) -> None:
    wires = account_of_deals(parts, 4, page=2)
    wires.create(ACCOUNT, Grade="gold")
    wires.until(lambda: bool(_gos(wires)))
    wires.hold("relations/0", "relations/0")
    wires.create("zoho:Deals/99", Account="A")
    wires.run()
    assert wires.members("zoho:Deals/99", "account") == {ACCOUNT}
    assert wires.complete("zoho:Deals/99", "account")
    wires.release()
    wires.run()
    assert [fact.ref for fact in wires.told(Fact, "zoho:Deals/99") if fact.key] == [ACCOUNT]
    assert wires.truth("zoho:Deals/99", "gold-account") is True
    assert sum(one.kind == "fired" and one.anchor == "zoho:Deals/99" for one in wires.decisions) == 2  # and no-bad
    assert wires.fires("gold-account") == 5


def test_unseek_during_an_answer_stops_it(parts: Parts) -> None:
    wires = Wires(DEALS, parts, page=1)
    wires.create(ACCOUNT)
    for number in range(6):
        wires.create(f"zoho:Contacts/{number}", Account="A")
    wires.run()
    wires.create("zoho:Deals/00", Account="A")
    wires.until(lambda: bool(_pages(wires)))
    wires.change("zoho:Deals/00", {"Account": None})
    wires.until(lambda: any(isinstance(message, Unseek) and "Contacts" in key for _, key, message in wires.delivered))
    before = len(_pages(wires)) + len(wires.waiting("relations/0", "journeys"))
    wires.run()
    assert len(_pages(wires)) <= before < 6
    key = wires.key("zoho:Contacts.Account=A")
    assert key.answers == {}
    assert not key.pumping


def _pages(wires: Wires) -> list[Answer]:
    return [one for one in wires.told(Answer, "zoho:Deals/00") if one.key.startswith("zoho:Contacts")]


def _gos(wires: Wires) -> list[Output]:
    return [output for output in wires.channels["relations/0", "relations/0"] if output.key.endswith("A")]


def _under_way(wires: Wires, deal: Ref) -> list[Fact]:
    return [one.message for one in wires.channels["relations/0", "journeys"] if one.key == deal]


def _marker(stage: str, number: int) -> Loaded:
    return Loaded(at=START, tab="zoho:Deals", generation=0, upstream=(stage, number))


def _deal(ref: Ref) -> Fact:
    image = {"id": ref.partition("/")[2], "Account": None}
    return Fact(at=START, ref=ref, home=0, version=1, image=image, op="create", position=1)


def _deal_known(parts: Parts, journeys: object) -> bool:
    assert isinstance(journeys, parts.stages.journeys)
    journey = journeys.states.get("zoho:Deals/1")
    assert journey is not None
    return journeys.view(journey).complete(0)
