"""A workspace spread over partitions: what is for others goes to them, what is not is handed over."""

from collections.abc import Iterator
from typing import Any, ClassVar

import msgspec
import pytest

from rules.trees import relation_key
from schemas import topics
from schemas.codec import Unpacker, pack
from schemas.keys import home, in_workspace
from schemas.messages import Answer, Fact, Go, Seek, StageMessage
from streams.changelog import fingerprint_row
from streams.hosting import LayoutChangedError
from streams.stage import Changed, Output, Source
from streams.topology import ORIGIN, Incoming, Topology
from tests.hosting.partition import (
    AT,
    AT_NINE,
    DEALS,
    IN_TOKYO,
    IN_UTC,
    LATER,
    MOVED,
    Log,
    change,
    dues,
    joined,
    marker,
    record,
    replanned,
    topology,
)

PARTITIONS = 4
ACCOUNTS = topics.changes("zoho:Accounts")
_read: Unpacker[StageMessage] = Unpacker(StageMessage)


def deal_at(number: int) -> str:
    """A deal that is at home in this partition."""
    return next(name for name in map(str, range(100)) if home("main", f"zoho:Deals/{name}", PARTITIONS, True) == number)


def spread(**more: Any) -> Topology:
    return topology(partitions=PARTITIONS, spread=True, **more)


def sent(log: Log, topic: str) -> list[Incoming]:
    """What the partition said on a topic, as others read it."""
    found = [one for name, one in log.said if name == topic]
    return [Incoming(number, one.key, one.value or b"", one.headers, one.at) for number, one in enumerate(found)]


def journeys(log: Log) -> list[str]:
    flow = log.host.flow("main")
    return [] if flow is None else [name for name in flow.states("journeys").names() if "/" in name]


def test_what_is_for_another_partition_goes_there_and_the_rest_is_handed_over() -> None:
    log, here, there = Log(spread(), 2), deal_at(2), deal_at(3)
    log.feed(change(0, "Won", deal=here), change(1, "Won", deal=there))
    [fact] = sent(log, topics.JOURNEYS)
    assert fact.key == in_workspace("main", f"zoho:Deals/{there}")
    assert dict(fact.headers)[ORIGIN] == f"{DEALS}/2:1:0".encode()
    assert journeys(log) == [f"zoho:Deals/{here}"]
    other = Log(spread(), 3)
    other.feed(fact, topic=topics.JOURNEYS)
    assert journeys(other) == [f"zoho:Deals/{there}"]


def test_markers_are_told_to_every_partition_once() -> None:
    log = Log(spread(), 2)
    log.feed(marker(0))
    told = [topic for topic, _ in log.said]
    assert (told.count(topics.RELATIONS), told.count(topics.JOURNEYS)) == (PARTITIONS - 1, PARTITIONS - 1)


def test_a_repetition_is_known_by_its_origin_also_by_the_next_host() -> None:
    log = Log(spread(), 2)
    log.feed(change(0, "Won", deal=deal_at(3)))
    [first] = sent(log, topics.JOURNEYS)
    other = Log(spread(), 3)
    assert other.feed(first, topic=topics.JOURNEYS).taken == 1
    assert other.feed(msgspec.structs.replace(first, offset=1), topic=topics.JOURNEYS).taken == 0
    other.open()
    assert other.feed(msgspec.structs.replace(first, offset=2), topic=topics.JOURNEYS).taken == 0
    later = msgspec.structs.replace(first, offset=3, headers=[(ORIGIN, f"{DEALS}/2:0:1".encode())])
    assert other.feed(later, topic=topics.JOURNEYS).taken == 1


def test_between_two_topics_of_one_upstream_there_is_no_order() -> None:
    """A partition reads what others say to its relation keys and to its journeys: of either it may be ahead."""
    log = Log(spread(), 3)
    seek = Seek(at=AT, journey="zoho:Deals/1", seek=1)
    late = Incoming(0, in_workspace("main", "zoho:Accounts\x1fid\x1fA"), pack(seek), [(ORIGIN, b"up/2:10:0")], AT)
    fact = sent_by_two()
    assert log.feed(late, topic=topics.RELATIONS).taken == 1
    assert log.feed(msgspec.structs.replace(fact, headers=[(ORIGIN, b"up/2:5:0")]), topic=topics.JOURNEYS).taken == 1
    assert log.feed(msgspec.structs.replace(late, offset=1), topic=topics.RELATIONS).taken == 0


def sent_by_two() -> Incoming:
    """A Fact from partition 2 to partition 3."""
    log = Log(spread(), 2)
    log.feed(change(0, "Won", deal=deal_at(3)))
    return sent(log, topics.JOURNEYS)[0]


def test_a_relation_key_by_id_is_at_home_with_its_record() -> None:
    """A looked up record is told to its key without a message; the journeys that asked are told by one each."""
    serving = joined(PARTITIONS, spread=True)
    key = relation_key("zoho:Accounts", "id", "A")
    assert serving.home("main", key) == serving.home("main", "zoho:Accounts/A")
    log = Log(serving, serving.home("main", key))
    seeker = next(name for name in map(str, range(100)) if serving.home("main", f"zoho:Deals/{name}") != log.number)
    seek = Seek(at=AT, journey=f"zoho:Deals/{seeker}", seek=1)
    log.feed(Incoming(0, in_workspace("main", key), pack(seek), (), AT), topic=topics.RELATIONS)
    log.feed(record(ACCOUNTS, "A", Type="Big"), topic=ACCOUNTS)
    assert sent(log, topics.RELATIONS) == []
    assert [type(_read(one.value or b"")) for one in sent(log, topics.JOURNEYS)] == [Answer, Fact]


