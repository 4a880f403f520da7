"""A history of several files: one time line, first loads before it, and commands that are rehearsed."""

from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.file import JsonLines
from renkei.folder import read_folder
from renkei.history import HistoryPart
from renkei.parts import Watched
from renkei.wiring import stages_of
from schemas import topics
from schemas.codec import to_json
from schemas.values import SECOND, parse_instant
from streams import wire
from streams.rehearsal import Rehearsal
from streams.store import Store
from tests.real_input.projects import Log, project, run

START = parse_instant("2026-01-05T09:00:00Z")
WORKFLOW = """
workflow: projects
main_tab: deal
tabs:
  deal:    {module: sales.Deals}
  project: {module: delivery.Projects, related_to: deal, by: Deal}
rules:
  deal:
    - name: start
      trigger: {becomes: Stage is "Won" and no project}
      actions:
        - {create: project, fields: {Name: "{{ deal.Name }}"}}
        - {notify: ann@example.com, subject: "{{ steps.project.id }}", text: started}
    - name: remind
      trigger: {becomes: Stage is "Open"}
      scheduled_actions:
        - {after: 2 days, actions: [{notify: ann@example.com, subject: open, text: "{{ deal.id }}"}]}
"""
SETTINGS = """
project: history
history: true
connections:
  sales: {kind: file, files: [{path: sales.jsonl}]}
  delivery: {kind: file, files: [{path: delivery.jsonl}]}
  mail: {kind: email}
"""


def line(tab: str, name: str, at: str | int, op: str = "create", *, load: bool = False, **fields: object) -> bytes:
    """One line of a file."""
    told = {"tab": tab, "record_id": name, "op": op, "committed_at": at, "after": {"id": name, **fields}, "load": load}
    return to_json(told) + b"\n"


def told(tmp_path: Path, sales: bytes, delivery: bytes = b"") -> Log:
    """The log of a history that was run to rest."""
    files: dict[str, str | bytes] = {"renkei.yaml": SETTINGS, "workflows/w.yaml": WORKFLOW, "sales.jsonl": sales}
    files["delivery.jsonl"] = delivery
    folder = read_folder(project(tmp_path, files))
    run(folder)
    return Log(folder)


def test_times_of_the_files_drive_the_clock(tmp_path: Path) -> None:
    log = told(
        tmp_path,
        line("sales:Deals", "1", "2026-01-05", Stage="Open")
        + line("sales:Deals", "2", "2026-01-06", Stage="Open")
        + line("sales:Deals", "1", "2026-01-07", "update", Stage="Lost")
        + line("sales:Deals", "3", "2026-01-09", Stage="Lost"),
    )
    # The first one closes at the very instant at which its reminder is due: nobody needs it any more.
    assert [(one.anchor, one.planned_at) for one in log.commands] == [("sales:Deals/2", parse_instant("2026-01-08"))]


def test_what_has_not_happened_yet_is_not_foretold(tmp_path: Path) -> None:
    assert not told(tmp_path, line("sales:Deals", "1", "2026-01-05", Stage="Open")).commands


def test_a_tab_without_records_is_known_to_have_none(tmp_path: Path) -> None:
    log = told(tmp_path, line("sales:Deals", "1", "2026-01-05", Stage="Won"))
    assert [one.operation for one in log.commands] == ["create", "notify"]


def test_a_tab_is_known_before_its_first_event(tmp_path: Path) -> None:
    other = line("delivery:Projects", "P", "2026-01-08", Deal="2")
    log = told(tmp_path, line("sales:Deals", "1", "2026-01-05", Stage="Won"), other)
    assert [(one.operation, one.planned_at) for one in log.commands] == [
        ("create", parse_instant("2026-01-05")),
        ("notify", parse_instant("2026-01-05")),
    ]


def test_the_events_of_two_files_come_in_the_order_of_their_times(tmp_path: Path) -> None:
    first = line("delivery:Projects", "P", "2026-01-05T10:00:00Z", Deal="1")
    log = told(tmp_path, line("sales:Deals", "1", "2026-01-05T11:00:00Z", Stage="Won"), first)
    assert not log.commands
    log = told(tmp_path / "after", line("sales:Deals", "1", "2026-01-05T09:00:00Z", Stage="Won"), first)
    assert len(log.commands) == 2


def test_a_first_load_is_no_creation_and_is_known_before_the_first_event(tmp_path: Path) -> None:
    log = told(
        tmp_path,
        line("sales:Deals", "1", "2026-01-04", load=True, Stage="Won")
        + line("sales:Deals", "2", "2026-01-04", load=True, Stage="Open")
        + line("sales:Deals", "2", "2026-01-05", "update", Stage="Won"),
    )
    assert {one.anchor for one in log.commands} == {"sales:Deals/2"}


def test_a_rehearsed_step_lets_the_next_one_run(tmp_path: Path) -> None:
    create, mail = told(tmp_path, line("sales:Deals", "1", "2026-01-05", Stage="Won")).commands
    assert mail.fields["subject"] == f"rehearsed-{create.id}"


def test_only_a_history_is_rehearsed(tmp_path: Path) -> None:
    files = {"renkei.yaml": SETTINGS, "workflows/w.yaml": WORKFLOW}
    assert Rehearsal in stages_of(read_folder(project(tmp_path, files)))
    files["renkei.yaml"] = SETTINGS.replace("history: true", "history: false")
    assert Rehearsal not in stages_of(read_folder(project(tmp_path, files)))


# -- several files, read in pages and again -----------------------------------------


TIMES = st.lists(st.integers(0, 9), max_size=12)


def _part(folder: Path, files: list[list[int]], store: Store) -> HistoryPart:
    watched = [
        Watched(f"f{number}", JsonLines(folder / f"{number}.jsonl", history=True, limit=3), (f"f{number}:Deals",))
        for number in range(len(files))
    ]
    return HistoryPart(watched, store, slice_=4)


def _log(store: Store) -> list[tuple[str, str, int]]:
    entries = [one for topic in store.topics("changes.") for one in store.read(topic)]
    return [(one.topic, one.key, one.at) for one in sorted(entries, key=lambda one: one.seq)]


@settings(max_examples=60)
@given(st.lists(TIMES, min_size=1, max_size=4), st.booleans())
def test_times_never_go_back_and_a_restart_at_any_turn_changes_nothing(files: list[list[int]], ordered: bool) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        for number, times in enumerate(files):
            lines = [
                line(f"f{number}:Deals", str(index), START + at * SECOND)
                for index, at in enumerate(sorted(times) if ordered else times)
            ]
            (folder / f"{number}.jsonl").write_bytes(b"".join(lines))
        calm, restarted = Store(":memory:"), Store(":memory:")
        part = _part(folder, files, calm)
        while part.turn(0).busy:
            pass
        for _ in range(sum(map(len, files)) + 2 * len(files)):
            _part(folder, files, restarted).turn(0)
        assert _log(restarted) == _log(calm)
        _check(_log(calm), files, ordered)
        calm.close()
        restarted.close()


def _check(log: list[tuple[str, str, int]], files: list[list[int]], ordered: bool) -> None:
    events = [(topic, key, at) for topic, key, at in log if key != wire.MARKER]
    assert len(events) == sum(map(len, files))
    if ordered:
        assert all(one[2] <= other[2] for one, other in pairwise(events))
    for number in range(len(files)):
        keys = [key for topic, key, _ in log if topic == topics.changes(f"f{number}:Deals")]
        assert keys == [wire.MARKER, *map(str, range(len(files[number])))]  # known once, and before the first event
