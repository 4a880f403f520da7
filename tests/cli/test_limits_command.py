"""``renkei limits``: what a connection may use, what is left, when that ends; and where it cannot be told."""

from pathlib import Path

import pytest

from connectors.base import Limits, Usage
from connectors.limits import Limiter
from renkei.limiting import note_of
from renkei.runner import wall_clock
from renkei.wiring import FILE
from schemas.values import HOUR, MINUTE
from streams.store import Store
from tests.cli.door import CRM, project, renkei

RULES = """
rules:
  deal:
    - name: r
      trigger: created
      actions: [{update: deal, fields: {Note: new}}]
"""
NARROW = CRM.replace("kind: zoho", "kind: zoho, limits: {per_day: 700}")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return project(tmp_path, RULES)


def work(path: Path, told: bool = True) -> int:
    """What a worker and a capture have done in the last hour, as they keep it; when that was."""
    now = wall_clock()
    limiter = Limiter(Limits(per_minute=600, at_once=5))
    for minutes in range(60):
        limiter.spend(now - minutes * MINUTE, "rule" if minutes % 3 else "bulk", 10)
    if told:
        limiter.hear([Usage(quota="day", left=400, most=1_000)], now)
    limiter.begin(100)
    limiter.again(5, now)
    (path / ".renkei").mkdir()
    store = Store(path / ".renkei" / FILE)
    store.set_note(note_of("zoho"), limiter.saved(now))
    store.close()
    return now


def test_one_line_tells_what_is_used_and_left_and_when_it_ends(path: Path) -> None:
    now = work(path)
    answer = renkei("limits", path)
    assert answer.code == 0
    assert "1.05 attempts per command" in answer.out
    line = renkei("limits", path, "--json").json["limits"][0]
    assert {name: line[name] for name in ("connection", "used", "left", "of", "by_rank")} == {
        "connection": "zoho", "used": 600, "left": 400, "of": 1_000, "by_rank": {"rule": 400, "bulk": 200},
    }  # fmt: skip
    assert (line["per_minute"], line["concurrency"], line["at_once"], line["retries_left"]) == (600, 5, 5, 55)
    assert 0.5 * HOUR < line["ends_at"] - now < 1.1 * HOUR, "400 are left, some 600 an hour are used"


def test_a_crm_that_does_not_tell_its_quota_leads_to_the_project_file(path: Path) -> None:
    work(path, told=False)
    assert "the CRM has not told its quota of a day. Name it: `limits: {per_day: ...}`" in renkei("limits", path).out


def test_before_the_first_call_the_limits_are_told(tmp_path: Path) -> None:
    path = project(tmp_path, RULES, settings=NARROW)
    line = renkei("limits", path, "--json").json["limits"][0]
    assert line["allowed"]["per_day"] == 700
    assert "used" not in line
    assert renkei("limits", path).code == 0


@pytest.mark.parametrize("wrong", ["per_day: 0", "per_minute: many", "per_hour: 5"])
def test_wrong_limits_are_refused_with_their_place(tmp_path: Path, wrong: str) -> None:
    path = project(tmp_path, RULES, settings=CRM.replace("kind: zoho", f"kind: zoho, limits: {{{wrong}}}"))
    answer = renkei("limits", path)
    assert (answer.code, "renkei.yaml" in answer.err) == (1, True)
