"""The files of a deployment, read as the tools that use them read them."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

HOME = Path(__file__).resolve().parents[2]
DEPLOY = HOME / "deploy"
_VARIABLE = re.compile(r"\$\{\w+:-([^}]*)\}")

Service = Mapping[str, Any]


def yaml_of(path: Path) -> Any:
    """A YAML file with its anchors resolved."""
    return YAML(typ="safe").load(path)


def compose() -> dict[str, Any]:
    """The Compose file as Compose sees it when no variable is set."""
    filled: dict[str, Any] = _filled(yaml_of(HOME / "docker-compose.yml"))
    return filled


def services() -> dict[str, Service]:
    """The services by name."""
    found: dict[str, Service] = compose()["services"]
    return found


def ours() -> Iterator[tuple[str, list[str]]]:
    """The services that run ``renkei``, with their words after it."""
    return ((name, one["command"]) for name, one in services().items() if one["image"] == "renkei")


def _filled(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _filled(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_filled(value) for value in content]
    return _VARIABLE.sub(r"\1", content) if isinstance(content, str) else content
