"""Two CRMs kept alike in short: random edits on both sides over real HTTP, notifications lost and repeated."""

import shutil
from pathlib import Path

import pytest

from benchmarks.crms import sync

PLAIN = """
rules:
  person:
    - name: back
      loop: intended
      trigger: {field_updated: [LastName, FirstName, Email, Phone]}
      criteria: LastName is not empty
      actions:
        - update: contact
          fields:
            Last_Name: "{{ LastName }}"
            First_Name: "{{ FirstName }}"
            Email: "{{ Email }}"
            Phone: "{{ Phone }}"
  contact:
    - name: there
      loop: intended
      trigger: {field_updated: [Last_Name, First_Name, Email, Phone]}
      criteria: Last_Name is not empty
      actions:
        - update: person
          all: true
          fields:
            LastName: "{{ Last_Name }}"
            FirstName: "{{ First_Name }}"
            Email: "{{ Email }}"
            Phone: "{{ Phone }}"
"""


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_both_sides_are_alike_in_the_end_and_no_edit_comes_back(seed: int) -> None:
    """Fault matrix row 33."""
    found = sync.synced(edits=200, people=20, seed=seed)
    assert (found.differences, found.trouble, found.doubled) == (0, 0, 0), found
    assert found.most_hops <= 2, found
    assert found.clashes > 5, "both sides were edited at once"
    assert found.gave_way > 5, "and our writes overtaken"


def test_answers_that_get_lost_make_no_difference() -> None:
    found = sync.synced(edits=200, people=20, seed=4, unanswered=0.15)
    assert (found.differences, found.trouble, found.doubled) == (0, 0, 0), found
    assert found.most_hops <= 2, found


def test_plain_rules_in_both_directions_swap_values_and_send_them_back(tmp_path: Path) -> None:
    """The same edits without the policy: the measure finds what is wrong."""
    found = [sync.synced(edits=200, people=20, seed=seed, project=_plain(tmp_path / str(seed))) for seed in (1, 2)]
    assert sum(one.differences for one in found) > 0, found
    assert max(one.most_hops for one in found) > 2, found


def _plain(folder: Path) -> Path:
    """The project with two rules where its sync is."""
    shutil.copytree(sync.PROJECT, folder)
    file = folder / "workflows" / "contacts.yaml"
    before, _, rest = file.read_text(encoding="utf-8").partition("\nsync:")
    _, _, rules = rest.partition("\nrules:\n  contact:\n")
    made, _, _ = rules.partition("\ntests:")
    file.write_text(f"{before}{PLAIN}{made}\n", encoding="utf-8")
    return folder
