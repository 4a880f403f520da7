"""Stories of a worker on Kafka: rows, reports and offsets together; takeovers; lanes; what cannot be read."""

import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from connectors.base import Limits, Response
from connectors.framing import Headers, Noun
from connectors.kafka_bench import Bench
from connectors.kafka_io import Outgoing, Refused
from connectors.kafka_ledger import Row
from connectors.view import view
from sandbox.broker.cluster import Cluster
from schemas import keys
from schemas.codec import CodecError
from schemas.commands import Applied, Command
from schemas.values import DAY, SECOND
from tests.connectors.fakes import create, update
from tests.kafka.packed import Packed
from tests.kafka.shop import Counter, Hand

pytestmark = pytest.mark.installation


@pytest.fixture
def counter(broker: Cluster, topics: str) -> Iterator[Counter]:
    made = Counter(f"kafka://{broker.bootstrap}", topics)
    yield made
    made.close()


class Stopped(BaseException):
    """The process died here."""


def planned(number: int, **more: object) -> Command:
    return create(number, journey=f"zoho:Deals/{number}", fire=f"f{number}", **more)


def test_commands_are_applied_reported_and_noted_once(counter: Counter) -> None:
    counter.put(*(planned(number) for number in range(7)))
    counter.put(update(8, "A", journey="j"), number=1)
    hand = counter.hand()
    hand.until(lambda: len(counter.crm.effects) == 8 and not any(hand.desk.waiting().values()), "all effects")
    outcomes = counter.outcomes()
    assert outcomes["c3"] == [Applied(command_id="c3", record_id="r-c3")]
    assert {name: len(told) for name, told in outcomes.items()} == {**{f"c{n}": 1 for n in range(7)}, "u8": 1}
    assert len(counter.done()) == 8
    assert [request.path for request in counter.crm.requests].count("/create") == 3, "batches of the vendor's size"


def test_reports_go_home_by_workspace_with_the_journey_in_the_key(counter: Counter) -> None:
    counter.put(planned(1), planned(2), planned(3))
    hand = counter.hand()
    hand.until(lambda: len(counter.crm.effects) == 3, "all effects")
    hand.until(lambda: not any(hand.desk.waiting().values()), "all settled")
    told = counter.read("outcomes")
    assert {one.partition.number for one in told} == {keys.home("main", "any", 2, False)}
    assert {keys.parted(one.key or b"") for one in told} == {("main", f"zoho:Deals/{n}") for n in (1, 2, 3)}


@pytest.mark.parametrize("point", ["claimed", "sent", "answered", "recorded", "settled"])
def test_a_worker_that_dies_anywhere_leaves_one_effect_and_one_report_each(counter: Counter, point: str) -> None:
    counter.put(planned(1), planned(2), update(3, "A"))
    counter.put(planned(4), number=1)

    def die(here: str) -> None:
        if here == point and (here != "claimed" or any(first.desk.waiting().values())):
            raise Stopped

    first = counter.hand(at=die)
    with pytest.raises(Stopped):
        first.until(lambda: False, "the worker dies")
    first.desk.close()  # as the broker sees it once the session is over
    second = counter.hand()
    second.until(lambda: len(counter.crm.effects) == 4 and not any(second.desk.waiting().values()), "the rest")
    second.until(second_is_at_rest(second, counter), "everything is reported")
    assert sorted(key for key, _ in counter.crm.effects) == ["c1", "c2", "c4", "u3"]
    assert {name: len(told) for name, told in counter.outcomes().items()} == {"c1": 1, "c2": 1, "u3": 1, "c4": 1}


def second_is_at_rest(hand: Hand, counter: Counter) -> Callable[[], bool]:
    return lambda: hand.desk.is_ready and len(counter.outcomes()) == 4


def at_rest(counter: Counter, count: int, *hands: Hand) -> Callable[[], bool]:
    """Whether so many effects were made, and nothing waits in memory."""
    return lambda: len(counter.crm.effects) >= count and not any(any(one.desk.waiting().values()) for one in hands)


