"""What the page on contracts shows reads real messages, with and without a registry."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from connectors.schema_registry import opened
from connectors.settings import ConnectionSettings
from sandbox.schema_registry import SchemaRegistry
from schemas.framing import Framings
from schemas.topics import changes
from tests.docs.pages import DOCS, HOME, blocks
from tests.schemas.nouns import DEAL

PAGE = DOCS / "contracts.md"
TOPIC = changes(DEAL.tab)


def shown(words: str) -> Any:
    """The function ``read`` of one of the page's examples."""
    (block,) = (one for one in blocks(PAGE, "python") if one.words == words)
    names: dict[str, Any] = {}
    exec(compile(block.text, block.id, "exec"), names)  # the reader will do the same
    return names["read"]


def test_messages_are_read_by_their_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(HOME)
    found = shown("header")(*Framings().of(TOPIC).encode(DEAL))
    assert DEAL.after is not None
    assert found["after"] == DEAL.after
    assert found["after"]["Amount"] == Decimal("1250000.50")
    assert (found["tab"], found["op"], found["source_position"]) == (DEAL.tab, DEAL.op, DEAL.source_position)
    nothing = msgspec.structs.replace(DEAL, after=None)
    assert shown("header")(*Framings().of(TOPIC).encode(nothing))["after"] is None


def test_messages_are_read_with_a_registry() -> None:
    with SchemaRegistry() as practice:
        settings = ConnectionSettings(connection="registry", kind="registry", url=practice.url, allow_private=True)
        value, _ = Framings(opened(settings, {})).of(TOPIC).encode(DEAL)
        assert shown("registry")(value, practice.url)["record_id"] == DEAL.record_id


def test_messages_are_read_as_nouns() -> None:
    assert shown("renkei")(*Framings().of(TOPIC).encode(DEAL)) == DEAL
