"""Outputs, states and positions through crashes and repetitions, with transactions and without (section 6)."""

import os
import subprocess
import sys
from dataclasses import replace
from functools import cache
from typing import Any

import msgspec
import pytest

from rules.book import Book
from schemas.codec import pack
from schemas.events import ChangeEvent, Operation
from schemas.messages import Fact, Signal
from schemas.values import Image, Ref, id_of, tab_of
from streams import wire
from streams.hostile import CommitModel, Hostile, Torment
from streams.stage import PARTITION_KEY, Changed, States
from streams.testing import START
from tests.protocol.books import books
from tests.protocol.storms import Parts, new_world, refold, storm, torment

DEAL, ACCOUNT = "zoho:Deals/1", "zoho:Accounts/A"
QUIET = Torment(partitions=1, crash=0, duplicate=0, batch=3, page=1, starved=False)
MODELS: tuple[CommitModel, ...] = ("transaction", "ordered")


_DEALS = """
workflow: w
main_tab: deal
tabs:
  deal:     {module: zoho.Deals}
  account:  {module: zoho.Accounts, lookup: deal.Account}
  demo:     {module: zoho.Demos, related_to: deal, by: Deal}
  feedback: {module: zoho.Feedback, related_to: demo, by: Demo}
rules:
  deal:
    - {name: gold, trigger: {becomes: account.Grade is "gold"}, actions: [{webhook: 'https://example.org/gold'}]}
    - {name: quiet, trigger: {becomes: no feedback}, actions: [{webhook: 'https://example.org/quiet'}]}
    - {name: called, trigger: [criteria_met, {signal: call}], criteria: account.Grade is "gold", repeat: every_time,
       actions: [{webhook: 'https://example.org/called'}]}
  feedback:
    - {name: made, trigger: created, actions: [{webhook: 'https://example.org/made'}]}
"""


@cache
def deals() -> Book:
    return books(_DEALS)


HISTORY: tuple[tuple[Ref, Operation, Image | None], ...] = (
    (DEAL, "create", {"Account": "A"}),
    ("zoho:Deals/2", "create", {"Account": "A"}),
    (ACCOUNT, "create", {"Grade": "gold"}),
    ("zoho:Demos/d", "create", {"Deal": "1"}),
    ("zoho:Feedback/f", "create", {"Demo": "d"}),
    (ACCOUNT, "update", {"Grade": "bad"}),
    ("zoho:Feedback/f", "update", {"Demo": "e"}),
    (DEAL, "update", {"Account": None}),
    (ACCOUNT, "update", {"Grade": "gold"}),
    (DEAL, "update", {"Account": "A"}),
)


def events() -> list[ChangeEvent]:
    return [
        ChangeEvent(
            tab=tab_of(ref), record_id=id_of(ref), op=op, after=after, committed_at=START + number,
            seen_at=START + number, source_position=number,
        )
        for number, (ref, op, after) in enumerate(HISTORY)
    ]  # fmt: skip


class Fated(Hostile):
    """Dies once, at its n-th chance."""

    fate = -1
    chances = 0

    def dies(self) -> bool:
        self.chances += 1
        return self.chances == self.fate


def run_history(parts: Parts, commit: CommitModel, fate: int = -1) -> Hostile:
    fated = type("FatedParts", (Fated, parts.runtime), {"fate": fate})
    runtime = parts._replace(runtime=fated).hostile(deals(), replace(QUIET, commit=commit))
    runtime.mark_loaded(deals().read_fields, START)
    runtime.append(events())
    runtime.run()
    for number in range(4):
        runtime.tell(DEAL, Signal(at=START + 100 + number, name="call", ref=DEAL, position=number))
    runtime.run()
    return runtime


def rows_of(runtime: Hostile) -> list[Any]:
    """All state rows; of journeys as a restart reads them: an image or the head may tell what time it is."""
    rows: list[Any] = [(host.stage, host.number, host.rows) for host in runtime.hosts if host.stage != "journeys"]
    for host in runtime.hosts:
        host.alive = None
    for key, journey in runtime.states("journeys"):
        rows.append((key, pack(journey.head), pack(journey.rules), pack(sorted(journey.seen.items()))))
    books = [host.rows.get(PARTITION_KEY) for host in runtime.hosts if host.stage == "journeys"]
    return [*rows, *books]


def said_by(runtime: Hostile) -> tuple[list[bytes], list[bytes]]:
    """Decisions and commands; each once, whatever was sent twice."""
    return sorted(map(pack, runtime.decisions())), sorted(map(pack, runtime.commands()))


@pytest.mark.parametrize("commit", MODELS)
def test_position_row_is_written_last(parts: Parts, commit: CommitModel) -> None:
    """A crash at each write: what was read and what was kept never part, so a fold from nothing gives the same."""
    chances = int(getattr(run_history(parts, commit), "chances"))  # noqa: B009 - of the class made above
    assert chances > 40
    for fate in range(1, chances + 1):
        runtime = run_history(parts, commit, fate)
        assert runtime.counts["crashes"] == 1, fate
        again = refold(runtime)
        assert rows_of(runtime) == rows_of(again), fate
        assert said_by(runtime) == said_by(again), fate
        journey = dict(runtime.states("journeys"))[DEAL]
        assert journey.join.shown[ACCOUNT]["Grade"] == "gold"
        assert sorted(journey.rules.truths["w/gold"]) == [DEAL]


