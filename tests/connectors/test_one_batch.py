"""What the bulk lane sends between two looks at the live lane: one request's worth, in order per record."""

import pytest

from connectors.base import NotSent
from connectors.kafka_bench import one_batch
from connectors.lease import Lease
from connectors.ledger import Entry, State
from schemas.commands import Command
from tests.connectors.fakes import NOW, create, toy, update


def ids(commands: list[Command], **rows: tuple[State, int]) -> list[str]:
    """The batch of these commands, where some have a state and a time before which they may not go."""
    entries = {
        one.id: Entry(command=one, state=rows[one.id][0], next_at=rows[one.id][1]) for one in commands if one.id in rows
    }
    return [one.id for one in one_batch(commands, entries.get, toy(), NOW)]


def test_one_batch_is_as_large_as_a_request_of_its_kind() -> None:
    assert ids([create(number) for number in range(9)]) == ["c0", "c1", "c2"]
    assert ids([update(1, "A"), update(2, "B")]) == ["u1"]


def test_others_of_its_kind_come_along_and_other_kinds_do_not() -> None:
    assert ids([create(1), update(2, "A"), create(3)]) == ["c1", "c3"]


def test_what_is_looked_up_goes_alone() -> None:
    assert ids([create(1), create(2), create(3)], c1=("sent", NOW)) == ["c1"]
    assert ids([create(1), create(2), create(3)], c2=("sent", NOW)) == ["c1", "c3"]


def test_what_has_to_wait_is_passed_but_not_overtaken_by_its_own_record() -> None:
    commands = [update(1, "A"), update(2, "A"), update(3, "B")]
    assert ids(commands, u1=("planned", NOW + 1)) == ["u3"]
    assert ids([update(1, "A"), update(2, "A", owner="user:ann"), update(3, "B")]) == ["u1"]


def test_updates_of_one_record_are_one_row_of_a_batch() -> None:
    commands = [update(1, "A"), update(2, "B"), update(3, "A"), update(4, "A", trigger_native=False), update(5, "A")]
    assert ids(commands) == ["u1", "u3"]
    assert ids(commands, u1=("sent", NOW), u3=("sent", NOW)) == ["u1", "u3"], "looked up as they left"


def test_nothing_due_is_no_batch() -> None:
    assert ids([create(1)], c1=("planned", NOW + 1)) == []


def test_a_lease_is_over_by_its_own_clock_and_only_while_something_is_claimed() -> None:
    at = [0.0]
    lease = Lease(200, lambda: at[0])
    at[0] = 100.0
    lease.check()
    lease.begin()
    at[0] += 0.19
    lease.check()
    at[0] += 0.02
    with pytest.raises(NotSent, match="claimed anew"):
        lease.check()
    lease.end()
    lease.check()
