"""A full run with marked secrets and marked field values: neither comes out where nobody may read it.

Secrets stand nowhere but in their own places. Field values stand in the log of changes and commands, which is what a
run is made of, and nowhere in what an operator is told: output, logs, metrics, parked messages, reasons of outcomes.
"""

import logging
import os
import sqlite3
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from connectors.credentials import SecretFile
from connectors.ledger import Ledger
from renkei.folder import read_folder
from renkei.observing import observed
from renkei.runner import Runner
from renkei.wiring import FILE, locked, parts
from sandbox.faults import Fault
from sandbox.server import Sandbox
from schemas.commands import Applied
from streams.history import reading
from streams.parking import parked_messages
from tests.cli.door import renkei

VALUE = "canary-値-7731"
"""Stands in every text that a person types."""
ENOUGH = 10
"""Effects, beside all that goes wrong on purpose."""
LONG = f"{VALUE} {'長い' * 30} end"
SETTINGS = """
project: canaries
connections:
  zoho: {{kind: zoho, url: '{zoho}', allow_private: true, key_field: Renkei_Key, user: '{robot}', poll: 1 second}}
  salesforce: {{kind: salesforce, url: '{salesforce}', login: client_credentials, allow_private: true,
    key_field: Renkei_Key__c, poll: 1 second}}
  vtiger: {{kind: vtiger, url: '{vtiger}', allow_private: true, key_field: cf_renkei_key, poll: 1 second}}
  mail: {{kind: email, url: 'smtp://{mail}', allow_private: true, sender: renkei@example.com}}
  old: {{kind: file, files: [{{path: old.jsonl}}]}}
"""
WORKFLOW = """
workflow: canaries
main_tab: deal
tabs:
  deal: {module: zoho.Deals}
  demo: {module: zoho.Demos, related_to: deal, by: Deal}
  contract: {module: salesforce.Contract, match: {Zoho_Deal_Id__c: deal.id}}
  project: {module: vtiger.Project, match: {cf_origin_deal: deal.id}}
  past: {module: old.Deals, match: {Name: deal.Deal_Name}}
rules:
  deal:
    - name: spread
      trigger: created_or_edited
      criteria: deal.Lead_Status is "Qualified"
      actions:
        - create: demo
          on_error: continue
          fields: {Name: "Demo of {{ deal.Deal_Name }}", Status: "{{ deal.Deal_Name }}"}
        - create: demo
          on_error: continue
          fields: {Name: "{{ deal.Deal_Name }}"}
        - create: contract
          on_error: continue
          fields: {AccountId: 0015g000000001dAAA, Status: "{{ deal.Deal_Name }}", Zoho_Deal_Id__c: "{{ deal.id }}"}
        - create: contract
          on_error: continue
          fields: {AccountId: 0015g000000001dAAA, Status: Draft, Zoho_Deal_Id__c: "{{ deal.Deal_Name }}"}
        - create: project
          on_error: continue
          fields: {projectname: "{{ deal.Deal_Name }}", cf_origin_deal: "{{ deal.id }}"}
        - notify: sato@example.com
          subject: "{{ deal.Deal_Name }}"
          text: "{{ deal.Deal_Name }}"
"""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


@pytest.fixture
def folder(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "workflows").mkdir()
    (tmp_path / "workflows" / "canaries.yaml").write_text(WORKFLOW, encoding="utf-8")
    urls = {crm.kind: crm.url for crm in (sandbox.zoho, sandbox.salesforce, sandbox.vtiger)}
    mail, robot = f"{sandbox.mail.host}:{sandbox.mail.port}", sandbox.seed.zoho.integration_user
    told = SETTINGS.format(**urls, mail=mail, robot=robot)
    (tmp_path / "renkei.yaml").write_text(told, encoding="utf-8")
    broken = f'{{"tab": "old:Deals", "record_id": "1", "op": "{VALUE}"}}\n{{"after": "{VALUE}\nplain {VALUE}\n'
    (tmp_path / "old.jsonl").write_text(broken, encoding="utf-8")
    file = SecretFile(tmp_path / ".renkei" / "credentials.yaml")
    for crm in (sandbox.zoho, sandbox.salesforce):
        file.keep(crm.kind, crm.credentials)
    for name, value in sandbox.vtiger.credentials.items():
        monkeypatch.setenv(f"RENKEI_VTIGER_{name.upper()}", value)
    return tmp_path


def secrets(sandbox: Sandbox, folder: Path) -> set[str]:
    """Every secret of the run: those that were given, and the tokens that were got with them."""
    given = {value for crm in (sandbox.zoho, sandbox.salesforce, sandbox.vtiger) for value in crm.credentials.values()}
    tokens = [file.read_text() for file in (folder / ".renkei" / "tokens").glob("*.json")]
    got = {text.split('"value":"')[1].split('"')[0] for text in tokens if '"value":"' in text}
    return (given | got) - {"admin", sandbox.vtiger.credentials["username"], sandbox.zoho.credentials["client_id"]}


