"""What the person hears who publishes: ``renkei run`` over workflows or calendars that have changed."""

from pathlib import Path

from tests.cli.door import crm_of, project, renkei, store_of

SETTINGS = """\
project: shop
connections: {sales: {kind: file, files: [{path: deals.jsonl}]}, mail: {kind: email}}
calendars: {office: {timezone: UTC, hours: {mon-fri: "09:00-18:00"}, holidays: [HOLIDAY]}}
"""
TABS = "main_tab: deal\ncalendar: office\ntabs: {deal: {module: sales.Deals}}\n"
RULES = """\
rules:
  deal:
    - name: late
      trigger: {becomes: Stage is "Won"}
      scheduled_actions: [{after: 3 business days, actions: [{notify: ann@example.com, subject: x, text: x}]}]
"""


def published(path: Path, holiday: str) -> Path:
    return project(path, RULES, settings=SETTINGS.replace("HOLIDAY", holiday), tabs=TABS)


def test_run_says_how_many_timers_a_changed_calendar_has_moved(tmp_path: Path) -> None:
    """D-56; once, and apart from what scripts read."""
    (tmp_path / "deals.jsonl").write_text("")
    crm = crm_of(published(tmp_path, "2026-01-01"))
    for number in range(12):
        crm.create("sales:Deals", f"D{number}", Stage="Won")
    store_of(crm).close()
    published(tmp_path, "2026-01-07")
    first = renkei("run", tmp_path, "--once", "--json")
    assert (first.code, first.json["journeys"]) == (0, 12)
    assert "12 timers moved: the calendar of w changed\n" in first.err
    again = renkei("run", tmp_path, "--once", "--json")
    assert (again.code, "moved" in again.err) == (0, False)
