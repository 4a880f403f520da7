"""Holding what came out of a story against what its file expects."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from schemas.commands import Command
from schemas.decisions import Decision
from schemas.values import format_instant, same
from tests.scenarios.story import Expected
from tests.scenarios.world import World, described

_WITHOUT_TAB = ("notify", "email", "webhook", "task", "event", "call")


class Expectations:
    """Remembers what an earlier expectation has seen, so that each looks at what is new."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._seen_commands: set[str] = set()
        self._seen_decisions = 0

    def hold(self, expected: Expected) -> None:
        """Fails with what came instead."""
        world = self._world
        commands = [one for one in world.commands() if one.id not in self._seen_commands]
        self._seen_commands |= {one.id for one in commands}
        decisions = world.decisions()
        new, self._seen_decisions = decisions[self._seen_decisions :], len(decisions)
        if expected.commands is not None:
            self._commands(expected.commands, commands, new)
        if expected.fires is not None:
            fires = Counter(one.rule for one in world.fires())
            assert dict(fires) == {rule: times for rule, times in expected.fires.items() if times}, (
                f"so far {dict(fires)}\n{_told(new)}"
            )
        for wanted in expected.decisions:
            self._decision(wanted, new)
        if expected.timers is not None:
            self._timers(expected.timers)

    def _commands(self, wanted: Sequence[dict[str, Any]], commands: list[Command], new: list[Decision]) -> None:
        left = list(commands)
        for one in wanted:
            found = next((command for command in left if self._is(command, one)), None)
            assert found is not None, f"no command {one} among {self._shown(left)}\n{_told(new)}"
            left.remove(found)
        assert not left, f"not expected: {self._shown(left)}\n{_told(new)}"

    def _is(self, command: Command, wanted: dict[str, Any]) -> bool:
        fields = {name: self._world.value(value) for name, value in wanted.get("fields", {}).items()}
        return (
            self._is_verb(command, wanted)
            and all(_matches(command.fields.get(name), value) for name, value in fields.items())
            and not set(wanted.get("without", ())) & command.fields.keys()
            and wanted.get("owner", command.owner) == command.owner
            and wanted.get("if_unmodified") in (None, format_instant(command.if_unmodified or 0))
            and (list(command.key) if command.key else None) == wanted.get("key", list(command.key or ()) or None)
        )

    def _is_verb(self, command: Command, wanted: dict[str, Any]) -> bool:
        (verb,) = wanted.keys() - {"fields", "without", "owner", "key", "if_unmodified"}
        subject = wanted[verb]
        if command.operation != verb:
            return False
        if verb in ("notify", "email"):
            to = [subject] if isinstance(subject, str) else subject
            return bool(command.fields["to"] == to)
        if verb in _WITHOUT_TAB:
            return bool(command.fields["url" if verb == "webhook" else "subject"] == subject)
        if verb in ("create", "upsert"):
            return command.tab == self._world.tabs[subject]
        return f"{command.tab}/{command.record_id}" == self._world.named(subject)

    def _decision(self, wanted: Mapping[str, Any], new: list[Decision]) -> None:
        found = [
            one for one in new
            if one.kind == wanted["kind"] and one.rule == wanted.get("rule", one.rule)
            and str(wanted.get("reason", "")) in one.reason
        ]  # fmt: skip
        times = wanted.get("times")
        assert len(found) == times if times is not None else found, f"{wanted} is not among\n{_told(new)}"

    def _timers(self, wanted: list[dict[str, str]]) -> None:
        waiting = sorted(
            (timer.rule.partition("/")[2], format_instant(timer.due)) for timer in self._world.timers() if timer.due
        )
        assert waiting == sorted((one["rule"], one["due"]) for one in wanted), f"what waits is {waiting}"

    def _shown(self, commands: list[Command]) -> list[str]:
        return [f"{described(one, self._world)} {one.fields} owner={one.owner}" for one in commands]


def _matches(found: Any, wanted: Any) -> bool:
    """Equal values; of a wanted text with ``…`` at an end, the part; of a mapping, the keys named."""
    if isinstance(wanted, str) and isinstance(found, str) and "…" in wanted:
        return all(part in found for part in wanted.split("…"))
    if isinstance(wanted, dict) and isinstance(found, dict):
        return all(_matches(found.get(key), value) for key, value in wanted.items())
    return found == wanted or (not isinstance(found, dict | list) and same(found, wanted))


def _told(decisions: Sequence[Decision]) -> str:
    return "decided:\n" + "\n".join(
        f"  {one.kind} {one.rule} {one.anchor} {one.step} {one.reason}" for one in decisions
    )
