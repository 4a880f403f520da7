"""``renkei run`` as a process of its own: it acts in the practice CRMs, survives ``kill -9``, and stops when asked."""

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests

from sandbox.server import Sandbox
from schemas.values import Value
from tests.lag.scraping import scraped
from tests.live.running import Running, running

WORKFLOW = """
workflow: demos
main_tab: deal
tabs:
  deal: {module: zoho.Deals}
  demo: {module: zoho.Demos, related_to: deal, by: Deal}
teams: {presales: Presales}
rules:
  deal:
    - name: ask-for-demo
      trigger: {becomes: Lead_Status is "Qualified"}
      actions:
        - create: demo
          fields: {Name: "Demo of {{ deal.Deal_Name }}", Status: Requested}
        - notify: team presales
          subject: "Demo wanted: {{ deal.Deal_Name }}"
          text: Please call.
"""


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as there:
        yield there


@pytest.fixture
def folder(tmp_path: Path, sandbox: Sandbox) -> Path:
    user = sandbox.seed.zoho.integration_user
    (tmp_path / "workflows").mkdir()
    (tmp_path / "workflows" / "demos.yaml").write_text(WORKFLOW, encoding="utf-8")
    (tmp_path / "renkei.yaml").write_text(
        "project: live\nconnections:\n"
        f"  zoho: {{kind: zoho, url: '{sandbox.zoho.url}', allow_private: true, key_field: Renkei_Key,"
        f" user: '{user}', poll: 1 second}}\n"
        f"  mail: {{kind: email, url: 'smtp://{sandbox.mail.host}:{sandbox.mail.port}', allow_private: true,"
        " sender: renkei@example.com}\n",
        encoding="utf-8",
    )
    return tmp_path


@pytest.fixture
def start(folder: Path, sandbox: Sandbox) -> Iterator[Callable[[], Running]]:
    """Starts the project."""
    with ExitStack() as opened:
        yield lambda: opened.enter_context(running(folder, sandbox))


def demos(sandbox: Sandbox, deal: str) -> list[Value]:
    return [demo["Name"] for demo in sandbox.zoho.records("Demos") if demo["Deal"] == deal]


def mails(sandbox: Sandbox) -> list[str]:
    return [mail.subject for mail in sandbox.mail.messages()]


def test_what_a_person_edits_leads_to_a_record_and_a_mail_and_it_stops_when_asked(
    sandbox: Sandbox, start: Callable[[], Running]
) -> None:
    before = sandbox.zoho.insert("Deals", {"Deal_Name": "Old", "Stage": "Negotiation", "Lead_Status": "Qualified"})
    run = start()
    hello = run.hello()
    assert hello.startswith("live: 1 rules are live.")
    deal = sandbox.zoho.insert("Deals", {"Deal_Name": "北海道 新規", "Stage": "Negotiation", "Lead_Status": "New"})
    run.until(lambda: any("/Deals/deleted" in call.target for call in sandbox.zoho.faults.calls()), "the first poll")
    sandbox.zoho.update("Deals", deal, {"Lead_Status": "Qualified"})
    run.until(lambda: bool(mails(sandbox)), "the mail to presales")
    assert demos(sandbox, deal) == ["Demo of 北海道 新規"]
    assert mails(sandbox) == ["Demo wanted: 北海道 新規"]
    assert demos(sandbox, before) == [], "what was true before the first load fires nothing (D-82)"
    measured(run, hello.split()[-1].removesuffix("/readyz"))
    run.process.send_signal(signal.SIGTERM)
    assert run.process.wait(timeout=10) == 0


def measured(run: Running, address: str) -> None:
    """The limits, and what was done, are measured without a broker too."""

    def shows(name: str, least: float, **labels: str) -> Callable[[], bool]:
        def is_shown() -> bool:
            sample = scraped(requests.get(f"{address}/metrics", timeout=10).text)
            return (sample(name, **labels) or 0) >= least

        return is_shown

    run.until(shows("renkei_commands_total", 1, connection="zoho", outcome="applied"), "what was applied")
    run.until(
        shows("renkei_limit_spent", 1, **{"connection": "zoho", "class": "rule"}), "what the rules' commands cost"
    )
    run.until(shows("renkei_limit_spent", 1, **{"connection": "zoho", "class": "capture"}), "what watching costs")
    run.until(shows("renkei_limit_concurrency", 1, connection="mail"), "requests at once, of each connection")
    run.until(shows("renkei_connection_up", 1, connection="zoho"), "that it answers")
    run.until(shows("renkei_capture_events_total", 1, connection="zoho", tab="Deals"), "what was captured")
    run.until(shows("renkei_streams_events_total", 1, host="flow", partition="0"), "what the flow has taken")
    assert requests.get(f"{address}/readyz", timeout=10).status_code == 200


def test_kill_9_at_any_moment_loses_nothing_and_does_nothing_twice(
    sandbox: Sandbox, start: Callable[[], Running]
) -> None:
    """G3, fault matrix rows 1-7: killed while commands are on their way, again and again."""
    run = start()
    run.hello()
    deals: list[str] = []
    for number in range(5):
        run.until(lambda: any("/Deals/deleted" in call.target for call in sandbox.zoho.faults.calls()), "a poll")
        deals.append(sandbox.zoho.insert("Deals", {"Deal_Name": f"D{number}", "Stage": "Negotiation"}))
        sandbox.zoho.update("Deals", deals[-1], {"Lead_Status": "Qualified"})
        effects, newest = len(sandbox.zoho.ledger()), deals[-1]
        run.until(
            lambda seen=effects, deal=newest: len(sandbox.zoho.ledger()) > seen or bool(demos(sandbox, deal)),  # type: ignore[misc]
            "an effect of the newest deal",
        )
        run.process.kill()
        run.process.wait()
        sandbox.zoho.faults.forget_calls()
        run = start()
        run.hello()
    run.until(lambda: all(demos(sandbox, deal) for deal in deals), "a demo for every deal")
    run.until(lambda: len(set(mails(sandbox))) == len(deals), "a mail for every deal")
    assert [demos(sandbox, deal) for deal in deals] == [[f"Demo of D{number}"] for number in range(5)]


def test_who_waits_for_one_that_dies_learns_it_at_once_and_why(folder: Path, start: Callable[[], Running]) -> None:
    (folder / "workflows" / "demos.yaml").write_text(WORKFLOW.replace("zoho.Demos", "zoo.Demos"), encoding="utf-8")
    with pytest.raises(AssertionError, match=r"ended with 1, and not seen before: nothing(?s:.*)connection 'zoo'"):
        start().until(lambda: False, "nothing")
