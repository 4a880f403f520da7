"""A named point at which the own process is killed or stopped, so that tests see what that leaves behind.

``RENKEI_KILL_AT=sent:3`` ends the process by SIGKILL when it passes the point ``sent`` for the third time;
``RENKEI_STOP_AT`` stops it by SIGSTOP, as a machine that is suspended. Workers pass claimed, sent, answered, recorded
and settled; captures polled, produced and committed; a move
marked, copied and placed. Unset, they do nothing.
"""

import os
import signal
import threading
from collections.abc import Callable, Mapping
from itertools import count

SIGNALS = {"RENKEI_KILL_AT": signal.SIGKILL, "RENKEI_STOP_AT": signal.SIGSTOP}


def killing(environment: Mapping[str, str] = os.environ) -> Callable[[str], None]:
    """What is called at each named point, by the environment. It counts by itself: one for each part.

    Raises:
        ValueError: a variable is not ``point`` or ``point:times``.
    """
    ends = [_at(environment[name], number) for name, number in SIGNALS.items() if environment.get(name)]

    def passed(point: str) -> None:
        for end in ends:
            end(point)

    return passed


def _at(words: str, number: signal.Signals) -> Callable[[str], None]:
    point, _, times = words.partition(":")
    passes, last, lock = count(1), int(times or 1), threading.Lock()

    def passed(name: str) -> None:
        with lock:
            if name == point and next(passes) == last:
                os.kill(os.getpid(), number)

    return passed
