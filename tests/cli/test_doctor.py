"""``renkei doctor`` and drift: what is wrong with a connection, which rules it breaks, and what to do next."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from connectors.dialling import dial
from renkei.checking import refreshed
from renkei.doctor import Finding, examined
from renkei.drift import changes
from renkei.folder import Folder, read_folder, with_metadata
from renkei.limiting import Limiting
from renkei.parts import position_note
from renkei.wiring import FILE, metadata_part
from rules.errors import WorkflowError
from sandbox.faults import Fault
from sandbox.salesforce.emulator import Salesforce
from sandbox.server import Sandbox
from schemas.metadata import ConnectionMetadata, Field, Tab, Team, User
from schemas.values import HOUR
from streams.store import Store
from tests.cli.door import renkei
from tests.sandbox.zoho_seed import journey

SETTINGS = """
project: shop
connections:
  zoho: {{kind: zoho, url: '{url}', allow_private: true, key_field: Renkei_Key, poll: 1 minute,
         may_delete: {may_delete}}}
  mail: {{kind: email, url: 'smtp://{mail}', allow_private: true, sender: a@example.com}}
"""
WORKFLOW = """
workflow: demos
main_tab: deal
tabs:
  deal: {module: zoho.Deals}
  demo: {module: zoho.Demos, related_to: deal, by: Deal}
rules:
  deal:
    - name: ask-for-demo
      trigger: {becomes: Lead_Status is "Qualified"}
      actions:
        - create: demo
          fields: {Name: "Demo of {{ deal.Deal_Name }}", Status: Requested}
    - name: tell
      trigger: {field_updated: Stage}
      actions: [{notify: sato@example.com, subject: "{{ deal.Amount }}", text: x}]
