"""The join benchmark: its input, the join by which peers are judged, and the peers themselves."""

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from aiokafka.partitioner import murmur2 as of_the_client

from benchmarks.join.partitions import murmur2, partition_of
from benchmarks.join.peers import PEERS
from benchmarks.join.runner import run
from benchmarks.join.task import ACCOUNTS, DEALS, PARTITIONS, Change, Join, Marks, Row, World, differences, passes
from sandbox.broker.cluster import Cluster


def account(key: str, **fields: object) -> Change:
    return Change(ACCOUNTS, {"id": key, "Type": "Customer", "Region": "EMEA"} | fields)


def deal(key: str, of: str, **fields: object) -> Change:
    return Change(DEALS, {"id": key, "Account": of, "Stage": "Closed Won", "Amount": 10_000} | fields)


@pytest.mark.parametrize(
    "key", [b"", b"a", b"ab", b"abc", b"abcd", "zoho:deals/佐藤".encode(), b"\xff\xfe\xfd\xfc\xfb"]
)
def test_keys_lie_where_the_clients_put_them(key: bytes) -> None:
    assert murmur2(key) & 0x7FFFFFFF == of_the_client(key) & 0x7FFFFFFF


def test_the_same_input_comes_every_time() -> None:
    first, second = (World(deals=50, accounts=5) for _ in range(2))
    assert [*first.load(), *first.updates(200)] == [*second.load(), *second.updates(200)]


def test_the_input_is_as_the_readme_says() -> None:
    world, join = World(), Join()
    join.take(world.load())
    changes = list(world.updates(20_000))
    deals = [change for change in changes if change.topic == DEALS]
    assert 0.985 < len(deals) / len(changes) < 0.995
    assert {len(change.row) for change in deals} == {14}
    assert 300 < sum(len(change.value) for change in deals) / len(deals) < 400
    accounts = {change.row["id"]: change.row for change in World().load() if change.topic == ACCOUNTS}
    passing = sum(passes(change.row, accounts[change.row["Account"]]) for change in deals)
    assert 0.08 < passing / len(deals) < 0.10
    assert all(json.loads(change.value) == change.row for change in changes)


def test_no_deal_moves_unless_asked() -> None:
    def moved(moves: float) -> int:
        world = World(deals=100, accounts=10, moves=moves)
        owners = {change.row["id"]: change.row["Account"] for change in world.load() if change.topic == DEALS}
        updates = (change.row for change in world.updates(2_000) if change.topic == DEALS)
        return sum(row["Account"] != owners[row["id"]] for row in updates)

    assert moved(0) == 0
    assert moved(0.5) > 500


VIEWS: dict[str, tuple[list[Change], set[str], int]] = {
    "a deal waits for its account": ([deal("d", "a"), account("a")], {"d"}, 1),
    "an account finds no deals": ([account("a")], set(), 0),
    "a change of the account goes out with each deal": (
        [account("a"), deal("d", "a"), deal("e", "a"), account("a", Rating="A")], {"d", "e"}, 4,
    ),
    "a tombstone follows a row once": (
        [account("a"), deal("d", "a"), deal("d", "a", Amount=9_999), deal("d", "a", Amount=1)], set(), 2,
    ),
    "the account takes the row away": ([account("a"), deal("d", "a"), account("a", Type="Partner")], set(), 2),
    "a deal that moves is judged by its new account": (
        [account("a"), account("b", Region="AMER"), deal("d", "a"), deal("d", "b"), account("a", Rating="B")], set(), 2,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "view", "emitted"), VIEWS.values(), ids=VIEWS)
def test_the_join_is_what_the_readme_says(changes: list[Change], view: set[str], emitted: int) -> None:
    join = Join()
    join.take(changes)
    assert set(join.view) == view
    assert join.emitted == emitted


def test_the_view_does_not_depend_on_the_order_of_the_topics() -> None:
    world = World(deals=300, accounts=30)
    changes = [*world.load(), *world.updates(2_000)]
    mixed, apart = Join(), Join()
    mixed.take(changes)
    for topic in (DEALS, ACCOUNTS):
        apart.take(change for change in changes if change.topic == topic)
    assert mixed.view
    assert mixed.view == apart.view


WRONG: dict[str, tuple[dict[str, Row], list[str]]] = {
    "right": ({"d": {"n": 1}, "e": {"n": 2}}, []),
    "one missing": ({"d": {"n": 1}}, ["1 missing, such as e"]),
    "one too many": ({"d": {"n": 1}, "e": {"n": 2}, "f": {"n": 3}}, ["1 needless, such as f"]),
    "one stale": ({"d": {"n": 1}, "e": {"n": 1}}, ["1 different, such as e"]),
}


@pytest.mark.parametrize(("actual", "found"), WRONG.values(), ids=WRONG)
def test_a_wrong_view_is_found(actual: dict[str, Row], found: list[str]) -> None:
    assert differences({"d": {"n": 1}, "e": {"n": 2}}, actual) == found


def test_marks_lie_in_each_pair_of_partitions() -> None:
    changes = list(Marks().of(1))
    pairs = {
        tuple(partition_of(key.encode(), PARTITIONS) for key in (change.row["id"], change.row["Account"]))
        for change in changes
        if change.topic == DEALS
    }
    assert len(pairs) == PARTITIONS**2
    assert {partition_of(change.key, PARTITIONS) for change in changes if change.topic == ACCOUNTS} == {*range(4)}


def test_a_mark_counts_when_deal_and_account_have_it() -> None:
    def row(of_deal: int, of_account: int) -> bytes:
        names = {"deal": f"mark {of_deal}", "account": f"mark {of_account}"}
        return json.dumps({side: {"Name": name} for side, name in names.items()}).encode()

    assert [Marks.number(row(2, 2)), Marks.number(row(2, 1)), Marks.number(row(1, 2))] == [2, 0, 0]


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("join")) as cluster:
        yield cluster


@pytest.mark.nightly
@pytest.mark.parametrize("name", [name for name in PEERS if name != "ours_fused"])
def test_a_peer_does_the_join(name: str, broker: Cluster) -> None:
    small = replace(PEERS[name], warm=500, updates=2_000)
    measured = run(broker.bootstrap, f"small.{name}", small)
    assert measured.changes > 2_000
    assert measured.rows > 0


@pytest.mark.nightly
def test_deals_move_between_accounts_in_ours(broker: Cluster) -> None:
    small = replace(PEERS["ours"], warm=500, updates=2_000, each_change=False)
    assert run(broker.bootstrap, "small.moves", small, moves=0.2).rows > 0