def test_what_cannot_be_read_is_parked_with_its_place_and_the_partition_goes_on(counter: Counter) -> None:
    """Fault matrix row 23."""
    counter.put(planned(1))
    counter.put_raw(b"main\x1fA", b"\xff\x00 not a command")
    counter.put_raw(b"no workspace", b"x")
    counter.put_raw(b"main\x1fB", None)
    counter.put(planned(3))
    hand = counter.hand()
    hand.until(at_rest(counter, 2, hand), "the good ones")
    hand.until(lambda: len(counter.parked()) == 3, "the notes")
    notes = counter.parked()
    assert [note["topic"] for note in notes] == [f"{counter.prefix}commands.toy"] * 3
    assert "does not begin with a workspace" in notes[1]["why"]
    assert "empty" in notes[2]["why"]
    assert [one.headers[0][1] for one in counter.read("parked")] == [b"\xff\x00 not a command", b"x", b""]
    assert [key for key, _ in counter.crm.effects] == ["c1", "c3"]


class Interrupted(Packed):
    """As the first message that cannot be read is looked at, the group begins to give its partitions out anew."""

    def __init__(self, hand: Hand) -> None:
        super().__init__()
        self._hand, self.times = hand, 0

    def decode(self, value: bytes, headers: Headers) -> Noun:
        try:
            return super().decode(value, headers)
        except CodecError:
            self.times += 1
            if self.times == 1 and (consumer := self._hand.desk._consumer) is not None:
                consumer._inner._coordinator.request_rejoin()
            raise


def test_what_was_parked_as_the_partitions_were_given_out_anew_is_parked_once(counter: Counter) -> None:
    counter.put(planned(1))
    counter.put_raw(b"main\x1fA", b"\xff\x00 not a command")
    hand = counter.hand()
    hand.desk._framing = framing = Interrupted(hand)
    hand.until(at_rest(counter, 1, hand), "the good one")
    hand.until(lambda: bool(counter.parked()), "the note")
    assert framing.times == 2, "it was read again"
    assert len(counter.parked()) == 1


def test_commands_of_another_workspace_are_parked_and_not_applied(counter: Counter) -> None:
    counter.put(planned(1), workspace="other")
    counter.put(planned(2))
    hand = counter.hand()
    hand.until(at_rest(counter, 1, hand), "our own")
    hand.until(lambda: len(counter.parked()) == 1, "the note")
    assert "workspace 'other' is not served" in counter.parked()[0]["why"]
    assert [key for key, _ in counter.crm.effects] == ["c2"]


def test_poison_without_end_stops_the_worker_instead_of_emptying_the_partition(counter: Counter) -> None:
    for _ in range(60):
        counter.put_raw(b"main\x1fA", b"poison")
    hand = counter.hand()
    with pytest.raises(Refused, match="in a row cannot be read"):
        hand.until(lambda: False, "it stops")


def test_a_backlog_of_thousands_does_not_hold_the_live_lane_up(counter: Counter) -> None:
    """Fault matrix row 43: the bulk lane has its turn only between two looks at the live lane."""
    counter.put(*(update(number, f"B{number}") for number in range(3_000)), lane="commands.toy.bulk")
    hand = counter.hand()
    hand.until(lambda: len(counter.crm.effects) > 20, "bulk is at work")
    before = len(counter.crm.effects)
    counter.put(*(update(number, f"L{number}") for number in range(5_000, 5_005)))
    hand.until(lambda: "L5004" in {record for _, record in counter.crm.effects}, "the live ones")
    between = [record for _, record in counter.crm.effects[before:]]
    live = [index for index, record in enumerate(between) if record.startswith("L")]
    assert live[-1] - live[0] == 4, "nothing of the backlog comes between live commands that wait"
    assert live[0] < 100, "and they did not wait for the backlog"
    assert len(counter.crm.effects) < 1_000


