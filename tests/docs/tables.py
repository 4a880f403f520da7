"""Tables that are written by the models themselves; ``python -m tests.docs.tables`` writes them into the pages anew.

A table stands between ``<!-- table: NAME -->`` and ``<!-- end -->``.
"""

import json
import re
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import click
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from renkei import settings
from renkei.cli import commands
from rules import calendar_config, workflow_file
from rules.actions import base
from rules.actions.control import Arm
from rules.actions.registry import BUILT_IN
from schemas import packaged
from tests.docs.pages import PAGES

_TABLE = re.compile(r"(<!-- table: (.+?) -->\n).*?(<!-- end -->)", re.DOTALL)
_MARKS = {
    base.TEXT: "text", base.CRITERIA: "condition", base.TEMPLATE: "name of a template", base.ALIAS: "alias",
    base.STEPS: "actions", base.WHO: "person or group",
}  # fmt: skip
_PLAIN: dict[object, str] = {
    workflow_file.Steps: "actions",
    dict[str, str]: "names and texts",
    list[str]: "list of texts",
    dict[str, list[str]]: "names and lists of texts",
    str: "text", int: "whole number", float: "number", bool: "`true` or `false`", Any: "anything",
    type(None): "", dict[str, Any]: "names and values",
}  # fmt: skip
_PARTS = {
    "OnDate": "[date](#scheduled-actions)", "TabPart": "[tab](#tabs)", "RulePart": "[rule](#rules)",
    "ScheduledPart": "[scheduled action](#scheduled-actions)", "StagePart": "[stage](#stages)",
    "TestPart": "[test](#tests)", "SyncPart": "[sync](#sync)",
    "Arm": "way", "ConnectionPart": "[connection](#connections)",
    "CalendarConfig": "[calendar](#calendars)", "LimitsPart": "[limits](#limits)", "FilePart": "[file](#files)",
    "ConnectionLimitsPart": "[limits of a connection](#limits-of-a-connection)",
    "KafkaPart": "[Kafka](#kafka)", "HolidayConfig": "[holidays](#calendars)", "date": "date",
}  # fmt: skip
_NAMED = {
    ("RulePart", "criteria"): "[condition](criteria.md), or [numbered rows](criteria.md#numbered-rows)",
    ("RulePart", "repeat"): "[one of four](#repeat)",
    ("RulePart", "trigger"): "[trigger](#triggers), or a list of them",
    ("SyncPart", "between"): "two aliases",
    ("SyncPart", "conflict"): "`newest`, one of the two aliases, or `fail`",
    ("TabPart", "match"): "a field and `alias.Field`",
    ("FilePart", "types"): "by column: `text`, `number`, `boolean`, `date`, `datetime` and others",
    ("CalendarConfig", "holidays"): "country code, list of dates, or [holidays](#calendars)",
    **{("TestPart", key): "list of [lines](#tests)" for key in ("given", "when", "expect")},
}


def models() -> dict[str, type[BaseModel]]:
    """Every model that has a table, by the name of the table."""
    parts: tuple[type[BaseModel], ...] = (
        workflow_file.WorkflowFile, workflow_file.TabPart, workflow_file.RulePart, workflow_file.FieldUpdated,
        workflow_file.DateTrigger, workflow_file.ScheduleTrigger, workflow_file.ScheduledPart, workflow_file.OnDate,
        workflow_file.StagePart, workflow_file.SyncPart, workflow_file.TestPart,
        settings.ProjectFile, settings.ConnectionPart,
        settings.FilePart, settings.ConnectionLimitsPart, settings.LimitsPart, settings.KafkaPart,
        calendar_config.CalendarConfig, calendar_config.HolidayConfig, Arm, base.Action,
    )  # fmt: skip
    return {one.__name__: one for one in parts} | {f"action {one.verb}": one for one in BUILT_IN}


def table_of(model: type[BaseModel]) -> str:
    """The keys of a model: kind, default and meaning; the keys that every action has only at ``Action`` itself."""
    common = base.Action.model_fields if issubclass(model, base.Action) and model is not base.Action else {}
    fields = {name: field for name, field in model.model_fields.items() if name not in common}
    if common:  # the key that is the verb comes first
        verb = getattr(model, "verb", "")
        fields = {verb: fields.pop(verb), **fields}
    lines = ["| Key | Value | Default | Meaning |", "|---|---|---|---|"]
    for name, field in fields.items():
        words = _NAMED.get((model.__name__, name)) or kind(field)
        lines.append(f"| `{field.alias or name}` | {words} | {default(field)} | {meaning(field)} |")
    return "\n".join(lines)


def meaning(field: FieldInfo) -> str:
    """The description of a key."""
    return (field.description or "").replace("|", "\\|")


