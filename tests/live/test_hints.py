"""A project that is polled once an hour, and acts at once: Zoho tells it when to look."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox.faults import Fault
from sandbox.ports import free_ports
from sandbox.server import Sandbox
from tests.live.running import Running, running
from tests.live.test_a_live_run import WORKFLOW, demos


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as there:
        yield there


@pytest.fixture
def folder(tmp_path: Path, sandbox: Sandbox) -> Path:
    [port] = free_ports(1)
    (tmp_path / "workflows").mkdir()
    (tmp_path / "workflows" / "demos.yaml").write_text(WORKFLOW, encoding="utf-8")
    place = f"options: {{notices: 'http://127.0.0.1:{port}', listen: '127.0.0.1:{port}'}}"
    (tmp_path / "renkei.yaml").write_text(
        "project: live\nconnections:\n"
        f"  zoho: {{kind: zoho, url: '{sandbox.zoho.url}', allow_private: true, key_field: Renkei_Key,"
        f" user: '{sandbox.seed.zoho.integration_user}', poll: 1 hour, {place}}}\n"
        f"  mail: {{kind: email, url: 'smtp://{sandbox.mail.host}:{sandbox.mail.port}', allow_private: true,"
        " sender: renkei@example.com}\n",
        encoding="utf-8",
    )
    return tmp_path


@pytest.fixture
def run(folder: Path, sandbox: Sandbox) -> Iterator[Running]:
    with running(folder, sandbox) as started:
        yield started


def seen(sandbox: Sandbox, method: str, what: str) -> int:
    calls = sandbox.zoho.faults.calls()
    return sum(call.method == method and what in call.target and call.status < 300 for call in calls)


def edited(run: Running, sandbox: Sandbox, name: str) -> str:
    deal = sandbox.zoho.insert("Deals", {"Deal_Name": name, "Stage": "Qualification", "Lead_Status": "New"})
    looked = seen(sandbox, "POST", "/coql")
    run.until(lambda: seen(sandbox, "POST", "/coql") > looked, "the tab is read because of the new deal")
    sandbox.zoho.update("Deals", deal, {"Lead_Status": "Qualified"})
    return deal


def test_a_change_is_acted_on_at_once_although_the_tab_is_polled_hourly(run: Running, sandbox: Sandbox) -> None:
    started: Callable[[], bool] = lambda: seen(sandbox, "POST", "/actions/watch") == 1  # noqa: E731
    run.until(started, "the channel is open")
    run.until(lambda: seen(sandbox, "POST", "/coql") >= 2, "both tabs are loaded")
    sandbox.zoho.faults.add(Fault(do="repeat_notice", where="NOTIFY Deals", times=4))
    deal = edited(run, sandbox, "株式会社 🚀")
    run.until(lambda: demos(sandbox, deal) == ["Demo of 株式会社 🚀"], "the demo is asked for")
    run.process.terminate()
    assert run.process.wait(timeout=20) == 0, run.said()
    assert seen(sandbox, "DELETE", "/actions/watch") == 1
    assert "/notices/" not in run.said()
