"""A process for tests to kill: runs a history to rest in small turns, and prints how far it is after each."""

import sys
from pathlib import Path

from renkei.folder import read_folder
from renkei.parts import FlowPart
from renkei.runner import wall_clock
from renkei.wiring import locked, parts

STEP = 25
"""Inputs in one transaction."""


def main(path: Path) -> None:
    """Run the project in a folder; the position of its flow, line by line, then ``at rest``."""
    folder = read_folder(path)
    with locked(folder.state) as file:
        history, flow = (make() for make in parts(folder, folder.compile().book, file, wall_clock).values())
        assert isinstance(flow, FlowPart)
        print(flow.flow.position, flush=True)
        while history.turn(0).busy or flow.flow.turn(STEP).read:
            print(flow.flow.position, flush=True)
    print("at rest", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
