"""What survives when the process ends, when a changed workflow is published, and when history is folded again."""

from pathlib import Path

from rules.book import Book
from rules.project import Project
from rules.publishing import publish
from schemas import topics
from schemas.values import format_instant, parse_instant
from streams.embedded import Embedded
from streams.store import NewEntry, Store
from streams.testing import START, Driver, embedded
from tests.scenarios.story import HERE, story
from tests.scenarios.test_scenarios import tell
from tests.scenarios.world import World

DEAL = "zoho:Deals"
HEAD = """\
workflow: sales
main_tab: deal
tabs:
  deal: {module: zoho.Deals}
rules:
  deal:
"""
ONCE = """\
    - name: once
      repeat: once
      trigger: {becomes: Stage is "Won"}
      actions: [{notify: user once, text: TEXT}]
    - name: remind
      trigger: {becomes: Stage is "Won"}
      actions: [{update: deal, fields: {Told: true}}]
      scheduled_actions:
        - {after: 3 days, actions: [{notify: user remind, text: TEXT}]}
"""
MORE = """\
    - name: new-edge
      trigger: {becomes: Stage is "Won"}
      actions: [{notify: user new, text: x}]
    - name: new-date
      trigger: {date: Day, at: "10:00"}
      actions: [{notify: user date, text: x}]
    - name: new-schedule
      trigger: {schedule: daily at 12:00}
      actions: [{notify: user schedule, text: x}]
"""


def book(*parts: str, text: str = "old") -> Book:
    return publish({"sales.yaml": HEAD + "".join(parts).replace("TEXT", text)}, Project())


def opened(folder: Path, *parts: str) -> Driver:
    """A world whose state is in a file."""
    published = book(*parts)
    return Driver(published, embedded(published, Store(folder / "state.db")))


def reopened(driver: Driver, changed: Book) -> Driver:
    """The same world after its process ended and another book was published."""
    assert isinstance(driver.runtime, Embedded)
    path = driver.runtime.store.path
    driver.runtime.store.close()
    driver.runtime = embedded(changed, Store(path))
    driver.book = changed
    return driver


def told(driver: Driver) -> list[str]:
    """Whom notifications went to, in order, with their text."""
    return [
        f"{one.fields['to'][0].removeprefix('user:')}: {one.fields['body']}"
        for one in driver.commands()
        if one.operation == "notify"
    ]


def test_a_timer_outlives_the_process(tmp_path: Path) -> None:
    """D-57: timers are in the store, not in a thread."""
    driver = opened(tmp_path, ONCE)
    driver.create(DEAL, "D1", Stage="Won")
    driver.advance("1 day")
    reopened(driver, book(ONCE))
    driver.advance("47 hours")
    assert told(driver) == ["once: old"]
    driver.advance("1 hour")
    assert told(driver) == ["once: old", "remind: old"]


def test_a_changed_workflow_keeps_truths_timers_and_once_marks(tmp_path: Path) -> None:
    """D-21, D-81: nothing fires by publishing; pending timers take the newest text."""
    driver = opened(tmp_path, ONCE)
    driver.create(DEAL, "D1", Stage="Won")
    driver.create(DEAL, "D2", Stage="Open")
    before = len(driver.commands())
    reopened(driver, book(ONCE, text="new"))
    driver.settle()
    assert len(driver.commands()) == before
    driver.update(DEAL, "D1", Note="x")
    driver.update(DEAL, "D2", Stage="Won")
    assert told(driver) == ["once: old", "once: new"]
    driver.advance("3 days")
    assert told(driver) == ["once: old", "once: new", "remind: new", "remind: new"]
    driver.update(DEAL, "D1", Stage="Open")
    driver.update(DEAL, "D1", Stage="Won")
    driver.advance("3 days")
    assert told(driver)[4:] == ["remind: new"]


def test_a_new_rule_gets_its_baseline_from_the_records_that_are_known(tmp_path: Path) -> None:
    """D-82: published anew, a rule fires for nothing that was true before."""
    driver = opened(tmp_path, ONCE)
    driver.create(DEAL, "D1", Stage="Won")
    driver.create(DEAL, "D2", Stage="Open")
    reopened(driver, book(ONCE, MORE))
    driver.settle()
    assert told(driver) == ["once: old"]
    driver.update(DEAL, "D2", Stage="Won")
    assert told(driver)[1:] == ["once: old", "new: x"]
    driver.update(DEAL, "D1", Stage="Open")
    driver.update(DEAL, "D1", Stage="Won")
    assert told(driver)[3:] == ["new: x"]