def default(field: FieldInfo) -> str:
    """What counts where a key is left out; nothing where that is nothing."""
    if field.is_required():
        return "**needed**"
    value = field.default
    if value is PydanticUndefined or value is None or value in ("", [], {}) or isinstance(value, BaseModel):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def kind(field: FieldInfo) -> str:
    """What sort of value a key takes, in words."""
    marks = [_MARKS[one] for one in field.metadata if isinstance(one, str) and one in _MARKS]
    if marks and field.annotation not in (list[str], workflow_file.Steps):
        mapping = get_origin(field.annotation) is dict
        return "fields and values" if mapping else "list of ways" if get_origin(field.annotation) is list else marks[0]
    return _words(field.annotation)


def _words(annotation: object) -> str:
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    if isinstance(annotation, type) and get_origin(annotation) is None:
        return _PARTS[annotation.__name__]
    return _composed(annotation)


def _composed(annotation: object) -> str:
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ", ".join(f"`{one}`" for one in inner)
    if origin is Annotated:
        mark = next((_MARKS[one] for one in inner[1:] if isinstance(one, str) and one in _MARKS), "")
        return mark or _words(inner[0])
    if origin in (Union, types.UnionType):
        named = [words for one in inner if (words := _words(one))]
        return " or ".join(dict.fromkeys(named))
    if origin is list:
        return f"list of {_words(inner[0])}"
    assert origin is dict, f"no words for {annotation}"
    return f"by name: {_words(inner[1])}".replace("by name: list", "by alias: list")


# -- commands ------------------------------------------------------------------


def command_table(command: click.Command) -> str:
    """What a command does, and its arguments and options."""
    lines = [(command.help or "").strip(), "", f"    renkei {command.name} {_usage(command)}".rstrip()]
    options = [f"| `{_flags(one)}` | {getattr(one, 'help', '') or ''} |" for one in command.params]
    if options:
        lines += ["", "| Argument or option | Meaning |", "|---|---|", *options]
    return "\n".join(lines)


def _usage(command: click.Command) -> str:
    arguments = [_metavar(one) for one in command.params if one.param_type_name == "argument"]
    return " ".join([*arguments, "[OPTIONS]" if len(arguments) < len(command.params) else ""]).strip()


def _flags(parameter: click.Parameter) -> str:
    if parameter.param_type_name == "argument":
        return _metavar(parameter)
    takes = "" if getattr(parameter, "is_flag", False) else f" {_metavar(parameter)}"
    return ", ".join(parameter.opts) + takes


def _metavar(parameter: click.Parameter) -> str:
    words = parameter.metavar or (parameter.name or "").upper().strip("_")
    optional = parameter.param_type_name == "argument" and not parameter.required
    return f"[{words}]" if optional and not words.startswith("[") else words


# -- contracts -----------------------------------------------------------------


def contract_table(name: str) -> str:
    """The fields of an Avro schema."""
    lines = ["| Field | Type | Default | Meaning |", "|---|---|---|---|"]
    for field in json.loads(packaged.current(name))["fields"]:
        default = f"`{json.dumps(field['default'])}`" if "default" in field else ""
        lines.append(f"| `{field['name']}` | {_avro_words(field['type'])} | {default} | {field['doc']} |")
    return "\n".join(lines)


def _avro_words(type_: Any) -> str:
    if isinstance(type_, list):
        return " or ".join(_avro_words(one) for one in reversed(type_))
    if isinstance(type_, str):
        return type_
    if type_["type"] == "array":
        return f"array of {_avro_words(type_['items'])}"
    if type_["type"] == "enum":
        return "enum: " + ", ".join(f"`{one}`" for one in type_["symbols"] if one != type_["default"])
    if type_["type"] == "record":
        inner = ", ".join(f"`{one['name']}`: {_avro_words(one['type'])}" for one in type_["fields"])
        return f"record ({inner})"
    return f"{type_['type']}, {type_['logicalType']}"


# -- writing ------------------------------------------------------------------


def tables() -> dict[str, Callable[[], str]]:
    """What makes each table, by its name."""
    made: dict[str, Callable[[], str]] = {}
    for name, model in models().items():
        made[name] = lambda model=model: table_of(model)  # type: ignore[misc]
    for name, command in commands().items():
        made[f"command {name}"] = lambda command=command: command_table(command)  # type: ignore[misc]
    for name in packaged.NAMES:
        made[f"contract {name}"] = lambda name=name: contract_table(name)  # type: ignore[misc]
    return made


def renewed(text: str) -> str:
    """The text of a page with every table made anew."""
    made = tables()
    return _TABLE.sub(lambda found: f"{found[1]}{made[found[2]]()}\n{found[3]}", text)


def names(pages: tuple[Path, ...] = PAGES) -> Iterator[str]:
    """The tables that stand in the pages."""
    for page in pages:
        yield from (found[2] for found in _TABLE.finditer(page.read_text(encoding="utf-8")))


if __name__ == "__main__":
    for one in PAGES:
        one.write_text(renewed(one.read_text(encoding="utf-8")), encoding="utf-8")
