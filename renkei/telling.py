"""Running the stories of workflow files in the test driver, and saying what came instead of what was expected."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from renkei.stories import DEEDS, MESSAGES, Line, Story
from rules.actions.base import who_named, who_texts
from rules.actions.messages import MAIL
from rules.book import Book, Workflow
from schemas.commands import Command
from schemas.decisions import Decision
from schemas.values import id_of, ref, same
from streams.explaining import shown_ref
from streams.testing import Driver

_OPERATIONS = {"email": ("email", MAIL)}
"""The operations of commands that a message may be, where they are not called like its verb."""
_WORDS = {"task": "subject", "event": "subject", "call": "subject", "note": "text"}
"""The field of a command by which a message is named, where that is not an address."""

Found = Sequence[Command] | Sequence[Decision]


@dataclass(frozen=True)
class Failed:
    """One expectation that did not come true."""

    line: Line
    problem: str


@dataclass(frozen=True)
class Told:
    """What became of one story: what failed, and all that came, in words."""

    story: Story
    failed: tuple[Failed, ...]
    came: tuple[str, ...]


def tell(story: Story, workflow: Workflow, book: Book) -> Told:
    """Run one story. What is given is found by a first load and fires nothing; only what follows counts."""
    driver = Driver(book, loaded=False)
    _given(driver, story, workflow)
    commands, decisions = len(driver.commands()), len(driver.decisions())
    for line in story.when:
        _happen(driver, line, workflow)
    seen = _Seen(workflow, book, driver.commands()[commands:], driver.decisions()[decisions:])
    failed = tuple(Failed(line, problem) for line in story.expect if (problem := seen.problem(line)))
    return Told(story, failed, tuple(seen.words()))


def _given(driver: Driver, story: Story, workflow: Workflow) -> None:
    """The records that there are first, then that they are all, then what happened before the story begins."""
    tabs = workflow.tabs
    rest = list(story.given)
    while rest and rest[0].verb == "create":
        line = rest.pop(0)
        driver.load(tabs[line.subject], line.record_id, **line.fields)
    driver.loaded(*driver.book.read_fields)
    for line in rest:
        _happen(driver, line, workflow)


def _happen(driver: Driver, line: Line, workflow: Workflow) -> None:
    match line.verb:
        case "advance":
            driver.advance(str(line.subject))
        case "at":
            driver.move_to(str(line.subject))
        case "signal":
            alias = line.options.get("on") or workflow.source.main_tab
            driver.signal(ref(workflow.tabs[alias], line.record_id), str(line.subject))
        case "create":
            driver.create(workflow.tabs[line.subject], line.record_id, **line.fields)
        case "update":
            driver.update(workflow.tabs[line.subject], line.record_id, **line.fields)
        case "delete":
            driver.delete(workflow.tabs[line.subject], line.record_id)


class _Seen:
    """What came after the story began, and whether that is what was expected."""

    def __init__(
        self, workflow: Workflow, book: Book, commands: Sequence[Command], decisions: Sequence[Decision]
    ) -> None:
        self._workflow, self._book = workflow, book
        self._commands, self._decisions = commands, decisions

    def problem(self, line: Line) -> str:
        """What is wrong with an expectation; empty if it came true."""
        if line.verb == "nothing":
            return f"nothing was expected, {_count(len(self._commands), 'command')} came" if self._commands else ""
        found = len(self._found(line))
        times = line.options.get("times")
        if found == times or (times is None and found):
            return ""
        wanted = "at least once" if times is None else _times(times)
        return f"expected {wanted}, came {_times(found)}"

    def words(self) -> Iterator[str]:
        """All that came, a line each, and what was held back."""
        for command in self._commands:
            yield _told(command)
        for one in self._decisions:
            if one.kind in ("suppressed", "unknown", "failed", "alarm"):
                yield f"{one.kind}: {one.rule} on {shown_ref(one.anchor)}: {one.reason}"

    def _found(self, line: Line) -> Found:
        if line.verb == "fires":
            wanted = str(line.options.get("on") or "")
            return [
                one for one in self._decisions
                if one.kind == "fired" and one.rule == line.subject and (not wanted or id_of(one.anchor) == wanted)
            ]  # fmt: skip
        if line.verb in MESSAGES:
            operations = _OPERATIONS.get(line.verb, (line.verb,))
            return [one for one in self._commands if one.operation in operations and self._is_message(line, one)]
        if line.verb in DEEDS:
            return [one for one in self._commands if one.operation == line.verb and self._is_deed(line, one)]
        return [one for one in self._commands if self._is_write(line, one)]

    def _is_write(self, line: Line, command: Command) -> bool:
        operation = "update" if line.verb == "assign" else line.verb
        if command.operation != operation or command.tab != self._workflow.tabs[line.subject]:
            return False
        if line.record_id and line.record_id not in (command.record_id, (command.key or ("", ""))[1]):
            return False
        if line.verb == "assign" and not self._is_owner(line, command):
            return False
        related = line.options.get("related_to")
        return self._has_fields(line, command) and (related is None or self._is_related(command, str(related)))

    def _is_deed(self, line: Line, command: Command) -> bool:
        if command.tab != self._workflow.tabs[line.subject] or line.record_id not in ("", command.record_id):
            return False
        said = {name: line.options[name] for name in DEEDS[line.verb] if name in line.options}
        return all(command.fields.get("transition" if name == "take" else name) == said[name] for name in said)

    def _is_owner(self, line: Line, command: Command) -> bool:
        owner = line.options.get("owner")
        return bool(command.owner) and (owner is None or command.owner == self._who(str(owner)))

    def _has_fields(self, line: Line, command: Command) -> bool:
        return all(name in command.fields and same(command.fields[name], value) for name, value in line.fields.items())

    def _is_related(self, command: Command, record_id: str) -> bool:
        """Whether a command belongs to a record: its journey, its anchor, or a lookup of the new record names it."""
        named = (id_of(command.journey), id_of(command.anchor), *map(str, command.fields.values()))
        return record_id in named

    def _is_message(self, line: Line, command: Command) -> bool:
        rule = self._book.rule(f"{command.workflow}/{command.rule}")
        step = rule.steps.get(command.step) if rule is not None else None
        template, subject = line.options.get("template"), line.options.get("subject")
        if step is None or (template is not None and getattr(step.action, "template", None) != template):
            return False
        if subject is not None and str(command.fields.get("subject", "")) != str(subject):
            return False
        written = getattr(step.action, line.verb)
        to = command.fields.get("to", [])
        sides = {self._who(str(line.subject)), str(line.subject), f"user:{line.subject}"}
        came = str(command.fields.get(_WORDS.get(line.verb, "url"), ""))
        return bool(sides & {*map(str, to), came}) or written == line.subject

    def _who(self, source: str) -> str:
        """A person or group as commands name it; a path into a record stays as it is written."""
        named = None if who_texts(source) else who_named(source, self._workflow.teams, None)
        return named if isinstance(named, str) else source


def _told(command: Command) -> str:
    """A command in one line; the values are the story's own."""
    target = f"{command.tab.replace(':', '.', 1)}" + (f"/{command.record_id}" if command.record_id else "")
    shown = {name: value for name, value in command.fields.items() if name not in ("body", "html")}
    fields = ", ".join(f"{name}: {_value(value)}" for name, value in shown.items())
    owner = f", owner {command.owner}" if command.owner else ""
    where = shown_ref(command.anchor)
    return f"{command.operation} {target} {{{fields}}}{owner} (rule {command.rule} on {where})"


def _value(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _times(count: int) -> str:
    return {0: "never", 1: "once", 2: "twice"}.get(count, f"{count} times")


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
