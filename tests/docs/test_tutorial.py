"""The tutorial, played from its first to its last command."""

from pathlib import Path

from tests.docs.console import TUTORIAL, matches, play


def test_every_command_of_the_tutorial_prints_what_it_says(tmp_path: Path) -> None:
    """If the program says it better now: ``python -m tests.docs.console`` writes it anew; read the difference."""
    commands = 0
    for block, said in play(TUTORIAL, tmp_path):
        for one in said:
            commands += 1
            assert one.holds, f"{block.id}: $ {one.command}\n{one.printed}"
    assert commands > 15


def test_lines_that_are_left_out_may_be_any() -> None:
    assert matches("a\n…\nd\n", "a\nb\nc\nd\n")
    assert not matches("a\n…\nd\n", "a\nb\n")
    assert matches("due 2026-01-31T09:00:00Z\n", "due 2027-02-01T10:00:00.123Z\n")
