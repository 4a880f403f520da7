"""What is measured, as Prometheus reads it."""

from collections.abc import Callable

import pytest

from renkei.lag.burrow import Status
from renkei.lag.exporter import LagExporter, LagMetrics
from renkei.lag.watch import PartitionLag
from renkei.metrics import OUTCOMES, Meter
from tests.lag.acting import FRAME, START, Led
from tests.lag.scraping import eventually, scraped

KEY = {"group": "g", "topic": "t", "partition": "0"}


def test_each_part_measures_under_its_name() -> None:
    meter = Meter()
    meter.events("flow", 3, 500)
    meter.batch(0.02)
    meter.stalled("journeys", 1, True)
    meter.restored(80_000)
    meter.command("zoho", "applied")
    meter.waiting("zoho", "live", 7)
    meter.captured("zoho", "Deals", 4)
    meter.parked("journeys")
    meter.parked("journeys", 2)
    meter.up("zoho", False)
    found = scraped(meter.registry)
    assert found("renkei_streams_events_total", host="flow", partition="3") == 500
    assert found("renkei_streams_batch_seconds_bucket", le="0.025") == 1
    assert found("renkei_streams_batch_seconds_bucket", le="0.01") == 0
    assert found("renkei_streams_stalled", topic="journeys", partition="1") == 1
    assert found("renkei_streams_restored_rows") == 80_000
    assert found("renkei_commands_total", connection="zoho", outcome="applied") == 1
    assert found("renkei_commands_waiting", connection="zoho", lane="live") == 7
    assert found("renkei_capture_events_total", connection="zoho", tab="Deals") == 4
    assert found("renkei_parked_total", topic="journeys") == 3
    assert found("renkei_connection_up", connection="zoho") == 0


def test_what_may_happen_is_measured_as_zero_before_it_does() -> None:
    """Prometheus sees no increase in a series that begins with 1."""
    meter = Meter()
    meter.serves("zoho")
    meter.reads("journeys")
    found = scraped(meter.registry)
    assert {found("renkei_commands_total", connection="zoho", outcome=one) for one in OUTCOMES} == {0}
    assert found("renkei_parked_total", topic="journeys") == 0


def test_two_meters_share_nothing() -> None:
    one, two = Meter(), Meter()
    one.parked("journeys")
    assert scraped(two.registry)("renkei_parked_total", topic="journeys") is None


def test_a_program_measures_itself_if_it_is_asked_to() -> None:
    meter = Meter()
    meter.itself()
    assert (scraped(meter.registry)("process_resident_memory_bytes") or 0) > 1e6


def shown(led: Led, steps: int) -> Callable[..., float | None]:
    meter = Meter()
    metrics = LagMetrics(meter.registry)
    led.run(steps, inflow=60, take=30)
    metrics.show(led.watch.look())
    return scraped(meter.registry)


def test_lag_is_measured() -> None:
    found = shown(Led(), 2 * FRAME.slots)
    assert found("renkei_lag_messages", **KEY) == 600
    assert found("renkei_lag_age_seconds", **KEY) == 600
    assert found("renkei_lag_rate_per_second", **KEY) == 0.5
    assert found("renkei_lag_drain_seconds", **KEY) == float("inf")
    assert {one: found("renkei_lag_status", status=one.lower(), **KEY) for one in Status} == {
        one: float(one == Status.WARN) for one in Status
    }
    assert found("renkei_lag_observed_timestamp_seconds") == (START + 20 * 60_000) / 1000


def test_what_is_not_known_is_not_measured() -> None:
    found = shown(Led(), 1)
    assert found("renkei_lag_messages", **KEY) == 30
    assert found("renkei_lag_rate_per_second", **KEY) is None
    assert found("renkei_lag_drain_seconds", **KEY) is None


def test_a_partition_that_is_gone_leaves_no_series() -> None:
    meter = Meter()
    metrics = LagMetrics(meter.registry)
    metrics.show(Led().watch.look())
    metrics.show(())
    assert [one for family in metrics.collect() for one in family.samples] == []
    assert scraped(meter.registry)("renkei_lag_messages", **KEY) is None


class Failing:
    """A broker that is away at first."""

    def __init__(self, *answers: tuple[PartitionLag, ...] | Exception) -> None:
        self.answers = list(answers)

    def look(self) -> tuple[PartitionLag, ...]:
        """The next answer; the last one again and again."""
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_the_exporter_outlives_a_broker_that_is_away() -> None:
    led = Led()
    led.topic.append(5)
    meter, told = Meter(), list[str]()
    away = OSError("the broker did not answer")
    exporter = LagExporter(
        Failing(away, away, away, led.watch.look()), LagMetrics(meter.registry), interval=0.01, tell=told.append
    )
    exporter.start()
    eventually(lambda: scraped(meter.registry)("renkei_lag_messages", **KEY) == 5)
    exporter.close()
    assert told == ["lag is not measured: the broker did not answer"]


@pytest.mark.parametrize("started", [True, False])
def test_an_exporter_ends_at_once(started: bool) -> None:
    exporter = LagExporter(Failing(()), LagMetrics(Meter().registry), interval=1000)
    if started:
        exporter.start()
    exporter.close()
    assert not exporter.is_running
