"""What must hold of the stages at rest, whatever happened before (stage protocol, section 8)."""

from rules.trees import key_parts, names_key
from schemas.values import Ref, tab_of
from streams.hostile import Hostile
from streams.journeystate import Journey
from streams.keystate import Key
from tests.protocol.oracle import OneStore


def check_rest(hostile: Hostile, oracle: OneStore) -> None:
    """Members, images and truths are the oracle's; keys and journeys hold what they should and nothing else."""
    journeys: dict[Ref, Journey] = dict(hostile.states("journeys"))
    keys: dict[str, Key] = dict(hostile.states("relations"))
    assert set(oracle.journeys()) <= set(journeys)
    for main, journey in journeys.items():
        check_journey(main, journey, oracle)
    for name, key in keys.items():
        check_key(name, key, journeys, oracle)
    wanted = {(key, main) for main, journey in journeys.items() for key in journey.head.want}
    assert wanted == {(name, main) for name, key in keys.items() for main in key.seekers}


def check_widths(hostile: Hostile) -> None:
    """No step of ``records`` or ``relations`` said more than it may, markers left out (stage protocol, section 8).

    A lookup names two records at most in these worlds.
    """
    book = hostile.book
    for_one = [
        (tab in book.trees) + 4 * (len(book.direct.get(tab, ())) + len(book.indexed.get(tab, ())))
        for tab in book.read_fields
    ]
    assert hostile.widest["records"] <= max(for_one)
    assert hostile.widest["relations"] <= 2 * hostile.torment.page + 2


def check_journey(main: Ref, journey: Journey, oracle: OneStore) -> None:
    """The join is the oracle's, every seek is answered, and no record is kept without a reason."""
    expected = oracle.members(main)
    assert [set(members) for members in journey.join.members] == expected, main
    for ref in set().union(*expected):
        assert journey.join.shown[ref] == oracle.image(ref), (main, ref)
    assert not journey.open_keys
    assert all(want.done for want in journey.head.want.values())
    assert set(journey.join.keys) == set(journey.head.want)
    assert journey.head.floors.keys() == {ref for ref, seen in journey.seen.items() if not seen.shown}
    assert journey.join.shown.keys() == {ref for ref, seen in journey.seen.items() if seen.shown}
    if main in oracle.records:
        assert journey.join.shown.keys() == set().union(*expected)
    for rule, anchor, truth in oracle.truths(main):
        held = journey.rules.truth(rule, anchor)
        assert (held.value, held.unknown) == (truth, False), (main, rule, anchor)


def check_key(name: str, key: Key, journeys: dict[Ref, Journey], oracle: OneStore) -> None:
    """A key indexes exactly its members and seekers, and has nothing left to serve."""
    members = {
        ref for ref in oracle.records if tab_of(ref) == key_parts(name)[0] and names_key(name, oracle.records[ref])
    }
    assert set(key.members) == members, name
    for ref in members:
        assert key.members[ref].image == oracle.image(ref)
    assert key.seekers == {
        main: journey.head.want[name].seek for main, journey in journeys.items() if name in journey.head.want
    }
    assert not {*key.passes, *key.answers}
    assert not key.pumping
    assert not key.is_empty
    assert not key.left.keys() & key.members.keys()