def what_goes_wrong(sandbox: Sandbox) -> None:
    """Refusals, lost answers, and tokens that end, while everything is on its way."""
    for crm in (sandbox.zoho, sandbox.salesforce, sandbox.vtiger):
        crm.faults.add(Fault(do="expire_token", skip=2, times=2))
        crm.faults.add(Fault(do="status", status=500, skip=3, times=1))
        crm.faults.add(Fault(do="reset_after", skip=5, times=2))
        crm.faults.add(Fault(do="short_answer", skip=8, times=1))
        crm.faults.add(Fault(do="status", status=429, skip=9, times=1))


def edit(sandbox: Sandbox, count: int) -> None:
    """A person types."""
    for number in range(count):
        name = f"{LONG} {number}" if number % 2 else f"{VALUE} {number}"
        told = {"Deal_Name": name, "Stage": "Negotiation", "Lead_Status": "Qualified"}
        sandbox.zoho.insert("Deals", told)


def test_no_secret_and_no_field_value_comes_out_of_a_full_run(
    sandbox: Sandbox, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    told = [renkei("check", folder), renkei("run", folder, "--once")]
    edit(sandbox, 4)
    what_goes_wrong(sandbox)
    told += [renkei("run", folder, "--once") for _ in range(2)]
    metrics, problems = _lively(sandbox, folder)
    for crm in (sandbox.zoho, sandbox.salesforce, sandbox.vtiger):
        crm.faults.clear()
    told += [renkei(word, folder, "--json") for word in ("check", "status", "parked", "unknown", "doctor", "explain")]
    told += [renkei(word, folder) for word in ("status", "parked", "unknown", "doctor")]
    SecretFile(folder / ".renkei" / "credentials.yaml").keep("zoho", {"refresh_token": "another-canary"})
    (folder / ".renkei" / "tokens" / "zoho.json").unlink()
    told += [renkei("doctor", folder), renkei("check", folder)]
    shown = "\n".join([metrics, *problems, *_logged(caplog), *(one.out + one.err for one in told), *_reasons(folder)])
    _is_worth_something(folder, shown)
    for secret in {*secrets(sandbox, folder), "another-canary"}:
        assert secret not in shown
        assert _holding(folder / ".renkei", secret) <= {
            "credentials.yaml",
            "zoho.json",
            "salesforce.json",
            "vtiger.json",
        }
    assert VALUE not in shown
    assert VALUE.encode().decode("latin-1") not in shown
    assert VALUE.encode("unicode_escape").decode() not in shown


def _lively(sandbox: Sandbox, folder: Path) -> tuple[str, list[str]]:
    """All parts in their threads, with the pages of an operator beside them: the metrics, and what was wrong."""
    project = read_folder(folder)
    with locked(project.state) as file, observed("127.0.0.1", 0) as seen:
        clock = sandbox.clock.now
        runner = Runner(parts(project, project.compile().book, file, clock), clock)
        runner.start()
        try:
            edit(sandbox, 2)
            problems: list[str] = []
            for turn in range(900):
                if turn >= 30 and _done(folder) > ENOUGH:
                    break
                runner.wait(0.1)
                sandbox.clock.advance(10_000)
                problems += runner.problems.values()
                seen.look(runner)
            with urllib.request.urlopen(f"{seen.address}/metrics") as page:
                return page.read().decode(), problems
        finally:
            runner.stop()
            assert runner.failure is None


def _logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was logged on our side; the servers of the sandbox are the CRMs' side, and know what they were asked."""
    theirs = ("uvicorn", "mail.log")
    return [caplog.handler.format(one) for one in caplog.records if not one.name.startswith(theirs)]


def _reasons(folder: Path) -> list[str]:
    """Every reason that the state holds: of outcomes, of what was parked, of decisions."""
    store = reading(folder / ".renkei" / FILE)
    found = [f"{one.why} {one}" for one in parked_messages(store)]
    ids = [row[0] for row in store.database.execute("SELECT command_id FROM ledger")]
    store.close()
    with closing(sqlite3.connect(folder / ".renkei" / FILE)) as database:
        for name in ("zoho", "salesforce", "vtiger", "mail"):
            entries = Ledger(database, name).entries(ids)
            found += [repr(one.outcome) for one in entries.values() if not isinstance(one.outcome, Applied | None)]
    return found


def _is_worth_something(folder: Path, shown: str) -> None:
    """The run did what it is looked at for: effects, refusals, parked lines, troubles."""
    assert _done(folder) > ENOUGH
    for word in (
        "Rejected(",
        "old.jsonl",
        "did not answer",
        "login was refused",
        "renkei_capture_events",
    ):
        assert word in shown, word


def _done(folder: Path) -> int:
    with closing(sqlite3.connect(folder / ".renkei" / FILE)) as database:
        (count,) = database.execute("SELECT count(*) FROM ledger WHERE state = 'done'").fetchone()
    return int(count)


def _holding(state: Path, secret: str) -> set[str]:
    """The files below a folder in which a secret stands."""
    files = (Path(base) / name for base, _, names in os.walk(state) for name in names)
    return {file.name for file in files if secret.encode() in file.read_bytes()}
