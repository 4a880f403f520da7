"""Alerts and dashboard parse, and ask only for what Renkei measures."""

import json
import re
from collections.abc import Iterator
from typing import Any

import promql_parser
import pytest
from prometheus_client import Counter, Histogram
from prometheus_client.metrics import MetricWrapperBase

from renkei.lag.exporter import LagMetrics
from renkei.metrics import Meter
from tests.deploy.files import DEPLOY, HOME, ours, yaml_of

METRICS = {
    "renkei_lag_messages": {"group", "topic", "partition"},
    "renkei_lag_age_seconds": {"group", "topic", "partition"},
    "renkei_lag_rate_per_second": {"group", "topic", "partition"},
    "renkei_lag_drain_seconds": {"group", "topic", "partition"},
    "renkei_lag_status": {"group", "topic", "partition", "status"},
    "renkei_streams_events_total": {"host", "partition"},
    "renkei_streams_batch_seconds_bucket": {"le"},
    "renkei_streams_stalled": {"topic", "partition"},
    "renkei_streams_restored_rows": set(),
    "renkei_commands_total": {"connection", "outcome"},
    "renkei_commands_waiting": {"connection", "lane"},
    "renkei_capture_events_total": {"connection", "tab"},
    "renkei_parked_total": {"topic"},
    "renkei_connection_up": {"connection"},
    "renkei_limit_quota": {"connection", "what"},
    "renkei_limit_spent": {"connection", "class"},
    "renkei_limit_concurrency": {"connection"},
    "renkei_limit_retries_left": {"connection"},
    "renkei_limit_paused": {"connection"},
    "up": set(),
}  # fmt: skip
"""What may be asked for, with its labels; ``up`` is Prometheus's own."""

SCRAPED = {"job", "instance", "service"}
STATUSES = {"ok", "warn", "stall", "rewind", "stop"}


def alerts() -> list[dict[str, Any]]:
    groups = yaml_of(DEPLOY / "prometheus" / "alerts.yml")["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DEPLOY / "grafana" / "dashboards" / "renkei.json").read_text(encoding="utf-8"))
    return found


def drawn() -> Iterator[tuple[str, str]]:
    for panel in dashboard()["panels"]:
        for target in panel["targets"]:
            yield f"{panel['title']} {target['refId']}", target["expr"].replace("$__rate_interval", "5m")


ASKED = [*((rule["alert"], rule["expr"]) for rule in alerts()), *drawn()]


def selectors(words: str) -> list[promql_parser.VectorSelector]:
    """Everything that an expression asks for. Raises ValueError where it is not PromQL."""
    found: list[promql_parser.VectorSelector] = []

    def note(part: object) -> None:
        if isinstance(part, promql_parser.VectorSelector):
            found.append(part)
        elif isinstance(part, promql_parser.MatrixSelector):
            found.append(part.vector_selector)

    promql_parser.walk(promql_parser.parse(words), note)
    return list({str(one): one for one in found}.values())


@pytest.mark.parametrize("words", [pytest.param(words, id=name) for name, words in ASKED])
def test_an_expression_asks_for_what_is_measured(words: str) -> None:
    asked = selectors(words)
    assert asked
    for one in asked:
        assert one.name in METRICS
        assert {matcher.name for matcher in one.matchers.matchers} <= METRICS[one.name] | SCRAPED
        for matcher in one.matchers.matchers:
            assert matcher.name != "status" or set(matcher.value.split("|")) <= STATUSES
    grouped = re.findall(r"\b(?:by|on) \(([\w, ]*)\)", words)
    labels = set().union(*(METRICS[str(one.name)] for one in asked)) | SCRAPED
    assert {label for group in grouped for label in re.findall(r"\w+", group)} <= labels


def test_everything_that_is_measured_is_looked_at() -> None:
    asked = {one.name for _, words in ASKED for one in selectors(words)}
    assert asked == set(METRICS)


def measured() -> Iterator[tuple[str, set[str]]]:
    """The metrics that the programs have, and the labels of each."""
    meter = Meter()
    for one in vars(meter).values():
        if isinstance(one, MetricWrapperBase):
            ending = "_total" if isinstance(one, Counter) else "_bucket" if isinstance(one, Histogram) else ""
            yield one._name + ending, {*one._labelnames, *(["le"] if ending == "_bucket" else [])}
    for family in LagMetrics(meter.registry).describe():
        yield family.name, set(family._labelnames)


def test_everything_that_is_looked_at_is_measured() -> None:
    found = dict(measured())
    assert {**found, "up": set()}.items() >= METRICS.items()
    assert found.keys() - METRICS.keys() <= {"renkei_lag_observed_timestamp_seconds"}


@pytest.mark.parametrize("name", [name for name in vars(Meter) if not name.startswith("_")])
def test_everything_that_is_measured_is_set_by_a_program(name: str) -> None:
    programs = [path.read_text(encoding="utf-8") for path in (HOME / "renkei").rglob("*.py")]
    assert any(re.search(rf"meter\.{name}\(", text) for text in programs)


@pytest.mark.parametrize("rule", [pytest.param(rule, id=rule["alert"]) for rule in alerts()])
def test_an_alert_says_how_bad_it_is_and_what_to_do(rule: dict[str, Any]) -> None:
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert rule["labels"]["severity"] in {"page", "warn"}
    assert set(rule["annotations"]) == {"summary", "what_to_do"}
    if "for" in rule:
        assert promql_parser.parse_duration(rule["for"]).total_seconds() >= 60
    shown = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"] + rule["annotations"]["what_to_do"]))
    assert shown <= set().union(*(METRICS[str(one.name)] for one in selectors(rule["expr"]))) | SCRAPED


def test_alerts_have_names_of_their_own() -> None:
    names = [rule["alert"] for rule in alerts()]
    assert len(names) == len(set(names)) >= 10


def test_one_service_measures_the_lag_that_is_looked_at() -> None:
    assert [name for name, words in ours() if "--lag" in words] == ["streams"]


def test_every_service_that_measures_is_scraped() -> None:
    config = yaml_of(DEPLOY / "prometheus" / "prometheus.yml")
    (ports,) = (job["dns_sd_configs"][0] for job in config["scrape_configs"] if job["job_name"] == "renkei")
    assert set(ports["names"]) == {name for name, words in ours() if "--metrics-port" in words}
    assert ports["port"] == 9464
    assert [file for file in config["rule_files"] if not (DEPLOY / "prometheus" / file).exists()] == []


def test_the_dashboard_reads_the_source_that_is_provided() -> None:
    (source,) = yaml_of(DEPLOY / "grafana" / "provisioning" / "datasources" / "prometheus.yml")["datasources"]
    used = {part["datasource"]["uid"] for panel in dashboard()["panels"] for part in (panel, *panel["targets"])}
    assert used == {source["uid"]}


def test_panels_do_not_cover_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        at = panel["gridPos"]
        own = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not own & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= own
    assert len({panel["id"] for panel in dashboard()["panels"]}) == len(dashboard()["panels"])
