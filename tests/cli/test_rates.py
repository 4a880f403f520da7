"""Exchange rates of the project file: what ``currency(…)`` converts by (D-115)."""

from pathlib import Path

import pytest

from tests.cli.door import crm_of, project, renkei

SETTINGS = """\
project: shop
connections: {sales: {kind: file, files: [{path: deals.jsonl}]}, mail: {kind: email}}
rates: {EUR: 1, USD: 0.5, JPY: "0.006"}
"""
RULES = """\
tabs: {deal: {module: sales.Deals}}
rules:
  deal:
    - name: large
      trigger: {becomes: 'currency(Amount, "EUR") >= 1000'}
      actions: [{notify: ann@example.com, subject: x, text: x}]
"""


@pytest.mark.parametrize(
    ("amount", "currency", "fires"),
    [(1000, "EUR", True), (1999, "USD", False), (2000, "usd", True), (200_000, "JPY", True), (10**9, "CHF", False)],
)
def test_an_amount_is_compared_in_another_currency(tmp_path: Path, amount: int, currency: str, fires: bool) -> None:
    (tmp_path / "deals.jsonl").write_text("")
    crm = crm_of(project(tmp_path, RULES, settings=SETTINGS, tabs="main_tab: deal\n"))
    crm.create("sales:Deals", "D1", Amount=amount, Currency=currency)
    assert bool(crm.commands()) is fires


def test_records_are_seen_by_the_rates_that_count_now(tmp_path: Path) -> None:
    (tmp_path / "deals.jsonl").write_text("")
    folder = project(tmp_path, RULES, settings=SETTINGS, tabs="main_tab: deal\n")
    crm = crm_of(folder)
    crm.create("sales:Deals", "D1", Amount=1500, Currency="USD")
    assert not crm.commands()
    project(tmp_path, RULES, settings=SETTINGS.replace("0.5", "0.9"), tabs="main_tab: deal\n")
    assert [one.anchor for one in crm_of(folder).commands()] == ["sales:Deals/D1"]


@pytest.mark.parametrize("rate", ["0", "-1", "dear", "true"])
def test_a_rate_is_a_number_above_nothing(tmp_path: Path, rate: str) -> None:
    folder = project(tmp_path, RULES, settings=SETTINGS.replace("0.5", rate), tabs="main_tab: deal\n")
    told = renkei("check", folder)
    assert told.code != 0
    assert "renkei.yaml:3" in told.err + told.out
    assert "USD" in told.err + told.out
