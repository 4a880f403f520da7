"""What a capture holds open is let go of when its part ends, as on every stop."""

from connectors.base import Capture, LoadProgress, Polled
from renkei.parts import CapturePart, LogSink, Watched
from streams.store import Store

NOW = 1_800_000_000_000


class Stream(Capture):
    """A capture that keeps a connection open; ``pages`` are what the first load has."""

    def __init__(self, pages: int = 1) -> None:
        self.is_open = False
        self._pages = pages

    def poll(self, position: bytes | None, now: int) -> Polled:
        self.is_open = True
        at = int(position or 0) + 1
        more = at < self._pages
        return Polled(
            events=[], position=b"%d" % at, more=more, loaded=not more, progress=LoadProgress(at, self._pages)
        )

    def close(self) -> None:
        self.is_open = False


class Plain(Capture):
    """A capture that says nothing of closing."""

    def poll(self, position: bytes | None, now: int) -> Polled:
        return Polled(events=[], position=b"")


def part_of(*captures: Capture) -> CapturePart:
    watched = [Watched(f"crm:取引{number}", one, (f"crm:取引{number}",)) for number, one in enumerate(captures)]
    return CapturePart("crm", watched, LogSink(Store(":memory:"), watched), 60_000)


def test_what_a_capture_holds_open_is_let_go_of_on_stop() -> None:
    part = part_of(stream := Stream(), Plain())
    part.turn(NOW)
    assert stream.is_open
    part.close()
    assert not stream.is_open


def test_a_part_tells_how_far_its_first_loads_are_until_they_are_complete() -> None:
    part = part_of(Stream(pages=2), Plain())
    part.turn(NOW)
    assert part.loading == {"crm:取引0": LoadProgress(1, 2)}
    part.turn(NOW)
    assert part.loading == {}
    part.close()
