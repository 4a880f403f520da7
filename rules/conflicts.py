"""Two rules of one round writing the same field: the last by priority wins, and the trace names the loser (D-45)."""

import msgspec

from rules.rounds import Round
from rules.state import Fire, Sent
from schemas.commands import Command
from schemas.values import same


def settle_conflicts(round_: Round) -> list[Fire]:
    """Take from earlier updates of the round every field that a later one gives another value.

    Returns the fires that wait for nothing any more, because all that their step would have written is overruled.
    """
    freed: list[Fire] = []
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
        if lost and (fire := _overrule(round_, command, lost)) is not None:
            freed.append(fire)
    return freed


def _updates(round_: Round) -> list[Command]:
    return [command for command in round_.commands if command.operation == "update" and command.record_id]


def _overrule(round_: Round, command: Command, lost: dict[str, Command]) -> Fire | None:
    """Take the lost fields out of a command; the fire that has no command left, if there is none."""
    kept = {name: value for name, value in command.fields.items() if name not in lost}
    winner = next(iter(lost.values()))
    index = round_.commands.index(command)
    rule = round_.book.rule(f"{command.workflow}/{command.rule}")
    names = ", ".join(sorted(lost))
    round_.decide(
        "suppressed", rule, command.anchor, fire=command.fire, step=command.step, chain=command.chain,
        reason=f"overruled: {winner.workflow}/{winner.rule} writes {names} in the same round",
    )  # fmt: skip
    fire = round_.memory.fires.get(command.fire)
    if kept or command.owner:
        round_.commands[index] = msgspec.structs.replace(command, fields=kept)
        if fire is not None and command.id in fire.sent:
            fire.sent[command.id] = Sent(fire.sent[command.id].ref, kept, command.lane)
        return None
    del round_.commands[index]
    if fire is None:
        return None
    fire.awaits.remove(command.id)
    del fire.sent[command.id]
    return fire if not fire.awaits else None
