"""Who gets which partition numbers."""

from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import pack
from streams.assigning import Claim, assigned, read_claim

CLAIMS = st.dictionaries(
    st.text("abcdef", min_size=1, max_size=3),
    st.builds(Claim, st.lists(st.integers(0, 30), max_size=12).map(tuple)),
    min_size=1, max_size=8,
)  # fmt: skip


@given(st.integers(0, 24), CLAIMS)
def test_every_number_goes_to_one_member_and_shares_are_even(count: int, claims: dict[str, Claim]) -> None:
    shares = assigned(count, claims)
    assert sorted(number for share in shares.values() for number in share) == list(range(count))
    sizes = [len(share) for share in shares.values()]
    assert max(sizes) - min(sizes) <= 1
    assert shares.keys() == claims.keys()


@given(st.integers(1, 24), st.integers(1, 8), st.integers(1, 8))
def test_members_that_stay_keep_what_their_new_share_allows(count: int, before: int, after: int) -> None:
    """So that little state has to be restored when one comes or goes."""
    former = assigned(count, {f"m{number}": Claim() for number in range(before)})
    claims = {f"m{number}": Claim(tuple(sorted(former.get(f"m{number}", ())))) for number in range(after)}
    now = assigned(count, claims)
    for member in former.keys() & now.keys():
        assert len(former[member] & now[member]) >= min(len(former[member]), count // after)


@given(st.integers(0, 24), CLAIMS)
def test_a_settled_group_changes_nothing(count: int, claims: dict[str, Claim]) -> None:
    shares = assigned(count, claims)
    assert assigned(count, {member: Claim(tuple(sorted(share))) for member, share in shares.items()}) == shares


def test_two_that_claim_the_same_share_it_out() -> None:
    shares = assigned(4, {"a": Claim((0, 1, 2, 3)), "b": Claim((0, 1, 2, 3))})
    assert sorted(map(len, shares.values())) == [2, 2]


def test_nobody_gets_nothing() -> None:
    assert assigned(3, {}) == {}


def test_a_claim_that_cannot_be_read_claims_nothing() -> None:
    assert read_claim(b"") == read_claim(b"\xff\x00") == Claim()
    assert read_claim(pack(Claim((3, 1)))) == Claim((3, 1))
