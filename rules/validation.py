"""From what a model refuses to what an author reads: plain words, the place, and what to write."""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Protocol, TypeVar, runtime_checkable

from pydantic import BaseModel, ValidationError

from rules.document import Document, Path
from rules.errors import Place, Problem, Problems, Severity, WorkflowError
from rules.findings import Finding, findings_of
from rules.model_fields import fields_at
from rules.suggest import did_you_mean, either, suggest

Model = TypeVar("Model", bound=BaseModel)

_Told = tuple[str, str]  # problem and hint


@runtime_checkable
class PointedError(Protocol):
    """An error about a stretch of a text, as the criteria language raises it.

    ``source`` is the text, ``span`` the first character and the one after the last.
    """

    @property
    def problem(self) -> str:
        """What is wrong."""
        ...

    @property
    def hint(self) -> str:
        """What to write instead."""
        ...

    @property
    def source(self) -> str:
        """The text that the span counts in."""
        ...

    @property
    def span(self) -> tuple[int, int]:
        """The wrong stretch, the end excluded."""
        ...


def validate(model: type[Model], document: Document, at: Path = ()) -> Model:
    """The value at a path as a model.

    Raises:
        WorkflowError: with all that the model refuses.
    """
    try:
        return model.model_validate(_value(document, at))
    except ValidationError as error:
        raise WorkflowError(problems_of(error, document, model, at)) from None


def problems_of(error: ValidationError, document: Document, model: type[BaseModel], at: Path = ()) -> Problems:
    """All that a validation of the value at a path found, in the words of the file.

    Of a union only the member that was meant speaks. A mistyped key is told once, not also as a missing one.
    """
    findings = findings_of(error, document, at)
    unknown = [one for one in findings if one.type == "extra_forbidden"]
    told = (one for one in findings if not _is_mistyped(one, unknown))
    return Problems.of(_problem(one, document, model) for one in told)


def problem_in_text(document: Document, path: Path, error: PointedError, severity: Severity = "error") -> Problem:
    """A problem inside a text of the file (a criterion, an expression), with carets under the very words.

    The path leads to the text; where it leads to numbered criteria and the error names a ``row``, that row
    is meant.
    """
    row = str(getattr(error, "row", ""))
    number = int(row) if row.isdecimal() else row
    node = document.node(path)
    if row and node and node.child(number):
        path = (*path, number)
    place = document.place_in_text(path, error.source, *error.span)
    return Problem(error.problem, error.hint, place, severity)


def _value(document: Document, at: Path) -> object:
    node = document.node(at)
    return node.value if node else None


def _is_mistyped(finding: Finding, unknown: list[Finding]) -> bool:
    """Whether the missing key stands there with a typing error, which is told already."""
    beside = (str(one.path[-1]) for one in unknown if one.path[:-1] == finding.path)
    return finding.type == "missing" and any(suggest(key, finding.missing) for key in beside)


def _problem(finding: Finding, document: Document, model: type[BaseModel]) -> Problem:
    cause = finding.context.get("error")
    if isinstance(cause, PointedError):
        return problem_in_text(document, finding.path, cause)
    keys = fields_at(model, finding.location)
    problem, hint = _words(finding, keys)
    return Problem(problem, hint, _place(finding, document))


def _place(finding: Finding, document: Document) -> Place:
    """The value itself if it is one word or text; else its key, which is what the eye looks for."""
    node = document.node(finding.path)
    at_key = finding.key or node is None or node.children is not None or node.value is None
    return document.place(finding.path, key=at_key)


def _words(finding: Finding, keys: dict[str, str]) -> _Told:
    if finding.key:
        return _unknown_key(finding, keys)
    if finding.type in _WORDS:
        return _WORDS[finding.type](finding, keys)
    if finding.type.endswith("_type") or finding.type.endswith("_parsing"):
        return _wrong_kind(finding, (finding.type,))
    return _plainly(finding), ""


def _unknown_key(finding: Finding, keys: dict[str, str]) -> _Told:
    key = str(finding.path[-1]) if finding.path else ""
    known = _choices(finding) or list(keys)
    return f"unknown key '{key}'", did_you_mean(key, known) or _listed(known)


def _missing(finding: Finding, keys: dict[str, str]) -> _Told:
    if len(finding.missing) > 1:
        return "this does not say what it is", f"Write one of the keys {either(finding.missing)}."
    name = finding.missing[0]
    return f"the key '{name}' is missing", " ".join(filter(None, [f"Add `{name}: …`.", keys.get(name, "")]))


