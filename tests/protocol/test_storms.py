"""Random histories against the one-store oracle (stage protocol, sections 7 and 8).

Each with every stage of a partition by itself, and with the stages of a partition as one flow, as Kafka runs them.
"""

from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import permutations
from random import Random

import pytest

from rules.book import Book
from schemas.commands import Command
from schemas.events import ChangeEvent, Operation
from schemas.values import Image, Ref, id_of, tab_of
from streams import wire
from streams.embedded import Embedded
from streams.hostile import Hostile
from streams.hostile_flows import HostileFlows
from streams.store import Store
from streams.testing import START
from tests.protocol.books import book, world_book
from tests.protocol.invariants import check_rest, check_widths
from tests.protocol.storms import CHANNELS, LIMITS, Parts, calm, new_world, storm, torment
from tests.protocol.worlds import World

DEFAULT, MANY = range(60), range(1000, 2000)


@pytest.fixture(params=[Hostile, HostileFlows], ids=["apart", "flows"])
def parts(request: pytest.FixtureRequest) -> Parts:
    return Parts(runtime=request.param)


def check_storm(parts: Parts, world: World, changes: int = 30) -> Hostile:
    runtime = parts.hostile(world.oracle.book, torment(world.seed))
    storm(world, runtime, changes)
    check_rest(runtime, world.oracle)
    check_widths(runtime)
    return runtime


@pytest.mark.parametrize("seed", DEFAULT)
def test_storm_ends_in_the_oracle_state(parts: Parts, seed: int) -> None:
    check_storm(parts, new_world(seed))


@pytest.mark.nightly
@pytest.mark.parametrize("seed", MANY)
def test_a_thousand_storms_end_in_the_oracle_state(parts: Parts, seed: int) -> None:
    check_storm(parts, new_world(seed), changes=60)


@pytest.mark.parametrize("seed", range(6))
def test_storm_over_an_account_of_fourteen_deals(parts: Parts, seed: int) -> None:
    """Pages of one and many seekers: passes overtake each other, and markers have to wait (protocol, section 8)."""
    world = World(seed, new_world(seed).oracle, sizes={"zoho:Deals": 14, "zoho:Accounts": 1})
    check_storm(parts, world)


def check_calm(parts: Parts, seed: int) -> Hostile:
    world = new_world(seed)
    runtime = parts.hostile(world.oracle.book, torment(seed))
    calm(world, runtime)
    check_rest(runtime, world.oracle)
    fired = [one for one in runtime.decisions() if one.kind == "fired"]
    named = Counter((f"{one.workflow}/{one.rule}", one.journey, one.anchor) for one in fired)
    assert named == Counter(world.oracle.fires)
    return runtime


@pytest.mark.parametrize("seed", DEFAULT)
def test_calm_run_equals_the_one_store_oracle(parts: Parts, seed: int) -> None:
    check_calm(parts, seed)


@pytest.mark.nightly
@pytest.mark.parametrize("seed", MANY)
def test_a_thousand_calm_runs_equal_the_one_store_oracle(parts: Parts, seed: int) -> None:
    check_calm(parts, seed)


@pytest.mark.parametrize("seed", range(12))
def test_fused_and_spread_give_the_same_command_ids_when_calm(parts: Parts, seed: int) -> None:
    spread = check_calm(parts, seed)
    fused = Embedded(Store(":memory:"), world_book(), limits=LIMITS, channels=CHANNELS)
    world = new_world(seed)
    fused.append(world.loads())
    fused.mark_loaded(sorted(world_book().read_fields), world.now)
    for _ in range(30):
        fused.append([world.change()])
    fused.run()
    found = [command.id for command in commands_of(fused)]
    assert sorted(found) == sorted(command.id for command in spread.commands())
    assert len(found) == len(set(found))


def commands_of(fused: Embedded) -> Iterator[Command]:
    return (wire.read_entry(entry) for topic in fused.store.topics("commands.") for entry in fused.store.read(topic))


# -- fires in a storm ------------------------------------------------------------------


