"""The first load of a tab (D-04): told with its total, and gone on with where ``kill -9`` stopped it."""

import json
import os
import pty
import select
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from renkei.wiring import FILE
from sandbox.faults import Fault
from sandbox.server import Sandbox
from schemas import topics
from schemas.events import ChangeEvent
from schemas.messages import Loaded
from streams import wire
from streams.store import Store
from tests.live.running import RENKEI, Running, started

MANY = 1_000
PAGE = 200
WORKFLOW = """
workflow: deals
main_tab: deal
tabs:
  deal: {module: zoho.Deals}
rules:
  deal:
    - name: note
      trigger: {becomes: Lead_Status is "Qualified"}
      actions:
        - update: deal
          fields: {Stage: Negotiation}
"""


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        for number in range(MANY):
            running.zoho.insert("Deals", {"Deal_Name": f"商談 {number}", "Stage": "Negotiation"})
        yield running


@pytest.fixture
def folder(tmp_path: Path, sandbox: Sandbox) -> Path:
    (tmp_path / "workflows").mkdir()
    (tmp_path / "workflows" / "deals.yaml").write_text(WORKFLOW, encoding="utf-8")
    (tmp_path / "renkei.yaml").write_text(
        f"project: load\nconnections:\n  zoho: {{kind: zoho, url: '{sandbox.zoho.url}', allow_private: true}}\n",
        encoding="utf-8",
    )
    return tmp_path


@contextmanager
def on_a_terminal(folder: Path, sandbox: Sandbox) -> Iterator[Running]:
    """``renkei run`` before a terminal; what it was shown so far."""
    ours, theirs = pty.openpty()
    shown: list[bytes] = []

    def screen() -> str:
        with suppress(OSError):
            while select.select([ours], [], [], 0)[0]:
                shown.append(os.read(ours, 65_536))
        return b"".join(shown).decode("utf-8", "replace")

    try:
        with started(folder, sandbox, theirs, theirs, TERM="xterm", COLUMNS="120") as process:
            yield Running(process, screen)
    finally:
        os.close(ours)
        os.close(theirs)


def pages(sandbox: Sandbox) -> int:
    return sum(call.target.endswith("/coql") for call in sandbox.zoho.faults.calls())


def status(folder: Path, *words: str) -> str:
    return subprocess.run(
        [*RENKEI, "status", str(folder), *words], stdout=subprocess.PIPE, text=True, check=True
    ).stdout


def logged(folder: Path) -> list[Any]:
    store = Store(folder / ".renkei" / FILE)
    try:
        return [wire.read_entry(entry) for entry in store.read(topics.changes("zoho:Deals"), 0)]
    finally:
        store.close()


def test_a_first_load_that_is_killed_goes_on_where_it_was_and_says_how_far_it_is(
    folder: Path, sandbox: Sandbox
) -> None:
    # The third page does not come: there the process is killed.
    sandbox.zoho.faults.add(Fault("hang", "coql", skip=2))
    with on_a_terminal(folder, sandbox) as run:
        bar = ("loading zoho.Deals", "400 of 1,000 records")
        run.until(lambda: all(words in run.said() for words in bar), "a bar with its total")
        seen = json.loads(status(folder, "--json"))
        assert seen["loading"] == [{"tab": "zoho:Deals", "read": 2 * PAGE, "of": MANY}]
        assert "zoho.Deals: 400 of 1,000 records read (40%)" in status(folder)
    assert not any(isinstance(one, Loaded) for one in logged(folder)), "marked only when it is complete"
    sandbox.zoho.faults.clear()
    sandbox.zoho.faults.forget_calls()
    with on_a_terminal(folder, sandbox) as run:
        run.until(lambda: any(isinstance(one, Loaded) for one in logged(folder)), "the marker")
        run.until(
            lambda: json.loads(status(folder, "--json"))["loading"] == [], "the flow knows that the tab is loaded"
        )
    found = logged(folder)
    events = [one for one in found[:MANY] if isinstance(one, ChangeEvent)]
    assert len({event.record_id for event in events}) == len(events) == MANY
    assert all(event.load for event in events)
    assert isinstance(found[MANY], Loaded), "behind all that belongs to the load"
    counts = [call for call in sandbox.zoho.faults.calls() if call.target.endswith("/actions/count")]
    assert counts == [], "the total is remembered"
    rest = MANY // PAGE - 2
    assert rest <= pages(sandbox) <= rest + 2, "what was read before is not read again"