"""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


@pytest.fixture
def folder(sandbox: Sandbox, tmp_path: Path) -> Folder:
    """A project that has learned what its CRM holds."""
    return project_of(sandbox, tmp_path, WORKFLOW)


def project_of(sandbox: Sandbox, path: Path, workflow: str, may_delete: str = "[]") -> Folder:
    (path / "workflows").mkdir()
    (path / "workflows" / "demos.yaml").write_text(workflow, encoding="utf-8")
    mail = f"{sandbox.mail.host}:{sandbox.mail.port}"
    settings = SETTINGS.format(url=sandbox.zoho.url, mail=mail, may_delete=may_delete)
    (path / "renkei.yaml").write_text(settings, encoding="utf-8")
    secrets = {f"RENKEI_ZOHO_{name.upper()}": value for name, value in sandbox.zoho.credentials.items()}
    return with_metadata(read_folder(path, secrets), {"zoho": known_of(sandbox)})


def known_of(sandbox: Sandbox) -> ConnectionMetadata:
    """What the practice Zoho says of the two tabs, as a run of ``renkei check`` learns it."""
    whole: ConnectionMetadata = sandbox.seed.zoho.metadata("zoho")
    return whole.model_copy(update={"tabs": {name: whole.tabs[name] for name in ("Deals", "Demos")}, "teams": ()})


def learned(folder: Folder, change: Callable[[dict[str, Any]], None]) -> Folder:
    """The folder as if something had been learned otherwise."""
    told = folder.metadata["zoho"].model_dump(mode="json")
    change(told)
    return with_metadata(folder, {"zoho": ConnectionMetadata.model_validate(told)})


def broken(found: list[Finding]) -> list[str]:
    return [f"{one.connection} {one.check}: {one.words} -> {one.next}" for one in found if one.grade == "broken"]


def words(found: list[Finding], check: str) -> str:
    return " / ".join(f"{one.grade}: {one.words}" for one in found if one.check == check)


def test_a_healthy_project_is_well(folder: Folder) -> None:
    found = list(examined(folder))
    assert [one for one in found if one.grade != "ok"] == []
    assert words(found, "login") == "ok: the login works"
    assert words(found, "metadata") == "ok: as it was learned today"
    assert words(found, "clock").startswith("ok: our clock and theirs differ by")


def test_the_command_names_the_next_step_and_its_exit_code_tells(folder: Folder) -> None:
    answer = renkei("doctor", folder.path, "--json")
    assert answer.code == 1
    assert answer.json["ok"] is False
    assert answer.json["next"] == "renkei connect zoho --name zoho", "the environment of this test has no secrets"
    said = renkei("doctor", folder.path)
    assert "BROKEN zoho login: connection 'zoho' has no 'client_id'" in said.out
    assert "ok     mail address: 127.0.0.1 answers" in said.out
    assert said.out.endswith("1 broken, 0 to look at.\nNext: renkei connect zoho --name zoho\n")


def test_refused_credentials_say_how_to_renew_them(folder: Folder) -> None:
    wrong = Folder(
        folder.path, folder.settings, folder.metadata, {**folder.environment, "RENKEI_ZOHO_REFRESH_TOKEN": "x"}
    )
    (problem,) = broken(list(examined(wrong)))
    assert "login was refused (invalid_code)" in problem
    assert problem.endswith("-> renkei connect zoho --name zoho")


PLAIN = "[{notify: sato@example.com, subject: x, text: x}]"


@pytest.mark.parametrize(
    ("actions", "needed"),
    [
        (PLAIN, []),
        ("[{delete: deal}]", ["ZohoCRM.modules.Deals.DELETE"]),
        ("[{delete: demo}]", []),
        ("[{email: a@example.com, on: deal, subject: x, text: x}]", ["ZohoCRM.send_mail.all.CREATE"]),
        ("[{tag: deal, tags: [受注]}]", ["ZohoCRM.modules.Deals.UPDATE"]),
    ],
)
def test_a_missing_permission_is_broken_only_where_a_rule_needs_it(
    tmp_path: Path, actions: str, needed: list[str]
) -> None:
    everything_else = (
        "ZohoCRM.settings.ALL", "ZohoCRM.users.READ", "ZohoCRM.coql.READ", "ZohoCRM.modules.Demos.ALL",
        "ZohoCRM.modules.Deals.READ", "ZohoCRM.modules.Deals.CREATE",
    )  # fmt: skip
    rules = WORKFLOW.partition("rules:")[0] + (
        'rules:\n  deal:\n    - {name: end, trigger: {becomes: Stage is "Closed Lost"}, actions: ' + actions + "}\n"
    )
    with Sandbox(journey(scopes=everything_else)) as poor:
        folder = project_of(poor, tmp_path, rules, may_delete="[Deals, Demos]")
        found = [one for one in examined(folder) if one.check == "permissions"]
    scopes = {one.words.split()[2]: one.grade for one in found}
    assert set(scopes) == {
        "ZohoCRM.modules.Deals.DELETE", "ZohoCRM.send_mail.all.CREATE", "ZohoCRM.modules.Deals.UPDATE"
    }  # fmt: skip
    assert [scope for scope, grade in scopes.items() if grade == "broken"] == needed


SALESFORCE_WORKFLOW = "workflow: w\nmain_tab: a\ntabs:\n  a: {module: salesforce.Contract}\nrules:\n  a: []\n"


def salesforce_folder(sandbox: Sandbox, path: Path, workflow: str) -> Folder:
    settings = (
        "project: shop\nconnections:\n  salesforce: {{kind: salesforce, url: '{}', login: client_credentials,"
        " allow_private: true, options: {{capture: pubsub, pubsub_url: '{}'}}}}\n"
    )
    (path / "workflows").mkdir()
    (path / "workflows" / "w.yaml").write_text(workflow, encoding="utf-8")
    (path / "renkei.yaml").write_text(settings.format(sandbox.salesforce.url, sandbox.pubsub.url), encoding="utf-8")
    secrets = {f"RENKEI_SALESFORCE_{name.upper()}": value for name, value in sandbox.salesforce.credentials.items()}
    return read_folder(path, secrets)


def test_an_object_without_change_events_is_told_before_a_run_watches_it(sandbox: Sandbox, tmp_path: Path) -> None:
    """``capture: pubsub`` needs the object to be selected for Change Data Capture; polling needs nothing."""
    folder = salesforce_folder(sandbox, tmp_path, SALESFORCE_WORKFLOW)
    assert broken(list(examined(folder))) == []
    selected = sandbox.pubsub.service._topics
    topic = selected.pop("/data/ContractChangeEvent")
    try:
        (problem,) = broken(list(examined(folder)))
    finally:
        selected["/data/ContractChangeEvent"] = topic
    assert problem.startswith("salesforce capture: Contract: Pub/Sub refused the subscription (topic.not.found)")
    assert "select the object for Change Data Capture" in problem


@pytest.mark.parametrize(
    ("criteria", "grade"), [('a.Status is "Draft"', "ok"), ('a.OwnerId in role "Sales"', "broken")]
)
def test_roles_must_be_seen_where_a_condition_asks_for_them(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, criteria: str, grade: str
) -> None:
    workflow = SALESFORCE_WORKFLOW.replace(
        "  a: []", f"  a:\n    - {{name: r, trigger: created, criteria: '{criteria}', actions: {PLAIN}}}"
    )
    folder = salesforce_folder(sandbox, tmp_path, workflow)
    emulator = sandbox.salesforce._emulator
    assert isinstance(emulator, Salesforce)
    monkeypatch.delitem(emulator.tables, "UserRole")
    found = words(list(examined(folder)), "permissions")
    assert found.startswith(f"{grade}: The user may not read roles (UserRole)")


def test_permissions_that_could_not_be_asked_are_not_taken_for_granted(folder: Folder, sandbox: Sandbox) -> None:
    sandbox.zoho.faults.add(Fault("reset_before", where="^POST .*/coql"))
    found = list(examined(folder))
    assert words(found, "permissions").startswith("warning: what the login may not do could not be asked: connection")
    assert words(list(examined(folder)), "permissions") == ""


def test_a_credentials_file_that_others_can_read_is_told(folder: Folder) -> None:
    file = folder.state / "credentials.yaml"
    file.write_text("zoho: {}\n")
    file.chmod(0o644)
    assert "chmod 600" in " ".join(broken(list(examined(folder))))


@pytest.mark.parametrize(
    ("off", "grade"), [(0, "ok"), (45, "warning"), (-45, "warning"), (600, "broken"), (-86_400, "broken")]
)
def test_a_clock_that_is_wrong_is_told(folder: Folder, off: int, grade: str) -> None:
    found = words(list(examined(folder, clock=lambda: time.time() + off)), "clock")
    assert found.startswith(f"{grade}: our clock and theirs differ by")


@pytest.mark.parametrize(
    ("change", "says", "rules"),
    [
        (lambda zoho: zoho["tabs"]["Deals"]["fields"].update(Lead_Status_Old={"name": "Lead_Status_Old"}), "", ""),
        (lambda zoho: zoho["tabs"]["Deals"]["fields"]["Lead_Status"].update(type="text"),
         "zoho.Deals.Lead_Status: the field was of type text and is of type", "demos/ask-for-demo"),
        (lambda zoho: zoho["tabs"]["Demos"]["fields"]["Status"].update(values=["Requested", "Old"]),
         "", ""),
        (lambda zoho: zoho["tabs"]["Demos"]["fields"]["Name"].update(mandatory=False), "", ""),
        (lambda zoho: zoho["tabs"]["Demos"]["fields"]["Deal"].update(type="text"),
         "zoho.Demos.Deal: the field was of type text and is of type lookup", "demos/ask-for-demo, demos/tell"),
    ],
)  # fmt: skip
def test_drift_names_the_rules_that_it_would_break(
    folder: Folder, change: Callable[[dict[str, Any]], None], says: str, rules: str
) -> None:
    found = broken(list(examined(learned(folder, change))))
    if says:
        assert len(found) == 1
        assert says in found[0]
        assert f"rules that rely on it: {rules} -> Mend the rules" in found[0]
    else:
        assert found == [], "a difference that concerns no rule is not told as broken"


def test_check_tells_drift_before_it_learns_anew(
    sandbox: Sandbox, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in folder.environment.items():
        monkeypatch.setenv(name, value)
    learned(folder, lambda zoho: zoho["tabs"]["Deals"]["fields"]["Stage"].update(type="number"))
    first, second = (renkei("check", folder.path, "--json").json["problems"] for _ in range(2))
    (told,) = (one for one in first if "Stage" in one["problem"])
    assert told["problem"] == "zoho.Deals.Stage: the field was of type number and is of type picklist now"
    assert told["hint"] == "Rules that rely on it: demos/tell."
    assert not [one for one in second if "Stage" in one["problem"]], "told once, then learned"


def test_a_run_that_begins_tells_drift_and_one_crm_holds_no_other_up(folder: Folder) -> None:
    said: list[str] = []
    fresh = refreshed(
        learned(folder, lambda zoho: zoho["tabs"]["Deals"]["fields"]["Stage"].update(type="number")), said.append
    )
    differs = "zoho.Deals.Stage: the field was of type number and is of type picklist now"
    assert said == [f"{differs}\n  Rules that rely on it: demos/tell."]
    assert fresh.metadata["zoho"].tabs["Deals"].fields["Stage"].type == "picklist"

    locked_out = replace(folder, environment={**folder.environment, "RENKEI_ZOHO_REFRESH_TOKEN": "wrong"})
    said.clear()
    assert refreshed(locked_out, said.append).metadata == folder.metadata
    assert "login was refused (invalid_code)" in said[0]
    assert "what was learned before is used" in said[0]
    with pytest.raises(WorkflowError, match="login was refused"):
        refreshed(locked_out, said.append, strict=True)
    with pytest.raises(WorkflowError, match="login was refused"):
        refreshed(replace(locked_out, metadata={}), said.append)


def test_drift_is_told_while_a_project_runs(folder: Folder, sandbox: Sandbox) -> None:
    """As row G16: a rule is flagged at the next look, not silently dead."""
    before = learned(folder, lambda zoho: zoho["tabs"]["Deals"]["fields"]["Stage"].update(type="number"))
    part = metadata_part(before, before.compile().book, folder.state / FILE, lambda: 0, Limiting(before))
    begun = len(sandbox.zoho.faults.calls())
    assert [part.turn(now).problem for now in (1_000, HOUR)] == ["", ""]
    assert len(sandbox.zoho.faults.calls()) == begun, "a run that begins has just looked itself"
    problem = part.turn(HOUR + 1_000).problem
    assert "zoho.Deals.Stage: the field was of type number and is of type picklist now (rules: demos/tell)" in problem
    assert problem.endswith("mend the rules or the CRM: renkei doctor")
    looked = len(sandbox.zoho.faults.calls())
    assert part.turn(HOUR + 2_000).problem == problem, "it stays told until it is mended"
    assert len(sandbox.zoho.faults.calls()) == looked
    part.close()


def of(connection: str = "zoho", users: tuple[User, ...] = (), teams: tuple[Team, ...] = (), **fields: Field) -> Any:
    tabs = {"Deals": Tab(name="Deals", fields=fields)}
    return ConnectionMetadata(connection=connection, tabs=tabs, users=users, teams=teams)


ANN, GONE = User(id="1", email="ann@example.com"), User(id="2", email="gone@example.com")
STAGE = Field(name="Stage", type="picklist", values=("New", "受注"))
NO_TAB = "zoho.Deals: the tab is gone, or the login may not see it"
SALES = Team(id="1", name="Sales")


def stage(**told: Any) -> Any:
    return of(Stage=STAGE.model_copy(update=told))


@pytest.mark.parametrize(
    ("before", "now", "says"),
    [
        (stage(), stage(), ""),
        (stage(), of(), NO_TAB),
        (stage(), ConnectionMetadata(connection="zoho"), NO_TAB),
        (
            of(Stage=STAGE, Old=Field(name="Old")),
            stage(),
            "zoho.Deals.Old: the field is gone, or the login may not see it",
        ),
        (stage(), stage(values=("New",)), "zoho.Deals.Stage: the value '受注' is gone"),
        (stage(), stage(values=()), ""),
        (stage(), stage(type="unknown"), ""),
        (stage(), stage(writable=False), "zoho.Deals.Stage: the field can no longer be written"),
        (stage(), of(Stage=STAGE, New=Field(name="New")), ""),
        (
            stage(),
            of(Stage=STAGE, New=Field(name="New", mandatory=True)),
            "zoho.Deals.New: new records must have this field now",
        ),
        (of(users=(ANN, GONE)), of(users=(ANN,)), "zoho: user 2 is gone"),
        (of(users=(ANN,)), of(users=(ANN.model_copy(update={"active": False}),)), "zoho: user 1 is inactive now"),
        (of(users=(ANN,)), of(), ""),
        (
            of(teams=(SALES,)),
            of(teams=(SALES.model_copy(update={"name": "Verkauf"}),)),
            "zoho: team 'Sales' is gone or has another name",
        ),
    ],
)
def test_what_counts_as_a_difference(before: ConnectionMetadata, now: ConnectionMetadata, says: str) -> None:
    assert " ".join(f"{one.place}: {one.words}" for one in changes(before, now)) == says


def test_a_user_whom_a_rule_names_and_who_left_is_told(folder: Folder) -> None:
    def left(zoho: dict[str, Any]) -> None:
        zoho["users"].append({"id": "99", "email": "sato@example.com", "name": "Sato", "active": True})

    found = list(examined(learned(folder, left)))
    assert "warning: zoho: user 99 is gone; rules that rely on it: demos/tell" in words(found, "metadata")


def test_a_tab_that_was_not_asked_for_long_is_told(folder: Folder) -> None:
    store = Store(folder.state / FILE)
    with store.transaction():
        store.set_note(position_note("zoho:Deals"), b'{"polled_at": 1000}')
        store.set_note(position_note("zoho:Demos"), b"opaque")
    store.close()
    found = words(list(examined(folder)), "capture")
    assert found.startswith("warning: Deals was last asked for changes")
    assert "Demos" not in found


# -- the way there ------------------------------------------------------------------


@contextmanager
def listening(certificate: trustme.LeafCert | None) -> Iterator[int]:
    """A server on the loopback that greets once, with or without TLS."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_greet, args=(listener, certificate))
        thread.start()
        yield listener.getsockname()[1]
        thread.join(10)


