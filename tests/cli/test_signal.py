"""``renkei signal``: an outside event, or a rule's button, told by hand (D-11)."""

from pathlib import Path

import pytest

from streams.testing import Driver
from tests.cli.door import crm_of, project, renkei, store_of

RULES = """
rules:
  deal:
    - name: answered
      trigger: {signal: form-answered}
      criteria: Stage is "New"
      actions: [{update: deal, fields: {Note: answered}}]
    - name: button
      trigger: manual
      actions: [{update: deal, fields: {Note: pressed}}]
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return project(tmp_path, RULES)


def fired(crm: Driver) -> list[str]:
    crm.settle()
    return [one.rule for one in crm.fires()]


def test_a_signal_wakes_its_rules_and_a_manual_start_is_a_signal_too(path: Path) -> None:
    crm = crm_of(path)
    crm.create("zoho:Deals", "D1", Stage="New")
    answer = renkei("signal", "zoho.Deals/D1", "form-answered", path)
    assert "'form-answered' was told to zoho.Deals/D1." in answer.out
    assert fired(crm) == ["answered"]
    assert renkei("signal", "D1", "manual", path, "--json").json["journeys"] == ["zoho.Deals/D1"]
    assert fired(crm) == ["answered", "button"]
    store_of(crm).close()


def test_a_signal_to_nobody_is_told(path: Path) -> None:
    crm = crm_of(path)
    answer = renkei("signal", "zoho.Deals/D7", "manual", path)
    assert (answer.code, "no journey holds the record 'zoho.Deals/D7'" in answer.err) == (1, True)
    store_of(crm).close()