@cache
def gold() -> Book:
    """One rule over five tabs: it holds once everything is gold."""
    return book(
        "deal",
        {
            "deal": "module: zoho.Deals",
            "account": "module: zoho.Accounts, lookup: deal.Account",
            "parent": "module: zoho.Accounts, lookup: account.Parent",
            "demo": "module: zoho.Demos, related_to: deal, by: Deal",
            "feedback": "module: zoho.Feedback, related_to: demo, by: Demo",
            "lead": "module: sf.Leads, match: {Email: deal.Email}",
        },
        {
            "deal": {
                "all-gold": 'deal.Grade is "gold" and account.Grade is "gold" and parent.Grade is "gold" and '
                'any feedback where (Grade is "gold") and any lead where (Grade is "gold")',
            }
        },
    )


LINKED: dict[Ref, Image] = {
    **{f"zoho:Deals/{number}": {"Account": "A", "Email": "a@example.com"} for number in range(4)},
    **{f"zoho:Demos/{number}": {"Deal": f"{number}"} for number in range(4)},
    **{f"zoho:Feedback/{number}": {"Demo": f"{number}"} for number in range(4)},
    "zoho:Accounts/A": {"Parent": "P"},
    "zoho:Accounts/P": {},
    "sf:Leads/l": {"Email": "A@example.com"},
}


class Pen:
    """Writes change events with rising positions and times."""

    def __init__(self) -> None:
        self.position = 0

    def event(self, ref: Ref, op: Operation, image: Image, *, load: bool = False) -> ChangeEvent:
        self.position += 1
        at = START + self.position
        return ChangeEvent(
            tab=tab_of(ref), record_id=id_of(ref), op=op, after=image, committed_at=at, seen_at=at,
            source_position=self.position, load=load,
        )  # fmt: skip


def at_rest(parts: Parts, seed: int, pen: Pen, grade: str | None) -> Hostile:
    """The linked records, loaded and at rest, all of one grade."""
    runtime = parts.hostile(gold(), torment(seed))
    runtime.append(pen.event(ref, "create", {**image, "Grade": grade}, load=True) for ref, image in LINKED.items())
    runtime.mark_loaded(sorted(gold().read_fields), START)
    runtime.run()
    return runtime


def fires_by_journey(runtime: Hostile) -> Counter[Ref]:
    return Counter(one.journey for one in runtime.decisions() if one.kind == "fired")


def pour(runtime: Hostile, chance: Random, events: list[ChangeEvent]) -> None:
    for event in events:
        runtime.append([event])
        for _ in range(chance.choice([0, 0, 3])):
            runtime.step()
    runtime.run()


@pytest.mark.parametrize("seed", range(30))
def test_monotone_atoms_fire_once_in_any_order(parts: Parts, seed: int) -> None:
    chance, pen = Random(f"monotone {seed}"), Pen()
    runtime = at_rest(parts, seed, pen, None)
    refs = chance.sample(sorted(LINKED), len(LINKED))
    pour(runtime, chance, [pen.event(ref, "update", {**LINKED[ref], "Grade": "gold"}) for ref in refs])
    assert fires_by_journey(runtime) == {f"zoho:Deals/{number}": 1 for number in range(4)}


@pytest.mark.parametrize("seed", range(30))
def test_records_made_in_any_order_fire_once(parts: Parts, seed: int) -> None:
    chance, pen = Random(f"made {seed}"), Pen()
    runtime = parts.hostile(gold(), torment(seed))
    runtime.mark_loaded(sorted(gold().read_fields), START)
    refs = chance.sample(sorted(LINKED), len(LINKED))
    pour(runtime, chance, [pen.event(ref, "create", {**LINKED[ref], "Grade": "gold"}) for ref in refs])
    assert fires_by_journey(runtime) == {f"zoho:Deals/{number}": 1 for number in range(4)}


FLIPPED = {
    "zoho:Deals/1": ["zoho:Deals/1"],
    "zoho:Feedback/2": ["zoho:Deals/2"],
    "zoho:Accounts/A": [f"zoho:Deals/{number}" for number in range(4)],
    "zoho:Accounts/P": [f"zoho:Deals/{number}" for number in range(4)],
    "sf:Leads/l": [f"zoho:Deals/{number}" for number in range(4)],
}


