"""Did you mean: known names that are close to one that is not known."""

import difflib
from collections.abc import Iterable

from schemas.values import fold

_LONGEST = 80
"""Names longer than this are not compared: nobody mistypes a novel."""


def suggest(wrong: str, known: Iterable[str], at_most: int = 3) -> tuple[str, ...]:
    """The known names closest to a wrong one, best first; none where nothing is close.

    Case, width and the characters ``_ - .`` do not count, so ``lead-status`` finds ``Lead_Status``.
    """
    if len(wrong) > _LONGEST:
        return ()
    by_key: dict[str, str] = {}
    for name in known:
        by_key.setdefault(_key(name), name)
    close = difflib.get_close_matches(_key(wrong), list(by_key), n=at_most, cutoff=0.6)
    return tuple(by_key[key] for key in close)


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """The question ``Did you mean 'Stage'?`` with at most three names, or nothing."""
    names = suggest(wrong, known)
    return f"Did you mean {either(names)}?" if names else ""


def either(names: Iterable[str]) -> str:
    """Names as a person lists a choice: ``'a', 'b' or 'c'``."""
    quoted = [f"'{name}'" for name in names]
    return " or ".join([", ".join(quoted[:-1]), quoted[-1]] if len(quoted) > 1 else quoted)


def _key(name: str) -> str:
    return fold(name).translate(_UNCOUNTED)


_UNCOUNTED = str.maketrans("", "", "_-. ")
