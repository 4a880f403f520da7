"""Laws of the merge of a synced field: both directions choose alike, and what was merged is alike (D-44)."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from rules.criteria.scope import UNKNOWN
from rules.merging import Clash, Pair, Policy, Side, Won, merge
from schemas.values import SECOND, Amount, Value, same

VALUES = st.none() | st.sampled_from(["", "東京", "東京 ", "b", "🌸"]) | st.integers(0, 2) | st.just(Amount("1.50"))
TIMES = st.integers(0, 5 * SECOND)
POLICIES: st.SearchStrategy[Policy] = st.sampled_from(["newest", "left", "right", "fail"])
SIDES: st.SearchStrategy[Side] = st.sampled_from(["left", "right"])
PAIRS = st.builds(Pair, VALUES, VALUES, VALUES | st.just(UNKNOWN), TIMES, TIMES)
OTHER: dict[str, Side] = {"left": "right", "right": "left"}


@dataclass
class World:
    """Two sides and what was agreed, as the merge changes them."""

    pair: Pair

    def settle(self, policy: Policy, tie: Side) -> object:
        verdict = merge(self.pair, policy, tie)
        if isinstance(verdict, Won):
            value = self.pair.left if verdict.side == "left" else self.pair.right
            self.pair = self.pair._replace(left=value, right=value, base=value)
        return verdict


@given(PAIRS, POLICIES, SIDES)
def test_what_was_merged_is_alike_and_stays_so(pair: Pair, policy: Policy, tie: Side) -> None:
    world = World(pair)
    if isinstance(world.settle(policy, tie), Clash):
        assert policy == "fail"
    else:
        assert same(world.pair.left, world.pair.right)
        assert world.settle(policy, tie) is None


@given(PAIRS, SIDES)
def test_seen_from_the_other_side_the_same_value_wins(pair: Pair, tie: Side) -> None:
    turned = Pair(pair.right, pair.left, pair.base, pair.right_at, pair.left_at)
    one, other = merge(pair, "newest", tie), merge(turned, "newest", OTHER[tie])
    assert (one is None) == (other is None)
    if isinstance(one, Won) and isinstance(other, Won):
        assert (one.side, one.clash) == (OTHER[other.side], other.clash)


@given(VALUES, VALUES, TIMES, TIMES, POLICIES, SIDES)
def test_one_edit_wins_whatever_the_clocks_say(
    base: Value, edited: Value, at: int, then: int, policy: Policy, tie: Side
) -> None:
    verdict = merge(Pair(edited, base, base, at, then), policy, tie)
    assert verdict == (None if same(edited, base) else Won("left", clash=False))


@given(PAIRS, SIDES)
def test_of_two_edits_the_later_wins_and_within_a_second_the_tie(pair: Pair, tie: Side) -> None:
    verdict = merge(pair._replace(base=UNKNOWN), "newest", tie)
    if verdict is not None:
        left, right = pair.left_at // SECOND, pair.right_at // SECOND
        assert verdict == Won(tie if left == right else "left" if left > right else "right", clash=True)