@pytest.mark.parametrize("ref", FLIPPED)
@pytest.mark.parametrize("seed", range(8))
def test_one_record_flipping_is_seen_each_time(parts: Parts, seed: int, ref: Ref) -> None:
    """Links at rest and a fan-out of at most one page: every flip counts, however fast (protocol, section 7)."""
    chance, pen = Random(f"flip {seed}"), Pen()
    seed = next(number for number in range(seed, 1000, 8) if torment(number).page > 3)
    runtime = at_rest(parts, seed, pen, "gold")
    grades = ["bad", "gold"] * 5
    pour(runtime, chance, [pen.event(ref, "update", {**LINKED[ref], "Grade": grade}) for grade in grades])
    assert fires_by_journey(runtime) == dict.fromkeys(FLIPPED[ref], 5)


# -- created ------------------------------------------------------------------


@cache
def made() -> Book:
    return book(
        "deal",
        {
            "deal": "module: zoho.Deals",
            "account": "module: zoho.Accounts, lookup: deal.Account",
            "colleague": "module: zoho.Contacts, related_to: account, by: Account",
            "demo": "module: zoho.Demos, related_to: deal, by: Deal",
            "feedback": "module: zoho.Feedback, related_to: demo, by: Demo",
        },
        {
            "deal": {"gold": 'deal.Grade is "gold" and account.Grade is "gold"'},
            "colleague": {"new-colleague": "on created"},
            "feedback": {"new-feedback": "on created"},
        },
    )


FAMILY: dict[Ref, Image] = {
    "zoho:Deals/1": {"Account": "A"},
    "zoho:Accounts/A": {},
    "zoho:Contacts/c": {"Account": "A"},
    "zoho:Demos/d": {"Deal": "1"},
    "zoho:Feedback/f": {"Demo": "d"},
}


@pytest.mark.parametrize("order", list(permutations(range(5)))[::3], ids=lambda order: "".join(map(str, order)))
def test_created_with_its_parent_fires_created_once(parts: Parts, order: tuple[int, ...]) -> None:
    """Made parents first, seen in any order: a child made with its parent is new to the journey, once."""
    pen = Pen()
    events = [pen.event(ref, "create", image) for ref, image in FAMILY.items()]
    runtime = parts.hostile(made(), torment(int("".join(map(str, order)))))
    runtime.mark_loaded(sorted(made().read_fields), START)
    pour(runtime, Random(f"{order}"), [events[number] for number in order])
    fired = Counter(one.rule for one in runtime.decisions() if one.kind == "fired")
    assert fired == {"new-colleague": 1, "new-feedback": 1}


def test_old_child_of_a_new_parent_is_not_new(parts: Parts) -> None:
    pen = Pen()
    runtime = parts.hostile(made(), torment(1))
    runtime.mark_loaded(sorted(made().read_fields), START)
    for ref in reversed(FAMILY):
        runtime.append([pen.event(ref, "create", FAMILY[ref])])
        runtime.run()
    assert fires_by_journey(runtime) == {}


def test_time_at_which_a_parent_came_survives_a_restart(parts: Parts) -> None:
    """A parent that is edited is no newer for it: a child made before the edit and seen after it is still new."""
    pen = Pen()
    runtime = parts.hostile(made(), torment(1))
    runtime.mark_loaded(sorted(made().read_fields), START)
    deal, account, colleague = (
        pen.event(ref, "create", FAMILY[ref]) for ref in ("zoho:Deals/1", "zoho:Accounts/A", "zoho:Contacts/c")
    )
    edits = [pen.event(ref, "update", {**FAMILY[ref], "Grade": "bad"}) for ref in ("zoho:Deals/1", "zoho:Accounts/A")]
    for event in (deal, account, *edits):
        runtime.append([event])
        runtime.run()
    for host in runtime.hosts:
        host.alive = None
    runtime.append([colleague])
    runtime.run()
    assert fires_by_journey(runtime) == {"zoho:Deals/1": 1}
