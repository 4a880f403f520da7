"""Two rules of one round writing the same field: the last by priority wins, and the trace names the loser (D-45)."""

import msgspec

from rules.rounds import Round
from rules.state import Fire
from schemas.commands import Command
from schemas.values import same


def settle_conflicts(round_: Round) -> None:
    """Take from earlier updates of the round every field that a later one gives another value."""
    last: dict[tuple[str, str, str], Command] = {}
    for command in sorted(_updates(round_), key=lambda command: command.priority):
        for name in command.fields:
            last[(command.tab, command.record_id, name)] = command
    for command in _updates(round_):
        lost = {
            name: winner
            for name, value in command.fields.items()
            if (winner := last[(command.tab, command.record_id, name)]) is not command
            and not same(winner.fields[name], value)
        }
        if lost:
            _overrule(round_, command, lost)


def _updates(round_: Round) -> list[Command]:
    return [command for command in round_.commands if command.operation == "update" and command.record_id]


def _overrule(round_: Round, command: Command, lost: dict[str, Command]) -> None:
    kept = {name: value for name, value in command.fields.items() if name not in lost}
    winner = next(iter(lost.values()))
    index = round_.commands.index(command)
    rule = round_.book.rule(f"{command.workflow}/{command.rule}")
    names = ", ".join(sorted(lost))
    round_.decide(
        "suppressed", rule, command.anchor, fire=command.fire, step=command.step, chain=command.chain,
        reason=f"overruled: {winner.workflow}/{winner.rule} writes {names} in the same round",
    )  # fmt: skip
    if kept or command.owner:
        round_.commands[index] = msgspec.structs.replace(command, fields=kept)
        return
    del round_.commands[index]
    fire = round_.memory.fires.get(command.fire)
    if fire is not None:
        _pass_over(fire, command.id)


def _pass_over(fire: Fire, command_id: str) -> None:
    """A step of which nothing is left counts as done; the fire goes on with the next message."""
    fire.awaits.remove(command_id)
    if not fire.awaits and fire.todo:
        fire.todo.pop(0)
        fire.state = "unready" if fire.todo else "running"