@pytest.mark.parametrize("key", ["", "17", "zoho:Deals/17", "a\x1fb", "\x1f", "zoho:Deals\x1fEmail\x1fa@b"])
def test_any_other_key_is_at_home_by_itself(key: str) -> None:
    """A stranger's stage may write any key to its own topics."""
    assert joined(PARTITIONS, spread=True).home("main", key) == home("main", key, PARTITIONS, spread=True)


def test_the_next_page_of_a_fan_out_lets_others_go_first() -> None:
    """A key with more seekers than a page holds says Go to itself by its topic, though it is here."""
    key = relation_key("zoho:Accounts", "id", "A")
    log = Log(joined(PARTITIONS, spread=True), joined(PARTITIONS, spread=True).home("main", key))
    account = in_workspace("main", key)
    seeks = [Seek(at=AT, journey=f"zoho:Deals/{name}", seek=1) for name in range(501)]
    log.feed(*(Incoming(n, account, pack(one), (), AT) for n, one in enumerate(seeks)), topic=topics.RELATIONS)
    fact = Fact(at=AT, ref="zoho:Accounts/A", home=0, version=1, image={"id": "A"}, op="update", position=1)
    log.feed(Incoming(501, account, pack(fact), (), AT), topic=topics.RELATIONS)
    assert [type(_read(one.value or b"")) for one in sent(log, topics.RELATIONS)] == [Go]


# -- other workflows, other calendars --------------------------------------------------------------


def test_changed_workflows_are_refused() -> None:
    log = Log(topology(spread=True))
    log.feed(change(0, "Won"))
    with pytest.raises(LayoutChangedError, match="cannot be joined anew in place"):
        log.open(topology(rules=LATER, spread=True))


def test_timers_follow_a_changed_calendar_where_they_are() -> None:
    """D-56: a calendar changes nothing that is joined, so nothing has to be loaded anew."""
    log = Log(topology(rules=AT_NINE, spread=True))
    log.feed(marker(0), change(1, "Won"))
    assert dues(log) == IN_UTC
    tokyo = topology(rules=AT_NINE, spread=True, zone="Asia/Tokyo")
    log.open(tokyo)
    assert (dues(log), log.host.news) == (IN_TOKYO, [MOVED])
    log.commit()
    assert sorted(replanned(log)) == ["dated", "later"]
    log.open(tokyo)
    assert (dues(log), log.host.news) == (IN_TOKYO, [])


def test_a_workspace_of_an_older_version_opens_and_its_timers_stay() -> None:
    """Its fingerprint knows of no calendars, and its rows of none by which timers were planned."""
    log = Log(topology(spread=True))
    log.feed(change(0, "Won"))
    log.rows.append(fingerprint_row("main", log.topology.workspaces["main"].book.fingerprint.partition("-")[0]))
    assert log.open(topology(spread=True, zone="Asia/Tokyo")).news == []


# -- strangers --------------------------------------------------------------


class Hearing:
    """A stranger's stage that counts what it hears."""

    name: ClassVar[str] = "hearing"
    reads: ClassVar[tuple[str, ...]] = (topics.JOURNEYS, topics.DECISIONS)
    heard: ClassVar[list[str]] = []

    def step(self, key: str, message: Any, source: Source) -> list[Output]:
        self.heard.append(f"{type(message).__name__} {key}")
        return []

    def changed(self) -> Iterator[Changed]:
        return iter(())


@pytest.fixture
def heard() -> list[str]:
    Hearing.heard.clear()
    return Hearing.heard


def test_a_stage_hears_what_stays_here_and_what_comes_and_each_once(heard: list[str]) -> None:
    here, there = deal_at(2), deal_at(3)
    log, other = Log(spread(more_stages=[Hearing]), 2), Log(spread(more_stages=[Hearing]), 3)
    log.feed(change(0, "Won", deal=here), change(1, "Won", deal=there))
    assert heard == [f"Fact zoho:Deals/{here}"]
    other.feed(*sent(log, topics.JOURNEYS), topic=topics.JOURNEYS)
    assert heard == [f"Fact zoho:Deals/{here}", f"Fact zoho:Deals/{there}"]


def test_a_stage_reads_what_has_left_the_flow_by_its_topic(heard: list[str]) -> None:
    log = Log(topology(spread=True, more_stages=[Hearing]))
    log.feed(marker(0), change(1, "Won"))
    decisions = sent(log, topics.DECISIONS)
    assert decisions
    assert not [one for one in heard if one.startswith("Decision")]
    assert topics.DECISIONS in log.topology.inputs()
    log.feed(*decisions, topic=topics.DECISIONS)
    assert len([one for one in heard if one.startswith("Decision")]) == len(decisions)
    assert sent(log, topics.DECISIONS) == decisions, "what was read is not said again"
