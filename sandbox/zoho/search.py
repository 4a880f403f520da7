"""Zoho's ``/search``: criteria in brackets, or a mail address, a phone number, a word (fact sheet 2.5)."""

import re
from collections.abc import Callable, Mapping

from sandbox.conditions import BadLiteralError, Comparison, Condition, Junction, compile_condition
from sandbox.store import Row
from sandbox.zoho.errors import RefusedError
from sandbox.zoho.module import Module
from schemas.metadata import Field

MOST_CRITERIA = 10
_TEST = re.compile(r"\((\w+):(\w+):((?:[^\\()]|\\.)*)\)")
_JOINT = re.compile(r"\s*(and|or)\s*")
_ESCAPED = re.compile(r"\\(.)")
_COMMA = re.compile(r"(?<!\\),")
_OPERATORS: Mapping[str, tuple[str, bool]] = {
    "equals": ("=", False), "not_equal": ("=", True), "in": ("in", False), "greater_than": (">", False),
    "greater_equal": (">=", False), "less_than": ("<", False), "less_equal": ("<=", False),
    "between": ("between", False), "starts_with": ("like", False),
}  # fmt: skip


def matching(module: Module, parameters: Mapping[str, str]) -> list[Row]:
    """The live records that a search finds; criteria go before a mail address, a phone number and a word.

    Raises:
        RefusedError: nothing to search for, or criteria that cannot be read.
    """
    holds = _predicate(module, parameters)
    return [row for row in module.store.rows(module.name) if holds(row)]


def _predicate(module: Module, parameters: Mapping[str, str]) -> Callable[[Row], bool]:
    if "criteria" in parameters:
        condition = _parse(parameters["criteria"], module)
        try:
            test = compile_condition(condition, lambda name: module.columns[name])
        except BadLiteralError as error:
            raise _invalid(error.column) from None
        return lambda row: test(module.image(row).get)
    for name in ("email", "phone", "word"):
        if name in parameters:
            return _containing(parameters[name], module, name)
    raise RefusedError(400, "EXPECTED_PARAM_MISSING", "One of the expected parameter is missing",
                       {"expected_params": ["criteria", "email", "phone", "word"]})  # fmt: skip


def _containing(text: str, module: Module, where: str) -> Callable[[Row], bool]:
    wanted = text.casefold()
    names = [name for name in module.columns if where == "word" or where in name.lower()]
    return lambda row: any(wanted in str(row.fields.get(name) or "").casefold() for name in names)


def _parse(text: str, module: Module) -> Condition:
    condition, rest = _term(text.strip(), module)
    if rest.strip():
        raise _invalid("criteria")
    return condition


def _term(text: str, module: Module) -> tuple[Condition, str]:
    test = _TEST.match(text)
    if test:
        return _comparison(module, *test.groups()), text[test.end() :]
    if not text.startswith("("):
        raise _invalid("criteria")
    parts, joints = [], set()
    part, rest = _term(text[1:].lstrip(), module)
    parts.append(part)
    while joint := _JOINT.match(rest):
        joints.add(joint[1])
        part, rest = _term(rest[joint.end() :], module)
        parts.append(part)
    if not rest.startswith(")") or len(joints) > 1 or len(parts) > MOST_CRITERIA:
        raise _invalid("criteria")
    return Junction("or" not in joints, tuple(parts)), rest[1:]


def _comparison(module: Module, name: str, word: str, literal: str) -> Condition:
    field: Field | None = module.columns.get(name)
    if field is None or word not in _OPERATORS:
        raise _invalid(name)
    operator, negated = _OPERATORS[word]
    several = _COMMA.split(literal) if word in ("in", "between") else [literal]
    values = [_ESCAPED.sub(r"\1", value) + ("%" if word == "starts_with" else "") for value in several]
    return Comparison(name, operator, tuple(values), negated)  # type: ignore[arg-type]  # one of the tree's words


def _invalid(name: str) -> RefusedError:
    return RefusedError(400, "INVALID_QUERY", "invalid query formed", {"api_name": name})
