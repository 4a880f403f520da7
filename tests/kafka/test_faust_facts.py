"""What Faust 0.15.3 does to offsets, and that the streams do not rely on it."""

import asyncio
from collections import defaultdict

import pytest
from faust.transport.consumer import ThreadDelegateConsumer
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from streams.faust_runtime import VERSION, BatchConsumer, BatchTransport, FaustMismatchError, check_faust

OURS = TP("changes.zoho.Deals", 0)


def in_flight(kind: type[ThreadDelegateConsumer], committed: int, acked: list[int]) -> ThreadDelegateConsumer:
    """A consumer's record of what was acknowledged, as Faust keeps it; no broker is asked."""
    consumer = kind.__new__(kind)
    consumer._acked = defaultdict(list, {OURS: list(acked)})
    consumer._acked_index = defaultdict(set, {OURS: set(acked)})
    consumer._gap = defaultdict(list)
    consumer._committed_offset = defaultdict(lambda: None, {OURS: committed})
    return consumer


def test_faust_commits_over_a_message_in_flight() -> None:
    """Message 2585 is still being worked on, four later ones are done: it commits 2590, and a crash loses 2585.

    When this fails, Faust has mended it (issue 606): read docs/decisions.md again.
    """
    consumer = in_flight(driver.Consumer, 2585, [2586, 2587, 2588, 2589])
    assert consumer._new_offset(OURS) == 2590


def test_a_wider_gap_is_waited_for() -> None:
    """It is exactly one slow message at the head that is lost."""
    assert in_flight(driver.Consumer, 2585, [2587, 2588])._new_offset(OURS) is None


def test_our_consumer_commits_nothing_by_itself() -> None:
    assert BatchTransport.Consumer is BatchConsumer
    consumer = in_flight(BatchConsumer, 2585, [2586, 2587, 2588, 2589])
    assert asyncio.run(consumer.commit()) is False
    assert consumer._committed_offset[OURS] == 2585


def test_the_version_that_is_installed_is_the_one_that_was_built_against() -> None:
    check_faust()


def test_another_version_is_refused_with_the_way_out() -> None:
    with pytest.raises(FaustMismatchError, match=r"0\.16\.0 is installed.*pip install faust-streaming==0\.15\.3"):
        check_faust("0.16.0")


def test_a_missing_name_is_told() -> None:
    with pytest.raises(FaustMismatchError, match=r"lacks Consumer\._drain_by_hand, Transport\.gone"):
        check_faust(VERSION, [(driver.Consumer, "_drain_by_hand"), (driver.Transport, "gone")])