def test_the_bulk_lane_leaves_a_part_of_the_limit_to_the_live_one(counter: Counter) -> None:
    counter.put(*(update(number, f"B{number}") for number in range(200)), lane="commands.toy.bulk")
    hand = counter.hand(limits=Limits(per_minute=120))
    hand.until(lambda: len(counter.crm.effects) >= 10, "bulk is at work")
    deadline = time.monotonic() + 0.3
    while time.monotonic() < deadline:
        hand.turn()
    counter.put(*(update(number, f"L{number}") for number in range(4)))
    began = time.monotonic()
    hand.until(lambda: sum(record.startswith("L") for _, record in counter.crm.effects) == 4, "the live ones")
    assert time.monotonic() - began < 2.0, "without the part kept back, each would wait for half a second"


def test_two_workers_share_the_partitions_and_hand_them_over(counter: Counter) -> None:
    """Fault matrix row 13: what is in flight ends before a rebalance, and is not done again after it."""
    counter.put(*(planned(number) for number in range(30)))
    counter.put(*(planned(number) for number in range(30, 60)), number=1)
    first = counter.hand()
    first.until(lambda: len(counter.crm.effects) >= 6, "the first begins")
    second = counter.hand()
    first.until(lambda: first.desk.share == second.desk.share == 0.5, "each has its share", second)
    counter.put(*(planned(number) for number in range(60, 90)))
    counter.put(*(planned(number) for number in range(90, 120)), number=1)
    first.until(at_rest(counter, 120, first, second), "all effects", second)
    second.desk.close()
    counter.put(*(planned(number) for number in range(120, 130)), number=1)
    first.until(at_rest(counter, 130, first), "the first takes all back")
    assert len({key for key, _ in counter.crm.effects}) == len(counter.crm.effects) == 130
    assert {len(told) for told in counter.outcomes().values()} == {1}
    assert len(counter.outcomes()) == 130


def test_a_request_whose_claim_is_old_does_not_leave(counter: Counter) -> None:
    """Between claim and request the machine slept: the claim is given back and made anew."""
    counter.put(planned(1))
    slept: list[float] = []

    def sleep(point: str) -> None:
        if point == "sent" and not slept:
            slept.append(time.monotonic())
            while time.monotonic() < slept[0] + 0.25:
                continue

    hand = counter.hand(at=sleep, lease=200)
    hand.until(at_rest(counter, 1, hand), "the effect")
    assert any("claimed anew" in problem for problem in hand.problems)
    assert counter.crm.effects == [("c1", "r-c1")]
    assert len(counter.crm.requests) == 1
    assert [len(told) for told in counter.outcomes().values()] == [1]


def test_a_command_that_comes_again_gets_its_first_outcome_and_no_second_effect(counter: Counter) -> None:
    counter.put(planned(1))
    hand = counter.hand()
    hand.until(at_rest(counter, 1, hand), "the effect")
    counter.put(planned(1))
    hand.until(lambda: len(counter.outcomes().get("c1", [])) == 2, "the second report")
    assert counter.crm.effects == [("c1", "r-c1")]
    hand.desk.close()
    other = counter.hand()
    other.until(lambda: other.desk.is_ready, "another takes over")
    for _ in range(5):
        other.turn()
    assert len(counter.outcomes()["c1"]) == 2, "both places are known to be reported"


def test_what_stands_behind_a_command_that_waits_is_settled_once(counter: Counter) -> None:
    """The offset cannot pass a command that is postponed; a restart reads the others again and knows their rows."""
    counter.crm.rows["u1"] = {"locked": "yes"}
    counter.put(update(1, "A"), update(2, "B"), update(3, "C"))
    hand = counter.hand()
    hand.until(lambda: len(counter.outcomes()) == 2, "those behind")
    assert counter.committed() == 0
    hand.desk.close()
    counter.crm.rows.clear()
    other = counter.hand()
    other.until(at_rest(counter, 3, other), "the one that waited")
    other.until(lambda: counter.committed() == 3, "all is settled")
    assert sorted(key for key, _ in counter.crm.effects) == ["u1", "u2", "u3"]
    assert {len(told) for told in counter.outcomes().values()} == {1}


