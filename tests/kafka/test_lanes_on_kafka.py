"""On a broker each lane is a topic: what may wait goes to ``commands.<connection>.bulk``."""

import pytest

from rules.project import Project
from rules.publishing import publish
from sandbox.broker.cluster import Cluster
from schemas.commands import Command
from streams.rehearsal import Rehearsal
from streams.testing import CHANNELS, Driver, embedded
from streams.topology import Workspace
from tests.kafka.on_kafka import Service

BOOK = publish({"lanes.yaml": """
workflow: lanes
main_tab: deal
tabs: {deal: {module: zoho.Deals}}
rules:
  deal:
    - {name: daily, trigger: {schedule: daily at 10:00}, actions: [{update: deal, fields: {Age: old}}]}
    - name: won
      trigger: {becomes: Stage is "Won"}
      actions: [{notify: user ann, text: x}, {update: deal, fields: {Sent: true}}]
"""}, Project())  # fmt: skip


def told(driver: Driver) -> Driver:
    """Two deals, of which one is won at once, and two mornings."""
    driver.create("zoho:Deals", "1", Stage="Open")
    driver.create("zoho:Deals", "2", Stage="Won")
    driver.advance("25 hours")
    driver.update("zoho:Deals", "1", Stage="Won")
    return driver


@pytest.mark.parametrize("spread", [False, True], ids=["fused", "spread"])
def test_what_a_schedule_brings_stands_in_the_topic_of_the_bulk_lane(
    spread: bool, broker: Cluster, topics: str
) -> None:
    serving = Service(
        broker.bootstrap, topics, {"main": Workspace(BOOK, ("zoho", "mail"), None, CHANNELS)}, spread=spread
    )
    try:
        driver = told(Driver(BOOK, serving.runtime("main")))
        stood = sorted((topic, one.rule) for topic, _, one in serving.said if isinstance(one, Command))
        assert stood == [
            ("commands.mail", "won"), ("commands.mail", "won"), ("commands.zoho", "won"), ("commands.zoho", "won"),
            ("commands.zoho.bulk", "daily"), ("commands.zoho.bulk", "daily"),
        ]  # fmt: skip
        assert {one.id for one in driver.commands()} == {
            one.id for one in told(Driver(BOOK, embedded(BOOK))).commands()
        }
    finally:
        serving.close()


def test_a_stage_that_reads_commands_reads_both_lanes_where_it_is_spread(broker: Cluster, topics: str) -> None:
    """A rehearsal answers each command, so that the fires of the schedule end."""
    workspace = Workspace(BOOK, ("zoho", "mail"), None, CHANNELS, [Rehearsal])
    serving = Service(broker.bootstrap, topics, {"main": workspace}, spread=True)
    try:
        driver = told(Driver(BOOK, serving.runtime("main"), applies=False))
        assert sorted(one.rule for one in driver.decisions("done")) == ["daily"] * 4 + ["won"] * 2
    finally:
        serving.close()
