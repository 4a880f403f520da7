"""Every scenario file, told on each runtime: the expectations hold, and all give the same commands."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rules.errors import WorkflowError
from streams.embedded import Embedded
from streams.hostile import Torment
from streams.store import Store
from streams.testing import embedded, hostile
from tests.scenarios.expecting import Expectations
from tests.scenarios.story import HERE, Story, story
from tests.scenarios.world import World

FILES = sorted(HERE.glob("*/*.yaml"))
TORMENTS = [
    Torment(seed=1, partitions=3, commit="transaction"),
    Torment(seed=2, partitions=2, commit="ordered"),
    Torment(seed=3, partitions=1, commit="ordered", page=2),
]


def _name(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


def tell(world: World, between: Callable[[World], None] = lambda world: None) -> list[str]:
    """Play a story to its end, with something ``between`` its steps; the sorted ids of its commands."""
    expectations = Expectations(world)
    for number, step in enumerate(world.story.scenario.steps):
        with _placed(world.story, number):
            if step.expect is not None:
                expectations.hold(step.expect)
            else:
                world.play(step)
        between(world)
    ids = sorted(command.id for command in world.commands())
    assert len(ids) == len(set(ids)), f"{world.story.name}: a command was planned twice"
    return ids


def tell_embedded(
    told: Story, path: Path | str = ":memory:", between: Callable[[World], None] = lambda world: None
) -> list[str]:
    """Play a story on the embedded runtime; the sorted ids of its commands."""
    world = World(told, embedded(told.book, Store(path), told.limits))
    ids = tell(world, between)
    assert isinstance(world.runtime, Embedded)
    world.runtime.store.close()
    return ids


def restart(world: World) -> None:
    """The process ends and begins again from its file."""
    assert isinstance(world.runtime, Embedded)
    path = world.runtime.store.path
    world.runtime.store.close()
    world.runtime = embedded(world.book, Store(path), world.story.limits)


@contextmanager
def _placed(story_: Story, number: int) -> Iterator[None]:
    try:
        yield
    except AssertionError as error:
        raise AssertionError(f"{story_.name}, step {number + 1}: {error}") from None


def _cases() -> Iterator[object]:
    for path in FILES:
        name = _name(path)
        yield pytest.param(path, id=name)


@pytest.mark.parametrize("path", list(_cases()))
def test_a_scenario_comes_out_as_told_on_every_runtime(path: Path, tmp_path: Path) -> None:
    told = story(path)
    if told.scenario.refused is not None:
        _is_refused(told)
        return
    warnings = [one.problem for one in told.problems if one.severity == "warning"]
    for text in told.scenario.warned:
        assert any(text in warning for warning in warnings), f"'{text}' is not among {warnings}"
    ids = tell_embedded(told)
    assert ids == tell_embedded(told, tmp_path / "state.db", between=restart)
    for torment in TORMENTS:
        assert ids == tell(World(told, hostile(told.book, torment, told.limits))), f"hostile {torment}"


def _is_refused(told: Story) -> None:
    assert told.scenario.refused
    with pytest.raises(WorkflowError):
        _ = told.book
    problems = [f"{one.problem} {one.hint}" for one in told.problems if one.severity == "error"]
    for text in told.scenario.refused:
        assert any(text in problem for problem in problems), f"'{text}' is not among {problems}"
    assert len(problems) == len(told.scenario.refused), f"also refused: {problems}"