def test_a_rule_that_is_no_longer_published_leaves_nothing_behind(tmp_path: Path) -> None:
    driver = opened(tmp_path, ONCE, MORE)
    driver.create(DEAL, "D1", Stage="Won")
    reopened(driver, book(MORE))
    driver.advance("10 days")
    assert "remind: old" not in told(driver)
    assert told(driver).count("new: x") == 1


def test_new_time_triggers_are_planned_for_known_records_from_the_day_of_publishing(tmp_path: Path) -> None:
    driver = opened(
        tmp_path, "    - {name: n, trigger: {becomes: Day is today}, actions: [{notify: user n, text: x}]}\n"
    )
    driver.create(DEAL, "D1", Day="2020-01-01")
    driver.create(DEAL, "D2", Day="2026-01-07")
    driver.advance("2 hours")
    reopened(driver, book(MORE))
    driver.settle()
    assert told(driver) == []
    driver.move_to("2026-01-06T00:00:00Z")
    assert told(driver) == ["schedule: x", "schedule: x"]
    driver.move_to("2026-01-07T11:00:00Z")
    assert told(driver)[2:].count("date: x") == 1


STORY = HERE / "examples" / "customer_journey.yaml"


def test_the_same_history_twice_gives_the_same_decisions_byte_for_byte(tmp_path: Path) -> None:
    """Design principle 2: a decision is a pure fold."""
    told_ = story(STORY)
    worlds = [
        World(told_, embedded(told_.book, Store(tmp_path / f"{name}.db"), told_.limits)) for name in ("one", "two")
    ]
    assert tell(worlds[0]) == tell(worlds[1])
    one, two = (_outputs(world.runtime.store) for world in worlds if isinstance(world.runtime, Embedded))
    assert len(one) > 30
    assert one == two


def test_recorded_inputs_folded_again_give_the_same_decisions_byte_for_byte(tmp_path: Path) -> None:
    """Everything that was decided follows from the log of inputs, timers included."""
    for path in sorted((HERE / "timers").glob("*.yaml")):
        told_ = story(path)
        if told_.scenario.refused is not None:
            continue
        world = World(told_, embedded(told_.book, Store(tmp_path / f"{path.stem}.db"), told_.limits))
        for step in told_.scenario.steps:
            if step.expect is None:
                world.play(step)
        assert isinstance(world.runtime, Embedded)
        again = embedded(told_.book, Store(tmp_path / f"{path.stem}-again.db"), told_.limits)
        with again.store.transaction():
            again.store.append(_inputs(world.runtime.store))
        again.run()
        assert _outputs(again.store) == _outputs(world.runtime.store), path.stem


def _inputs(store: Store) -> list[NewEntry]:
    return [NewEntry(one.topic, one.key, one.at, one.value) for one in store.flow(0, 1_000_000)]


def _outputs(store: Store) -> list[tuple[str, str, bytes]]:
    names = [*store.topics("commands."), topics.DECISIONS]
    return [(name, entry.key, entry.value) for name in names for entry in store.read(name)]


def test_the_story_begins_on_a_monday() -> None:
    assert format_instant(START) == "2026-01-05T09:00:00Z"
    assert parse_instant("2026-01-05T09:00:00Z") == START


HELD = """\
    - name: first
      HOLD
      trigger: {becomes: Stage is "Won"}
      actions: [{update: deal, fields: {Told: true}}]
    - name: second
      trigger: {becomes: Sum >= 10}
      actions: [{notify: user second, text: x}]
"""


def test_held_fires_go_on_once_the_rule_that_failed_no_longer_holds_them(tmp_path: Path) -> None:
    """D-47: what was started before the change is sent, though nothing new is decided."""
    driver = opened(tmp_path, HELD.replace("HOLD", "hold: true"))
    driver.refuse("update", "REQUIRED")
    driver.create(DEAL, "D1", Stage="Won", Sum=1)
    driver.update(DEAL, "D1", Sum=10)
    assert told(driver) == []
    reopened(driver, book(HELD.replace("HOLD", "hold: false")))
    driver.update(DEAL, "D1", Note="x")
    assert told(driver) == ["second: x"]
