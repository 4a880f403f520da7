"""Requests that leave together: each in a thread of its own, and all answers awaited."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, Protocol, TypeAlias

from connectors.base import NoAnswer, NotSent, Request, Response, Send

Answer: TypeAlias = Response | NotSent | NoAnswer


class Answered(NamedTuple):
    """What came of a request, and after how many seconds."""

    answer: Answer
    seconds: float


class Crew(Protocol):
    """Sends the requests of a wave."""

    @property
    def size(self) -> int:
        """How many requests it sends at once at most."""
        ...

    def send(self, send: Send, requests: Sequence[Request]) -> list[Answered]:
        """What came of each, in order."""
        ...


class Alone:
    """One request after another."""

    size = 1

    def send(self, send: Send, requests: Sequence[Request]) -> list[Answered]:
        """What came of each."""
        return [_sent(send, request) for request in requests]


class Threads:
    """All requests of a wave at once."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._threads = ThreadPoolExecutor(size, thread_name_prefix="renkei-send")

    def send(self, send: Send, requests: Sequence[Request]) -> list[Answered]:
        """What came of each; one alone needs no thread."""
        if len(requests) == 1:
            return [_sent(send, requests[0])]
        return list(self._threads.map(lambda request: _sent(send, request), requests))

    def close(self) -> None:
        """End the threads, with what they are at."""
        self._threads.shutdown()


def _sent(send: Send, request: Request, clock: Callable[[], float] = time.monotonic) -> Answered:
    began = clock()
    try:
        answer: Answer = send(request)
    except (NotSent, NoAnswer) as error:
        answer = error
    return Answered(answer, clock() - began)
