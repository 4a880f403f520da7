"""The state of streams on disk: full, deleted, not a folder; the changelog has it all."""

import shutil

import pytest

from tests.faults.plant import Plant
from tests.faults.project import history

pytestmark = pytest.mark.installation


def test_a_disk_that_is_full_costs_the_snapshot_and_nothing_else(plant: Plant) -> None:
    """Fault matrix row 44: no file of this process may pass 8 KB."""
    plant.watch_contracts()
    plant.start("connectors")
    first = plant.start("streams", state="full", file_size=8_192)
    plant.play(history(40, 600, seed=1))
    plant.rest()
    assert first.is_alive, first.tail()
    assert "snapshot" in first.said()
    files = [*(plant.folder / "full" / "snapshots").glob("*")]
    assert all(one.stat().st_size <= 8_192 for one in files)
    first.kill()
    plant.start("streams", state="full")
    plant.play(history(40, 600, seed=2, first=40))
    assert plant.rest().expected > 15


def test_a_state_folder_that_is_deleted_is_restored_from_the_changelog(plant: Plant) -> None:
    plant.watch_contracts()
    plant.start("connectors")
    first = plant.start("streams", state="gone")
    plant.play(history(30, 300, seed=1))
    plant.rest()
    shutil.rmtree(plant.folder / "gone")
    plant.play(history(30, 300, seed=2, first=30))
    plant.rest()
    first.kill()
    plant.start("streams", state="gone")
    plant.play(history(30, 300, seed=3, first=60))
    assert plant.rest().expected > 15


@pytest.mark.fault
def test_damaged_snapshots_are_not_believed(plant: Plant) -> None:
    """Fault matrix row 45: cut, changed in the middle, and something else altogether."""
    plant.watch_contracts()
    plant.start("connectors")
    plant.start("streams", state="hurt")
    plant.play(history(30, 300, seed=1))
    plant.rest()
    plant.started[-1].kill()
    for number, file in enumerate(sorted((plant.folder / "hurt" / "snapshots").iterdir())):
        content = file.read_bytes()
        half = len(content) // 2
        file.write_bytes([content[:half], content[:half] + b"?" + content[half + 1 :], b"something else"][number % 3])
    plant.start("streams", state="hurt")
    plant.play(history(30, 300, seed=2, first=30))
    assert plant.rest().expected > 10


def test_where_no_state_can_be_kept_it_says_so_and_works(plant: Plant) -> None:
    """A file stands where the folder should be: every start reads the whole changelog then."""
    (plant.folder / "blocked").mkdir()
    (plant.folder / "blocked" / "snapshots").write_text("in the way", encoding="utf-8")
    plant.watch_contracts()
    plant.start("connectors")
    one = plant.start("streams", state="blocked")
    plant.play(history(30, 120, seed=1))
    assert plant.rest().expected > 2
    assert str(plant.folder / "blocked" / "snapshots") in one.said()