def test_redelivery_skips_applied_keys(parts: Parts) -> None:
    """Killed after key states and before the position row: a signal counts once, though it is read twice."""
    skipped = 0
    for fate in range(1, 400):
        runtime = run_history(parts, "ordered", fate)
        if not runtime.counts["crashes"]:
            break
        skipped += runtime.counts["applied already"]
        truth = dict(runtime.states("journeys"))[DEAL].rules.truth("w/called", DEAL)
        assert truth.epoch == _epochs(runtime), fate
    assert skipped > 20


def _epochs(runtime: Hostile) -> int:
    return sum(one.kind == "fired" and one.rule == "called" and one.anchor == DEAL for one in runtime.decisions())


@pytest.mark.parametrize("commit", MODELS)
def test_late_duplicate_of_an_upstream_is_dropped(parts: Parts, commit: CommitModel) -> None:
    """A Fact of long ago comes again: a relation key compares no versions, so it must never see it."""
    runtime = run_history(parts, commit)
    said, members = said_by(runtime), members_of(runtime)
    (relations,) = (host for host in runtime.hosts if host.stage == "relations")
    facts = [entry for entry in relations.inputs if isinstance(wire.read_entry(entry), Fact)]
    assert len(facts) >= 6
    for entry in reversed(facts):
        relations.inputs.append(msgspec.structs.replace(entry, seq=len(relations.inputs)))
        runtime.run()
    assert members_of(runtime) == members
    assert said_by(runtime) == said


def members_of(runtime: Hostile) -> dict[str, bytes]:
    """Who is at each relation key, with the version and image by which it is known there."""
    return {name: pack(sorted(key.members.items())) for name, key in runtime.states("relations")}


@pytest.mark.parametrize("seed", range(30))
def test_refold_of_a_partition_gives_equal_bytes(parts: Parts, seed: int) -> None:
    _refolds(parts, seed)


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(1000, 2000))
def test_refold_of_a_partition_gives_equal_bytes_in_a_thousand_storms(parts: Parts, seed: int) -> None:
    _refolds(parts, seed)


def _refolds(parts: Parts, seed: int) -> None:
    world = new_world(seed)
    runtime = parts.hostile(world.oracle.book, torment(seed))
    storm(world, runtime)
    again = refold(runtime)
    assert rows_of(runtime) == rows_of(again)
    assert said_by(runtime) == said_by(again)


_STORY = """
from hashlib import sha256
from schemas.codec import pack
from tests.protocol.storms import Parts, calm, new_world, torment
from tests.protocol.test_commit import rows_of, said_by
world = new_world(7)
runtime = Parts().hostile(world.oracle.book, torment(7))
calm(world, runtime, 12)
print(sha256(pack([rows_of(runtime), said_by(runtime)])).hexdigest())
"""


def test_another_process_gives_equal_bytes() -> None:
    """Sets are walked in another order in every process: nothing may be written in that order."""
    found = {
        subprocess.run(
            [sys.executable, "-c", _STORY], check=True, capture_output=True, text=True,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
        ).stdout
        for seed in ("1", "2", "3")
    }  # fmt: skip
    assert len(found) == 1


def test_key_that_vanishes_and_returns_between_two_commits_leaves_no_old_rows() -> None:
    """Its old rows must go before its new ones are written, or what was forgotten would be back after a restart."""
    states: States[str] = States({"key": {"old part": b"x"}}, lambda _key, rows: "".join(rows))
    assert states.get("key") == "old part"
    states.drop("key", ["old part"])
    states.put("key", "new")
    assert list(states.take_gone()) == [Changed("key", "old part", None)]
    assert states.take_touched() == [("key", "new")]
    assert (list(states.take_gone()), states.take_touched()) == ([], [])


@pytest.mark.parametrize("commit", MODELS)
def test_forgotten_key_leaves_no_rows(parts: Parts, commit: CommitModel) -> None:
    """A store of plain keys and values can delete only what is named, so a stage names every row it has written."""
    runtime = parts.hostile(deals(), replace(QUIET, commit=commit))
    asked = "zoho:Accounts\x1fid\x1fA"
    relations = next(host for host in runtime.hosts if host.stage == "relations")
    deal = ChangeEvent(
        tab="zoho:Deals", record_id="1", op="create", after={"Account": "A", "id": "1"}, committed_at=START,
        seen_at=START, source_position=1,
    )  # fmt: skip
    runtime.append([deal])
    runtime.run()
    assert list(relations.rows[asked]) == [f"s\x1f{DEAL}"]
    runtime.append([msgspec.structs.replace(deal, op="update", after={"id": "1"}, source_position=2)])
    runtime.run()
    assert asked not in relations.rows
