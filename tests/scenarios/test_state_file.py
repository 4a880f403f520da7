"""The state file of an embedded project, opened by all its parts at once."""

import threading
from pathlib import Path

from streams.store import Store

PARTS = 6


def test_parts_that_open_a_new_file_at_one_time_all_get_it(tmp_path: Path) -> None:
    """Changing a file's journal mode is the one thing for which SQLite does not wait: one part failed of fifty."""
    failed: list[Exception] = []
    for number in range(60):
        gate = threading.Barrier(PARTS)

        def opens(gate: threading.Barrier = gate, file: Path = tmp_path / f"{number}.db") -> None:
            gate.wait()
            try:
                Store(file).close()
            except Exception as error:
                failed.append(error)

        threads = [threading.Thread(target=opens) for _ in range(PARTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failed == []
