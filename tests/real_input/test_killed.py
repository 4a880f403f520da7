"""A process that is killed in the middle of a history and started again decides what it would have decided anyway."""

import shutil
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from renkei.folder import Folder, read_folder
from tests.real_input.projects import Log, run, seller
from tests.real_input.seller import MISSING
from tests.real_input.slow_run import STEP

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)

DEALS = 600
KILLS = 4


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """A history run to rest by a process that lives."""
    folder = seller(tmp_path_factory.mktemp("calm") / "crm_sales", DEALS)
    run(folder)
    return folder


def killed_at(folder: Folder, position: int) -> bool:
    """Start a run and kill it once its flow is past a position, wherever it is by then; false if it came to rest."""
    command = [sys.executable, "-m", "tests.real_input.slow_run", str(folder.path)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line == "at rest\n":
                return False
            if int(line) >= position:
                process.kill()
    return True


@pytest.mark.parametrize("seed", [1, 2])
def test_a_killed_run_ends_with_the_same_commands_none_twice(calm: Folder, tmp_path: Path, seed: int) -> None:
    expected = Log(calm)
    shutil.copytree(calm.path, tmp_path / "killed", ignore=shutil.ignore_patterns(".renkei"))
    folder = read_folder(tmp_path / "killed")
    inputs = len(expected.bytes_of("changes."))
    chance = Random(seed)
    positions = sorted([0, *(chance.randrange(STEP, inputs * 2 // 3) for _ in range(KILLS - 1))])
    kills = sum(killed_at(folder, position) for position in positions)
    assert kills > 1
    run(folder)
    found = Log(folder)
    assert [one.id for one in found.commands] == [one.id for one in expected.commands]
    assert len({one.id for one in found.commands}) == len(found.commands) > 0
    assert found.bytes_of("") == expected.bytes_of("")
