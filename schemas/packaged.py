"""The Avro schemas that come with the package: those in force, and those of every release."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files

NAMES = ("change_event", "command", "outcome", "decision")
_AVRO = files("schemas") / "avro"


@cache
def current(name: str) -> str:
    """The schema in force, as JSON: ``current("change_event")``."""
    return (_AVRO / f"{name}.avsc").read_text(encoding="utf-8")


@cache
def released(name: str) -> Mapping[str, str]:
    """The schema in each release that has it, by version."""
    found = {one.name: one / f"{name}.avsc" for one in (_AVRO / "released").iterdir() if one.is_dir()}
    return {version: file.read_text(encoding="utf-8") for version, file in sorted(found.items()) if file.is_file()}
