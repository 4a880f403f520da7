"""Where our entry spends its time, when asked: ``JOIN_PROFILE=FILE``; see it with ``python -m pstats FILE.0``."""

import cProfile
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def profiled() -> Iterator[None]:
    """Profile all threads that start meanwhile, each into a file of its own; nothing unless it was asked for."""
    to = os.environ.get("JOIN_PROFILE")
    if not to:
        yield
        return
    profiles = [cProfile.Profile()]

    def begin(*_: Any) -> None:
        profiles.append(cProfile.Profile())
        profiles[-1].enable()

    threading.setprofile(begin)
    profiles[0].enable()
    try:
        yield
    finally:
        profiles[0].disable()
        for number, profile in enumerate(profiles):
            profile.dump_stats(f"{to}.{number}")
