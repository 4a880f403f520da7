"""``renkei topics``: what a project needs on a broker, made once, and refused where it does not fit any more."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.kafka_io import Admin, TopicSpec
from renkei.folder import read_folder
from renkei.streaming import topology_of
from renkei.topology import topics_of
from sandbox.broker.cluster import Cluster
from tests.cli.door import renkei

WORKFLOW = """
workflow: demos
main_tab: deal
tabs:
  deal: {module: zoho.Deals}
  demo: {module: zoho.Demos, related_to: deal, by: Deal}
rules:
  deal:
    - name: ask
      trigger: {becomes: Stage is "Qualified"}
      actions:
        - create: demo
          fields: {Name: "Demo", Status: Requested}
        - notify: dana@example.com
          subject: "Demo wanted"
          text: Please call.
"""


def project(folder: Path, kafka: str) -> Path:
    (folder / "workflows").mkdir(exist_ok=True)
    (folder / "workflows" / "demos.yaml").write_text(WORKFLOW, encoding="utf-8")
    (folder / "renkei.yaml").write_text(
        f"project: topics\nkafka: {{{kafka}}}\nconnections:\n  zoho: {{kind: zoho, url: 'https://zoho.example'}}\n"
        "  mail: {kind: email, url: 'smtp://mail.example', sender: renkei@example.com}\n"
        "  old: {kind: file, files: []}\n",
        encoding="utf-8",
    )
    return folder


def specs(folder: Path) -> dict[str, int]:
    read = read_folder(folder)
    return {spec.name: spec.partitions for spec in topics_of(read, read.compile().book)}


TOPICS = {
    "changes.zoho.Deals": 4, "changes.zoho.Demos": 4, "positions.zoho": 1,
    "commands.zoho": 4, "commands.zoho.bulk": 4, "ledger.zoho": 4,
    "commands.mail": 4, "commands.mail.bulk": 4, "ledger.mail": 4,
    "relations": 4, "journeys": 4, "outcomes": 4, "decisions": 4, "flow.state": 4, "parked": 1, "workflows": 1,
}  # fmt: skip


def test_the_topics_of_a_project_follow_from_its_connections_and_tabs(tmp_path: Path) -> None:
    assert specs(project(tmp_path, "partitions: 4")) == TOPICS


def test_a_spread_project_has_the_same_topics_under_its_prefix(tmp_path: Path) -> None:
    found = specs(project(tmp_path, "partitions: 4, spread: true, prefix: acme."))
    assert found == {f"acme.{name}": count for name, count in TOPICS.items()}


def test_two_copies_have_to_be_in_step_once_there_are_three(tmp_path: Path) -> None:
    for copies, wanted in ((1, "1"), (2, "1"), (3, "2")):
        read = read_folder(project(tmp_path, f"replication: {copies}"))
        found = {spec.settings["min.insync.replicas"] for spec in topics_of(read, read.compile().book)}
        assert found == {wanted}


def test_of_a_history_nothing_is_too_old_and_commands_to_files_are_rehearsed_too(tmp_path: Path) -> None:
    folder = project(tmp_path, "partitions: 4")
    settings = folder / "renkei.yaml"
    settings.write_text(f"{settings.read_text(encoding='utf-8')}history: true\n", encoding="utf-8")
    read = read_folder(folder)
    found = {spec.name: spec.settings for spec in topics_of(read, read.compile().book)}
    assert found.keys() == TOPICS.keys() | {"commands.old", "commands.old.bulk"}
    kept = {one.get("retention.ms") for one in found.values() if one["cleanup.policy"] == "delete"}
    assert kept == {"-1"}


def test_changes_of_one_time_come_in_the_order_of_the_files_where_those_name_their_tabs(tmp_path: Path) -> None:
    folder = project(tmp_path, "partitions: 4")
    (folder / "deals.csv").write_text("id,Stage\n", encoding="utf-8")
    (folder / "demos.csv").write_text("id,Deal,Name,Status\n", encoding="utf-8")
    (folder / "renkei.yaml").write_text(
        "project: topics\nhistory: true\nconnections:\n  mail: {kind: email, url: 'smtp://mail.example'}\n"
        "  zoho: {kind: file, files: [{path: demos.csv, tab: Demos}, {path: deals.csv, tab: Deals}]}\n",
        encoding="utf-8",
    )
    read = read_folder(folder)
    assert topology_of(read, read.compile().book).order() == ["changes.zoho.Demos", "changes.zoho.Deals"]


@pytest.fixture
def cleaning(broker: Cluster, topics: str) -> Iterator[Admin]:
    """A look at the broker; the test's topics are deleted at its end."""
    admin = Admin(f"kafka://{broker.bootstrap}")
    yield admin
    admin.delete([name for name in admin.topics() if name.startswith(topics)])
    admin.close()


def await_setting(admin: Admin, topic: str, wanted: str) -> None:
    """A controller answers before every broker has heard of it."""
    deadline = time.monotonic() + 10
    while admin.settings(topic)["retention.ms"] != wanted:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_topics_are_made_once_and_set_right_and_never_repartitioned(
    tmp_path: Path, broker: Cluster, topics: str, cleaning: Admin
) -> None:
    address = f"kafka://{broker.bootstrap}"
    folder = project(tmp_path, f"partitions: 2, prefix: {topics}")
    made = renkei("topics", str(folder), "--broker", address, "--json")
    assert made.code == 0, made.err
    assert {one["state"] for one in made.json["topics"]} == {"made"}
    assert cleaning.partitions([f"{topics}changes.zoho.Deals"]) == {f"{topics}changes.zoho.Deals": 2}
    assert cleaning.settings(f"{topics}ledger.zoho")["cleanup.policy"] == "compact"
    cleaning.alter(f"{topics}decisions", {"retention.ms": "1000"})
    await_setting(cleaning, f"{topics}decisions", "1000")
    again = renkei("topics", str(folder), "--broker", address, "--json")
    changed = {one["name"] for one in again.json["topics"] if one["state"] != "there"}
    assert changed == {f"{topics}decisions"}
    await_setting(cleaning, f"{topics}decisions", str(400 * 24 * 3600 * 1000))
    refused = renkei("topics", str(folder), "--broker", address, "--partitions", "3")
    assert refused.code == 1
    assert "has 2 partitions, and the project says 3" in refused.err
    assert "the partition count may not change" in refused.err
    assert "partitions: 2" in refused.err


def test_state_of_a_spread_workspace_by_stages_is_never_begun_anew(
    tmp_path: Path, broker: Cluster, topics: str, cleaning: Admin
) -> None:
    cleaning.create([TopicSpec(f"{topics}journeys.state", 2, 1, {})])
    folder = project(tmp_path, f"partitions: 2, spread: true, prefix: {topics}")
    refused = renkei("topics", str(folder), "--broker", f"kafka://{broker.bootstrap}")
    assert refused.code == 1
    assert f"topic {topics}journeys.state holds the state of a spread workspace as an earlier" in refused.err
    assert "another `prefix`" in refused.err
    assert cleaning.partitions([f"{topics}flow.state"]) == {}


def test_without_a_broker_it_says_how_to_name_one(tmp_path: Path) -> None:
    refused = renkei("topics", str(project(tmp_path, "partitions: 2")))
    assert refused.code == 1
    assert "--broker kafka://host:port" in refused.err
