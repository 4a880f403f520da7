"""Of the commands that wait the worthiest goes first, but never before an earlier one of its record (D-101)."""

from hypothesis import given
from hypothesis import strategies as st

from connectors.ledger import Entry, State
from connectors.limits import RANKS
from connectors.units import batches, rank_of, unit
from schemas.commands import Command, CommandRank
from tests.connectors.fakes import NOW, create, toy, update
from tests.connectors.test_one_batch import ids

COMMAND_RANKS: tuple[CommandRank, ...] = ("interactive", "rule", "schedule", "bulk")


def ranked(*commands: Command) -> list[str]:
    ready = [unit([Entry(command=one, state="planned")]) for one in commands]
    return [one.command.id for batch in batches(ready, toy(), toy().most) for one in batch]


def test_what_leaves_is_in_order_of_rank_then_of_age() -> None:
    commands = [update(number, f"R{number}", rank=rank) for number, rank in enumerate(reversed(COMMAND_RANKS))]
    assert ranked(*commands, update(4, "R4", rank="rule")) == ["u3", "u2", "u4", "u1", "u0"]


def test_a_command_of_an_older_writer_counts_as_its_lane() -> None:
    assert (rank_of([create(1)]), rank_of([create(1, lane="bulk")])) == ("rule", "bulk")
    assert rank_of([create(1, lane="bulk"), create(2, lane="bulk", rank="schedule")]) == "schedule"


def test_the_bulk_lane_on_a_broker_sends_the_clocks_before_the_backlogs() -> None:
    backlog = [update(number, f"商談 {number}", lane="bulk", rank="bulk") for number in range(3)]
    assert ids([*backlog, update(9, "X", lane="bulk", rank="schedule")]) == ["u9"]
    assert ids([*backlog, update(9, "商談 0", lane="bulk", rank="interactive")])[0] == "u0", "behind its own record"
    late: dict[str, tuple[State, int]] = {"u9": ("planned", NOW + 1)}
    assert ids([*backlog, update(9, "X", lane="bulk", rank="schedule")], **late) == ["u0"]


@given(st.lists(st.tuples(st.sampled_from(COMMAND_RANKS), st.integers(0, 3), st.booleans()), min_size=1))
def test_a_batch_takes_no_command_before_an_earlier_one_of_its_record(
    told: list[tuple[CommandRank, int, bool]],
) -> None:
    commands = [update(n, f"R{record}", lane="bulk", rank=rank) for n, (rank, record, _) in enumerate(told)]
    late: dict[str, tuple[State, int]] = {
        f"u{n}": ("planned", NOW + 1) for n, (*_, is_late) in enumerate(told) if is_late
    }
    chosen = ids(commands, **late)
    firsts = {command.record_id: command for command in reversed(commands)}.values()
    due = [one for one in firsts if one.id not in late]
    assert bool(chosen) == bool(due)
    for name in chosen:
        number = int(name[1:])
        before = [one for one in commands[:number] if one.record_id == commands[number].record_id]
        assert all(one.id in chosen for one in before)
    if due:
        assert rank_of([commands[int(chosen[0][1:])]]) == min(map(rank_of, ([one] for one in due)), key=RANKS.index)
