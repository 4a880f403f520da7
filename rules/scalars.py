"""What an unquoted word of a workflow file means: text, number, true, false or nothing; never by surprise."""

import re
from typing import NamedTuple, TypeAlias

from schemas.values import Amount

MAX_DIGITS = 30
"""Numbers with more digits, or a larger power of ten, are no amounts that a CRM could store."""

Scalar: TypeAlias = bool | int | Amount | str | None


class Refusal(NamedTuple):
    """Why a word is not accepted, and what to write instead."""

    problem: str
    hint: str


_WORDS: dict[str, Scalar] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]*)")
_FRACTION = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE]([-+]?[0-9]+))?")
_NOT_A_NUMBER = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_AMBIGUOUS = re.compile(r"[-+]?0[0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?|\+[0-9]+|0x[0-9a-fA-F]+|0o[0-7]+")
"""Codes, telephone numbers and postal codes that YAML would turn into other numbers."""


def resolve(text: str) -> Scalar | Refusal:
    """The value of an unquoted word by the YAML 1.2 core rules; fractions are exact decimals (D-90).

    ``yes``, ``on``, ``09:00`` and ``2026-01-31`` are text. What would lose something as a number (``007``,
    ``+8190…``, ``0x1F``, thirty-one digits, not-a-number) is refused instead of guessed.
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    if _NOT_A_NUMBER.fullmatch(text):
        return Refusal(f"'{text}' is not a number that a field can hold", "Remove it, or quote it if it is text.")
    if _AMBIGUOUS.fullmatch(text):
        return Refusal(
            f"{_shown(text)} could be a number or text",
            'Quote it if it is text, such as a code or a telephone number ("007"); else write plain digits.',
        )
    return _number(text)


def _number(text: str) -> Scalar | Refusal:
    fraction = _FRACTION.fullmatch(text)
    if fraction is None:
        return text
    exponent = fraction[1] or "0"
    digits = sum(char.isdigit() for char in text) - sum(char.isdigit() for char in fraction[1] or "")
    if digits > MAX_DIGITS or len(exponent) > 4 or abs(int(exponent)) > MAX_DIGITS:
        return Refusal(
            f"the number {_shown(text)} is too large: at most {MAX_DIGITS} digits are read",
            "Quote it if it is text, such as an id.",
        )
    return int(text) if _WHOLE.fullmatch(text) else Amount(text)


def _shown(text: str) -> str:
    return f"'{text}'" if len(text) <= 40 else f"'{text[:20]}…' ({len(text)} characters)"
