"""``renkei sandbox`` serves until it is told to stop, where it was told to, or says why it cannot."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from connectors.credentials import Credentials
from connectors.registry import connect
from connectors.salesforce.events import EventSchema
from connectors.settings import ConnectionSettings
from renkei.planning import FaultsFile, PlannedEvent, plan_faults, read_faults
from sandbox.ports import free_ports
from sandbox.server import Sandbox, SandboxError

COMMAND = [sys.executable, "-c", "from renkei.cli import main; main()", "sandbox", "--json"]


@contextmanager
def served(*words: str, temporary: Path | None = None) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    place = {"TMPDIR": str(temporary)} if temporary else {}
    with subprocess.Popen(
        [*COMMAND, *words], env={**os.environ, **place}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        try:
            assert running.stdout is not None
            yield running, json.loads(running.stdout.readline())
        finally:
            running.terminate()  # and not killed: it removes its key file
            try:
                running.wait(20)
            finally:
                running.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_practice_crms_answer_until_stopped(number: signal.Signals) -> None:
    with served() as (running, told):
        secrets = told["variables"]
        names = ("client_id", "client_secret", "refresh_token")
        form = {name: secrets[f"RENKEI_ZOHO_{name.upper()}"] for name in names} | {"grant_type": "refresh_token"}
        answer = requests.post(told["urls"]["zoho"] + "/oauth/v2/token", data=form, timeout=10)
        assert answer.json()["access_token"]
        running.send_signal(number)
        assert running.wait(20) == 0


def test_salesforce_is_logged_in_to_by_the_key_of_a_private_file() -> None:
    with served() as (running, told):
        key = Path(told["jwt_bearer"]["private_key"])
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
        secrets = {
            "client_id": told["variables"]["RENKEI_SALESFORCE_CLIENT_ID"],
            "username": told["jwt_bearer"]["username"],
            "private_key": key.read_text(encoding="ascii"),
        }
        settings = ConnectionSettings(
            connection="sf", kind="salesforce", url=told["urls"]["salesforce"], allow_private=True, login="jwt_bearer"
        )
        connector, send, _ = connect(settings, Credentials("sf", secrets), None)
        assert connector.own_user(send)
        running.send_signal(signal.SIGTERM)
        assert running.wait(20) == 0
    assert not key.exists()


def test_the_key_file_of_one_that_was_killed_is_removed_by_the_next(tmp_path: Path) -> None:
    with served(temporary=tmp_path) as (killed, told):
        left = Path(told["jwt_bearer"]["private_key"])
        killed.kill()
        killed.wait(20)
    assert [*tmp_path.iterdir()] == [left]
    with served(temporary=tmp_path) as (_, first), served(temporary=tmp_path) as (_, second):
        living = {Path(told["jwt_bearer"]["private_key"]) for told in (first, second)}
        assert {*tmp_path.iterdir()} == living, "those of living ones stay"
    assert [*tmp_path.iterdir()] == []


def test_the_ports_follow_each_other_and_a_taken_one_is_named() -> None:
    port = next(port for port in free_ports(50) if not {port + 1, port + 2, port + 3, port + 4} - set(_free(port)))
    with served("--port", str(port)) as (_, told):
        wanted = dict(zip(("zoho", "salesforce", "vtiger", "mail", "pubsub"), range(port, port + 5), strict=True))
        assert {name: int(url.rpartition(":")[2]) for name, url in told["urls"].items()} == wanted
        with served("--port", str(port + 2)) as (_, second):
            assert not second["ok"]
            assert f"127.0.0.1:{port + 2}" in second["error"]


def _free(port: int) -> Iterator[int]:
    for other in range(port + 1, port + 5):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", other)):
                yield other


PLAN = """
faults:
  - {crm: zoho, do: status, share: 0.5, lasts: 1 minute, after: 3}
  - {crm: vtiger, do: hang, where: operation=create, skip: 2}
ahead: {salesforce: 90}
"""


def test_what_shall_go_wrong_stands_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "storm.yaml"
    file.write_text(PLAN, encoding="utf-8")
    with served("--faults", str(file)) as (_, told):
        answers = [requests.get(told["urls"]["zoho"] + "/crm/v8/users", timeout=10) for _ in range(40)]
    assert told["faults"][0] == "zoho: status share 0.5, lasts 1 minute, after 3"
    assert told["faults"][2] == "salesforce: its clock is 90 s ahead"
    refused = [answer for answer in answers if answer.status_code == 429]
    assert 8 < len(refused) < 32
    assert {answer.headers["retry-after"] for answer in refused} == {"3"}


def test_change_events_go_wrong_as_the_file_says(tmp_path: Path) -> None:
    file = tmp_path / "storm.yaml"
    file.write_text("events:\n  - {tab: Contract, do: lose, skip: 1}\n  - {tab: Contract, do: gap}\n", encoding="utf-8")
    with Sandbox() as sandbox:
        log = sandbox.pubsub.service.log
        begun = log.latest()
        assert plan_faults(sandbox, read_faults(file)) == [
            "salesforce: lose for 1 events of Contract", "salesforce: gap for 1 events of Contract",
        ]  # fmt: skip
        account = sandbox.salesforce.records("Account")[0]["id"]
        for number in range(4):
            sandbox.salesforce.insert("Contract", {"AccountId": account, "Zoho_Deal_Id__c": f"{number}"})
        schema = EventSchema(log.shapes["Contract"].text)
        told = [schema.read(event.payload, {}).kind for event in log.after(begun, "Contract", 9)]
        assert told == ["CREATE", "GAP_CREATE", "CREATE"], "the second of four is lost"
        with pytest.raises(SandboxError, match="has no tab 'Nope'"):
            plan_faults(sandbox, FaultsFile(events=[PlannedEvent(tab="Nope", do="gap", times=1, skip=0)], ahead={}))


def test_a_plan_that_is_wrong_is_told_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "storm.yaml"
    file.write_text("faults:\n  - {crm: zoho, do: explode}\n", encoding="utf-8")
    with served("--faults", str(file)) as (running, told):
        assert running.wait(20) == 1
    assert not told["ok"]
    assert "storm.yaml:2:21: 'explode' is not known here" in told["error"]
