"""Answers of Salesforce to readings, which are untrusted input: one of a wrong shape says nothing."""

from collections.abc import Sequence
from typing import Any

from connectors.answers import text
from connectors.base import Response
from connectors.capture import CaptureFailed, readable


def told(response: Response, what: str) -> dict[str, Any]:
    """The object of an answer. Raises CaptureFailed where it is none."""
    answer = readable(response, what)
    if not isinstance(answer, dict):
        raise CaptureFailed(f"reading {what}: the answer is no object")
    return answer


def rows(answer: dict[str, Any], name: str, what: str, wanted: Sequence[str] = ("Id",)) -> list[dict[str, Any]]:
    """The rows of an answer, each with text in the wanted places. Raises CaptureFailed on any other shape."""
    found = answer.get(name)
    if isinstance(found, list) and all(
        isinstance(row, dict) and all(text(row.get(key)) for key in wanted) for row in found
    ):
        return found
    raise CaptureFailed(f"reading {what}: the answer holds no {name}")
