"""``renkei demo``: the example projects in the sandbox, told as a sales manager would like to hear it."""

import signal
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from renkei.commands.run import counts_of
from renkei.folder import Folder
from renkei.parts import FlowPart, Part
from renkei.practice import Player, Story, on_the_range, read_story
from renkei.printing import print_journey, print_sandbox
from renkei.runner import settle
from renkei.timeline import JourneyReport, journeys
from renkei.wiring import asked_of, discover, locked, parts
from sandbox.clock import Clock
from sandbox.server import Sandbox
from schemas.codec import to_json
from schemas.values import parse_instant

EXAMPLES = Path(__file__).parents[2] / "examples"
SHOWN = ("customer_journey", "won_and_contracted")


def demo(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the sandbox running for a look around.")] = False,
) -> None:
    """Run two customer journeys through three practice CRMs, and tell what happened."""
    console = Console(stderr=as_json)
    with ExitStack() as opened:
        clock = Clock()
        clock.set(parse_instant(read_story(EXAMPLES / SHOWN[0] / "story.yaml").starts))
        sandbox = opened.enter_context(Sandbox(clock=clock))
        state = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="renkei-demo-")))
        shown = list(_run_all(sandbox, state, console))
        if as_json:
            typer.echo(to_json(_summary(shown)).decode())
        else:
            _tell(console, sandbox, shown)
        if keep:
            console.print("\nThe sandbox is still running; stop it with Ctrl-C.")
            print_sandbox(console, sandbox)
            sandbox.clock.follow_the_wall()
            signal.sigwait({signal.SIGINT, signal.SIGTERM})


class Shown:
    """What one example project did in the sandbox."""

    def __init__(self, story: Story, counts: dict[str, int], reports: list[JourneyReport], folder: Folder) -> None:
        self.story, self.counts, self.reports, self.folder = story, counts, reports, folder


def _run_all(sandbox: Sandbox, state: Path, console: Console) -> Iterator[Shown]:
    stories = {name: read_story(EXAMPLES / name / "story.yaml") for name in SHOWN}
    total = sum(len(story.steps) for story in stories.values())
    with Progress(
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total} steps"),
        console=console, transient=True,
    ) as progress:  # fmt: skip
        task = progress.add_task("starting the practice CRMs", total=total)
        for name, story in stories.items():
            folder = on_the_range(EXAMPLES / name, sandbox, state / name)
            yield _run(folder, story, sandbox, progress, task)


def _run(folder: Folder, story: Story, sandbox: Sandbox, progress: Progress, task: Any) -> Shown:
    """Play one story, everything brought to rest after each step."""
    effects = len(_keys(sandbox))
    folder = discover(folder, asked_of(folder, folder.compile().book))
    edition = folder.compile()
    edition.problems.refuse()
    opened: list[Part] = []
    player = Player(story, sandbox, folder)
    with locked(folder.state) as file:
        try:
            for make in parts(folder, edition.book, file, sandbox.clock.now).values():
                opened.append(make())  # noqa: PERF401 - those opened are closed, whatever happens
            settle(opened, sandbox.clock.now)
            for step in player.play():
                progress.update(task, description=f"{story.title}: {step.tab}", advance=1)
                settle(opened, sandbox.clock.now)
            flow = next(part for part in opened if isinstance(part, FlowPart)).flow
            counts = counts_of(opened)
            counts["duplicates"] = _twice(_keys(sandbox)[effects:])
            return Shown(story, counts, journeys(flow, folder.metadata), folder)
        finally:
            for part in opened:
                part.close()


def _keys(sandbox: Sandbox) -> list[str]:
    """The keys under which Renkei created records, from the sandbox's own ledgers."""
    found: list[str] = []
    for crm in (sandbox.zoho, sandbox.salesforce, sandbox.vtiger):
        for effect in crm.ledger():
            key = next((value for name, value in effect.fields.items() if name.lower().endswith(_KEY_FIELDS)), None)
            if effect.operation == "insert" and isinstance(key, str) and key:
                found.append(key)
    return found


_KEY_FIELDS = ("renkei_key", "renkei_key__c")


def _twice(keys: list[str]) -> int:
    return len(keys) - len(set(keys))


def _summary(shown: list[Shown]) -> dict[str, Any]:
    """One object for scripts: the sums, and each project with its journeys."""
    names = ("changes", "commands", "applied", "duplicates", "parked", "unknown", "journeys")
    sums: dict[str, Any] = {name: sum(one.counts[name] for one in shown) for name in names}
    sums["projects"] = [
        {
            "project": one.folder.settings.project,
            **{name: one.counts[name] for name in names},
            "timelines": [asdict(report) for report in one.reports],
        }
        for one in shown
    ]
    return sums


def _tell(console: Console, sandbox: Sandbox, shown: list[Shown]) -> None:
    for one in shown:
        console.rule(one.story.title)
        for report in one.reports:
            print_journey(console, report)
        counts = one.counts
        console.print(
            f"[dim]{counts['changes']} changes seen, {counts['commands']} commands, {counts['applied']} applied, "
            f"{counts['duplicates']} twice, {counts['unknown']} unknown, {counts['parked']} parked[/dim]\n"
        )
    console.print(
        f"Mail sent: {len(sandbox.mail.messages())}. All of it over real HTTP and SMTP, on this machine only."
    )
    console.print("\n[bold]Next:[/bold] renkei init my-journey   [dim](or look around: renkei demo --keep)[/dim]")