def _literal(finding: Finding, keys: dict[str, str]) -> _Told:
    known = _choices(finding)
    if not isinstance(finding.value, str):
        return _wrong_kind(finding, ("literal_error",))
    return f"'{finding.value[:60]}' is not known here", did_you_mean(finding.value, known) or _listed(known)


def _no_member(finding: Finding, keys: dict[str, str]) -> _Told:
    return _wrong_kind(finding, finding.expected)


def _no_tag(finding: Finding, keys: dict[str, str]) -> _Told:
    known = _choices(finding) or list(keys)
    written = [str(key) for key in finding.value] if isinstance(finding.value, dict) else []
    close = next((hint for key in written if (hint := did_you_mean(key, known))), "")
    return "this does not say what it is", close or _listed(known)


def _own_words(finding: Finding, keys: dict[str, str]) -> _Told:
    """What a validator of ours said."""
    return str(finding.context.get("error", "this is not allowed")), ""


def _bounded(word: str, bound: str) -> Callable[[Finding, dict[str, str]], _Told]:
    return lambda finding, keys: (f"this must be {word} {finding.context.get(bound)}", "")


def _counted(word: str, bound: str, of: str) -> Callable[[Finding, dict[str, str]], _Told]:
    return lambda finding, keys: (f"{word} {finding.context.get(bound)} {of} are allowed here", "")


def _pattern(finding: Finding, keys: dict[str, str]) -> _Told:
    text = str(finding.value)[:60]
    hint = "A name holds letters, digits, '_', '-' and '.', and no spaces."
    return f"'{text}' has not the form that is asked for here", hint


_WORDS: dict[str, Callable[[Finding, dict[str, str]], _Told]] = {
    "missing": _missing,
    "literal_error": _literal,
    "enum": _literal,
    "no_member": _no_member,
    "union_tag_invalid": _no_tag,
    "union_tag_not_found": _no_tag,
    "value_error": _own_words,
    "assertion_error": _own_words,
    "string_pattern_mismatch": _pattern,
    "greater_than": _bounded("greater than", "gt"),
    "greater_than_equal": _bounded("at least", "ge"),
    "less_than": _bounded("less than", "lt"),
    "less_than_equal": _bounded("at most", "le"),
    "too_short": _counted("at least", "min_length", "items"),
    "too_long": _counted("at most", "max_length", "items"),
    "string_too_short": _counted("at least", "min_length", "characters"),
    "string_too_long": _counted("at most", "max_length", "characters"),
}

_KINDS = {
    "string": "text", "literal": "text", "enum": "text",
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number", "decimal": "a number",
    "list": "a list", "tuple": "a list", "set": "a list",
    "dict": "keys with values", "model": "keys with values", "model_attributes": "keys with values",
}  # fmt: skip


def _wrong_kind(finding: Finding, types: tuple[str, ...]) -> _Told:
    kinds = [_KINDS.get(one.rsplit("_", 1)[0], "another kind of value") for one in types]
    expected = " or ".join(dict.fromkeys(kinds))
    hint = "Put it in quotes." if expected == "text" and _is_plain(finding.value) else ""
    if expected == "true or false" and isinstance(finding.value, str):
        hint = "Write true or false without quotes."
    return f"expected {expected}, found {_kind_of(finding.value)}", hint


def _is_plain(value: object) -> bool:
    return isinstance(value, bool | int | Decimal)


def _kind_of(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    kinds: list[tuple[type, str]] = [
        (int, "a whole number"),
        (Decimal, "a number"),
        (str, "text"),
        (list, "a list"),
        (dict, "keys with values"),
    ]
    return next((words for kind, words in kinds if isinstance(value, kind)), "something else")


def _choices(finding: Finding) -> list[str]:
    """The quoted words of what was expected."""
    text = finding.context.get("expected") or finding.context.get("expected_tags") or ""
    return re.findall(r"'([^']*)'", str(text))


def _listed(known: list[str]) -> str:
    """What may stand here, if it is few enough to be read."""
    return f"Known here: {', '.join(known)}." if 0 < len(known) <= 20 else ""


def _plainly(finding: Finding) -> str:
    """A rare message without the library's own words."""
    text = re.sub(r"^(Input|Value) should (be|have|match)", r"this must \2", finding.message)
    return text[:1].lower() + text[1:] if text else "this is not allowed here"