def test_rows_of_a_month_ago_are_dropped_and_unknown_ones_stay(counter: Counter) -> None:
    counter.crm.say("lost", Response(status=500), Response(status=500))
    mail = Command(id="m1", connection="toy", tab="toy:mail", operation="mail", on_unknown="ask", journey="j")
    counter.put(mail)
    hand = counter.hand()
    hand.until(lambda: "m1" in counter.outcomes(), "the mail is unknown")
    counter.put(planned(1))
    hand.until(at_rest(counter, 2, hand), "the effect")
    hand.clock.ahead = 31 * DAY
    hand.until(lambda: any(told.value is None for told in counter.read("ledger.toy")), "the row goes")
    gone = [told.key for told in counter.read("ledger.toy") if told.value is None]
    assert gone == [keys.in_workspace("main", "live/c1")]


def test_a_claim_is_as_old_as_its_commit_is_long(counter: Counter) -> None:
    """Fault matrix row 12: who was stopped while it committed its claim finds it over, and another may have it."""
    counter.put(planned(1))
    hand = counter.hand(lease=200)
    commit, slept = hand.desk._commit, list[float]()

    def stopped(rows: Sequence[tuple[Bench, Row]], others: Sequence[Outgoing] = ()) -> None:
        commit(rows, others)
        if any(row.entry.state == "sent" for _, row in rows) and not slept:
            slept.append(time.monotonic())
            while time.monotonic() < slept[0] + 0.25:
                continue

    hand.desk._commit = stopped  # type: ignore[method-assign]
    hand.until(at_rest(counter, 1, hand), "the effect")
    assert any("claimed anew" in problem for problem in hand.problems)
    assert len(counter.crm.requests) == 1


def spent(hand: Hand) -> dict[str, int]:
    state = hand.limiter.state(hand.clock())
    return view(state, hand.clock()).by_rank


def test_whoever_is_given_the_partitions_counts_the_day_on(counter: Counter) -> None:
    """D-101: what is left of a day does not hang on who applies, nor on how often one was started."""
    counter.put(update(1, "A", journey="j"), update(2, "B", journey="j", rank="interactive"))
    counter.put(update(3, "取引", journey="j"), number=1)
    first = counter.hand(limits=Limits(per_day=4))
    first.until(lambda: len(counter.crm.effects) == 3 and not any(first.desk.waiting().values()), "three effects")
    assert spent(first) == {"interactive": 1, "rule": 2}
    first.desk.close()
    second = counter.hand(limits=Limits(per_day=4))
    second.until(lambda: second.desk.is_ready and bool(spent(second)), "the second has taken over")
    assert spent(second) == {"interactive": 1, "rule": 2}
    counter.put(update(4, "A", journey="j"), update(5, "C", journey="j"))
    second.until(lambda: len(counter.crm.effects) == 4, "the last call of the day")
    second.until(lambda: second.limiter.wait(second.clock(), "rule") > SECOND, "nothing of the day is left")
    assert (len(counter.crm.effects), second.desk.waiting()["live"]) == (4, 1)


def test_two_workers_count_what_they_have_spent_themselves_and_once_alone_all_of_it(counter: Counter) -> None:
    first, second = counter.hand(limits=Limits(per_day=100)), counter.hand(limits=Limits(per_day=100))
    first.until(lambda: first.desk.share == second.desk.share == 0.5, "one partition each", second)
    first.until(lambda: first.desk.is_ready and second.desk.is_ready, "both are ready", second)
    counter.put(update(1, "A", journey="j"), update(2, "B", journey="j"))
    counter.put(update(3, "C", journey="j"), number=1)
    first.until(lambda: len(counter.crm.effects) == 3, "three effects", second)
    assert sorted((sum(spent(first).values()), sum(spent(second).values()))) == [1, 2]
    second.desk.close()
    first.until(
        lambda: first.desk.share == 1.0 and sum(spent(first).values()) == 3, "the first has all, and counts all"
    )
