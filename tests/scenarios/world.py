"""The small world of a scenario: a driver that knows records by alias, whose clock stops at every timer on its way."""

from collections.abc import Callable
from typing import Any

from rules.durations import Duration
from rules.state import Fire, Timer
from schemas.commands import Applied, Command, Outcome, Rejected, Uncertain
from schemas.values import Ref, id_of, parse_instant, ref
from streams.journeystate import Journey
from streams.testing import Driver, Runtime
from tests.scenarios.story import Step, Story


class World(Driver):
    """Plays the steps of a story on one runtime."""

    def __init__(self, story: Story, runtime: Runtime) -> None:
        """The runtime is opened on the story's book and limits."""
        scenario = story.scenario
        book = story.book
        self.story = story
        super().__init__(book, runtime, loaded=False, applies=scenario.answers == "at once")
        self.now = parse_instant(scenario.starts)
        self.tabs = {alias: tab for workflow in book.workflows for alias, tab in workflow.tabs.items()}
        self.aliases = {tab: alias for alias, tab in self.tabs.items()}
        waiting = {self.tabs[alias] for alias in scenario.not_loaded}
        self.loaded(*sorted(book.read_fields.keys() - waiting))
        self._last: dict[Ref, Any] = {}
        self._doing: dict[str, Callable[[Step], None]] = {
            "create": self._create, "update": self._update, "delete": self._delete, "undelete": self._undelete,
            "merge": self._merge, "load": self._load, "crm_has": self._crm_has, "loaded": self._loaded,
            "again": self._again, "signal": self._signal, "advance": self._advance, "at": self._at,
            "outage": self._outage, "crm_refuses": self._crm_refuses, "crm_accepts": self._crm_accepts,
            "answer": self._answer, "resume": self._resume,
        }  # fmt: skip

    def play(self, step: Step) -> None:
        """One step; it must say exactly one thing to do."""
        (key,) = [key for key in self._doing if getattr(step, key) is not None]
        self._doing[key](step)
        assert not self.runtime.parked()

    # -- looking --------------------------------------------------------------

    def named(self, name: str) -> Ref:
        """``deal D1`` as a record; ``the onboarding`` is the newest one that Renkei made."""
        first, _, second = name.partition(" ")
        if first == "the":
            return [one for one in self.records if one.startswith(f"{self.tabs[second]}/new-")][-1]
        return ref(self.tabs[first], second)

    def value(self, value: Any) -> Any:
        """A field value of the file; ``the onboarding`` is its id."""
        if isinstance(value, str) and value.startswith("the ") and value[4:] in self.tabs:
            return id_of(self.named(value))
        return value

    def journeys(self) -> list[Journey]:
        """All journeys that are held."""
        return [state for _, state in self.runtime.states("journeys")]

    def timers(self) -> list[Timer]:
        """All timers that wait."""
        return [timer for one in self.journeys() for timer in one.rules.timers.values() if timer.due is not None]

    def attention(self) -> list[tuple[Ref, Fire]]:
        """The fires that need attention, with their journeys."""
        return [
            (one.main, fire) for one in self.journeys() for fire in one.rules.fires.values()
            if fire.state == "attention"
        ]  # fmt: skip

    # -- doing --------------------------------------------------------------

    def _fields(self, step: Step) -> dict[str, Any]:
        return {name: self.value(value) for name, value in step.with_.items()}

    def _create(self, step: Step) -> None:
        name = self.named(step.create or "")
        self.create(*_split(name), None, **self._fields(step))

    def _update(self, step: Step) -> None:
        self.update(*_split(self.named(step.update or "")), None, **self._fields(step))

    def _delete(self, step: Step) -> None:
        name = self.named(step.delete or "")
        self._last[name] = self.records[name]
        self.delete(*_split(name))

    def _undelete(self, step: Step) -> None:
        name = self.named(step.undelete or "")
        self.records[name] = self._last[name]
        self.say(self.event(*_split(name), "undelete", self.records[name]))

    def _merge(self, step: Step) -> None:
        name = self.named(step.merge or "")
        del self.records[name]
        self.say(self.event(*_split(name), "merge", None))

    def _load(self, step: Step) -> None:
        self.load(*_split(self.named(step.load or "")), **self._fields(step))

    def _crm_has(self, step: Step) -> None:
        """The CRM holds other values than we have heard of."""
        name = self.named(step.crm_has or "")
        self.store(name, {**self.records[name], **self._fields(step)})

    def _loaded(self, step: Step) -> None:
        aliases = step.loaded if isinstance(step.loaded, list) else [step.loaded or ""]
        self.loaded(*(self.tabs[alias] for alias in aliases))

    def _again(self, step: Step) -> None:
        name = self.named(step.again or "")
        event = self.event(*_split(name), "update", self.records[name])
        self.say(event, event)
        self.say(event)

    def _signal(self, step: Step) -> None:
        self.signal(self.named(step.on), step.signal or "")

    def _advance(self, step: Step) -> None:
        self.advance(step.advance or "")

    def _at(self, step: Step) -> None:
        assert parse_instant(step.at or "") >= self.now, "time does not run backwards"
        self.move_to(step.at or "")

    def _outage(self, step: Step) -> None:
        self.jump_to(self.now + Duration.parse(step.outage or "").elapsed())

    def _crm_refuses(self, step: Step) -> None:
        self.refuse(step.crm_refuses or "", step.code)

    def _crm_accepts(self, step: Step) -> None:
        self.accept(step.crm_accepts or "")

    def _answer(self, step: Step) -> None:
        command = next(
            one for one in self.commands() if one.id not in self._answered and described(one, self) == step.to
        )
        record = command.record_id or f"new-{command.id[:8]}"
        outcome: Outcome
        if step.answer == "applied":
            fields = {**command.fields, **step.with_}
            outcome = Applied(
                command_id=command.id, record_id=record, url=f"https://crm.example/{record}", fields=fields
            )
        elif step.answer == "rejected":
            outcome = Rejected(command_id=command.id, code=step.code, reason="refused")
        else:
            outcome = Uncertain(command_id=command.id, reason="no answer")
        self.answer(command, outcome)
        self.answer(command, outcome)  # outcomes are repeated as anything else

    def _resume(self, step: Step) -> None:
        ((journey, fire),) = self.attention()
        self.resume(journey, fire.id, step.resume or "")


def described(command: Command, world: World) -> str:
    """A command in few words: ``create onboarding``, ``update deal D1``, ``notify``."""
    alias = world.aliases.get(command.tab, "")
    return " ".join(part for part in (command.operation, alias, command.record_id) if part)


def _split(name: Ref) -> tuple[str, str]:
    tab, _, record_id = name.partition("/")
    return tab, record_id
