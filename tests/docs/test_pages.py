"""The pages hang together: generated tables are up to date, every key and command is there, links lead somewhere."""

from pathlib import Path

import pytest

from tests.docs import tables
from tests.docs.pages import HOME, LINKING, PAGES, anchors, links, text_of


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_tables_of_a_page_are_as_the_models_write_them(page: Path) -> None:
    assert tables.renewed(text_of(page)) == text_of(page), "write them anew: python -m tests.docs.tables"


def test_every_model_and_every_command_has_its_table() -> None:
    assert sorted(tables.names()) == sorted(tables.tables())


@pytest.mark.parametrize("name", tables.models())
def test_every_key_of_a_file_says_what_it_means(name: str) -> None:
    model = tables.models()[name]
    assert not [key for key, field in model.model_fields.items() if not field.description]


@pytest.mark.parametrize("page", LINKING, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in links(page):
        if link.startswith("http"):
            continue
        target, _, anchor = link.partition("#")
        file = (page.parent / target).resolve() if target else page
        assert file.is_relative_to(HOME), link
        assert file.exists(), link
        assert not anchor or anchor in anchors(file), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_line_is_too_long_to_read(page: Path) -> None:
    text = "\n".join(line for line in text_of(page).splitlines() if not line.startswith("|"))
    assert max(map(len, text.splitlines())) <= 160
