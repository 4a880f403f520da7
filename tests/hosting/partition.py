"""A partition without a broker, whose work is written down."""

from typing import Any
from zoneinfo import ZoneInfo

from renkei.streaming import Nouns
from rules.book import Book
from rules.calendars import Calendar
from rules.project import Project
from rules.publishing import publish
from schemas import topics
from schemas.codec import from_json, pack
from schemas.events import ChangeEvent
from schemas.keys import in_workspace
from schemas.messages import Loaded
from schemas.values import format_instant
from streams.changelog import Restored
from streams.hosting import PartitionHost, Work
from streams.topology import Incoming, Topology, Workspace

AT = 1_800_000_000_000
DEALS = topics.changes("zoho:Deals")
HEAD = "workflow: sales\nmain_tab: deal\ntabs:\n  deal: {module: zoho.Deals}\nrules:\n  deal:\n"
WON = '    - {name: won, trigger: {becomes: Stage is "Won"}, actions: [{notify: user ann, text: Won}]}\n'
LATER = """\
    - name: later
      trigger: {becomes: Stage is "Won"}
      actions: [{notify: user ann, text: Won}]
      scheduled_actions: [{after: 2 days, actions: [{notify: user ann, text: Still}]}]
"""


def book(rules: str = WON, zone: str = "UTC") -> Book:
    office = Calendar.always(ZoneInfo(zone))
    return publish({"sales.yaml": f"calendar: office\n{HEAD}{rules}"}, Project(calendars={"office": office}))


def topology(
    *, rules: str = WON, partitions: int = 1, spread: bool = False, zone: str = "UTC", **more: Any
) -> Topology:
    one = Workspace(book(rules, zone), ("zoho", "mail"), None, {"email": "mail"}, **more)
    return Topology({"main": one, "客户": one}, partitions, Nouns(), spread=spread)


class Log:
    """A partition whose work is written down, so that another host can open on it."""

    def __init__(self, serving: Topology, number: int = 0) -> None:
        self.topology, self.number = serving, number
        self.rows: list[tuple[bytes, bytes | None]] = []
        self.said: list[tuple[str, Any]] = []
        self.written = 0
        self.open()

    def open(self, serving: Topology | None = None) -> PartitionHost:
        """A host on what was written down."""
        restored = Restored()
        restored.take(self.rows)
        self.host = PartitionHost(serving or self.topology, self.number, restored)
        return self.host

    def commit(self) -> Work:
        work = self.host.work()
        self.rows += work.rows
        self.said += [(topic, one) for (topic, _), found in work.outputs.items() for one in found]
        return work

    def feed(self, *records: Incoming, topic: str = DEALS) -> Work:
        self.host.fold(topic, records, records[-1].offset + 1)
        return self.commit()

    def topics(self) -> list[str]:
        return sorted({topic for topic, _ in self.said})

    def parked(self) -> list[dict[str, Any]]:
        return [from_json(one.value or b"") for topic, one in self.said if topic == topics.PARKED]

    def notified(self) -> int:
        return sum(topic.startswith("commands.") for topic, _ in self.said)


def change(offset: int, stage: str, *, deal: str = "1", workspace: str = "main", seen_at: int = AT) -> Incoming:
    event = ChangeEvent(
        tab="zoho:Deals", record_id=deal, op="create", after={"id": deal, "Stage": stage, "Day": "2027-01-20"},
        committed_at=seen_at, seen_at=seen_at, source_position=offset + 1,
    )  # fmt: skip
    value, headers = Nouns().encode(event, DEALS)
    return Incoming(offset, in_workspace(workspace, deal), value, headers, seen_at)


def marker(offset: int, workspace: str = "main") -> Incoming:
    loaded = Loaded(at=AT, tab="zoho:Deals", generation=0, upstream=("capture", 0))
    return Incoming(offset, in_workspace(workspace, ""), pack(loaded), (), AT)


def joined(partitions: int = 1, *, spread: bool = False) -> Topology:
    """Deals with the accounts that they look up."""
    tabs = "  account: {module: zoho.Accounts, lookup: deal.Account}\n"
    workflow = HEAD.replace("rules:", f"{tabs}rules:") + (
        '    - {name: won, trigger: {becomes: deal.Stage is "Won" and account.Type is "Big"}, '
        "actions: [{notify: user ann, text: Won}]}\n"
    )
    one = Workspace(publish({"sales.yaml": workflow}, Project()), ("zoho", "mail"), None, {"email": "mail"})
    return Topology({"main": one}, partitions, Nouns(), spread=spread)


def record(topic: str, record_id: str, **fields: Any) -> Incoming:
    """A record that was made: the first of its topic."""
    tab = topic.removeprefix("changes.").replace(".", ":", 1)
    event = ChangeEvent(
        tab=tab, record_id=record_id, op="create", after={"id": record_id, **fields}, committed_at=AT, seen_at=AT,
        source_position=1,
    )  # fmt: skip
    value, headers = Nouns().encode(event, topic)
    return Incoming(0, in_workspace("main", record_id), value, headers, AT)


# -- calendars --------------------------------------------------------------

AT_NINE = """\
    - name: later
      trigger: {becomes: Stage is "Won"}
      scheduled_actions: [{after: 2 days, at: "09:00", actions: [{notify: user ann, text: Still}]}]
    - {name: dated, trigger: {date: Day, at: "09:00"}, actions: [{notify: user ann, text: Day}]}
    - {name: relative, trigger: {becomes: Day is today}, actions: [{notify: user ann, text: Today}]}
"""
MOVED = "2 timers moved: the calendar of sales changed"
IN_TOKYO = {"later": "2027-01-17T00:00:00Z", "dated": "2027-01-20T00:00:00Z", "relative": "2027-01-19T15:00:00Z"}
IN_UTC = {"later": "2027-01-17T09:00:00Z", "dated": "2027-01-20T09:00:00Z", "relative": "2027-01-20T00:00:00Z"}


def dues(log: Log) -> dict[str, str]:
    """When each rule is due."""
    journeys = log.host.flow("main").states("journeys")  # type: ignore[union-attr]
    journey = journeys.get("zoho:Deals/1")
    timers = journey.rules.timers.values()  # type: ignore[union-attr]
    return {one.rule.partition("/")[2]: format_instant(one.due) for one in timers}


def replanned(log: Log) -> list[str]:
    said = [Nouns().decode(one.value, one.headers, topics.DECISIONS) for t, one in log.said if t == topics.DECISIONS]
    return [one.rule for one in said if one.kind == "replanned"]