def _greet(listener: socket.socket, certificate: trustme.LeafCert | None) -> None:
    plain, _ = listener.accept()
    with plain:
        if certificate is None:
            plain.sendall(b"220 hello\r\n")
            return
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        certificate.configure_cert(context)
        with context.wrap_socket(plain, server_side=True) as secret, suppress(ConnectionResetError):
            secret.recv(1)  # whoever only looks hangs up without a goodbye


def test_the_way_to_a_server_is_looked_at_before_anything_is_sent() -> None:
    ends = datetime.now(UTC) + timedelta(days=5)
    certificate = trustme.CA().issue_cert("127.0.0.1", not_after=ends)
    with listening(certificate) as port:
        found = dial(f"https://127.0.0.1:{port}", allow_private=True)
    assert not found.problem
    assert found.ends_at == int(ends.timestamp()) * 1000
    with listening(None) as port:
        assert dial(f"https://127.0.0.1:{port}", allow_private=True).check == "tls"
    with listening(None) as port:
        assert dial(f"smtp://127.0.0.1:{port}", allow_private=False).problem == "it leads to a private address"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://crm.example", "only https may be used"), ("crm.example", "no url"), ("https://[::1", "no url"),
        ("https://x:port", "no url"), ("https://nowhere.invalid", "no such name"),
        ("https://127.0.0.1:1", "nobody answers at port 1 (ConnectionRefusedError)"),
    ],
)  # fmt: skip
def test_a_way_that_leads_nowhere_says_why(url: str, says: str) -> None:
    found = dial(url, allow_private=False)
    assert says in found.problem
    assert found.next
