"""Journeys on the screen: a timeline with people on one side and Renkei on the other."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.markup import escape

from renkei.timeline import HandOver, JourneyReport, Moment
from sandbox.server import Sandbox

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def print_journey(console: Console, report: JourneyReport) -> None:
    """The journey as a timeline, then what was created, who was told, and how long hand-overs took."""
    console.print(f"\n[bold]{escape(report.title)}[/bold]  [dim]{report.workflow}, times in {report.zone}[/dim]")
    for line in _timeline(report, ZoneInfo(report.zone)):
        console.print(line, soft_wrap=True)
    if report.created:
        console.print("[bold]Created[/bold]")
        for one in report.created:
            console.print(f"  {_mark(one)}  [dim]{escape(one.where)}[/dim]", soft_wrap=True)
    if report.notified:
        console.print("[bold]Told[/bold]")
        for one in report.notified:
            console.print(f"  {escape(one.what.removeprefix('mailed '))}", soft_wrap=True)
    if report.hand_overs:
        console.print("[bold]Hand-overs[/bold]")
    for line in map(_hand_over, report.hand_overs):
        console.print(line, soft_wrap=True)
    console.print()


def print_sandbox(console: Console, sandbox: Sandbox) -> None:
    """Where the practice CRMs are, for a look around."""
    for crm in (sandbox.zoho, sandbox.salesforce, sandbox.vtiger):
        console.print(f"  {crm.kind:<11} {crm.url}")
    console.print(f"  {'pubsub':<11} {sandbox.pubsub.url}")
    console.print(f"  {'mail':<11} smtp://{sandbox.mail.host}:{sandbox.mail.port}")


def duration(milliseconds: int) -> str:
    """A length of time as people say it: ``3 days 2 hours``."""
    minutes = milliseconds // 60_000
    days, hours, minutes = minutes // 1440, minutes % 1440 // 60, minutes % 60
    parts = [(days, "day"), (hours, "hour"), (minutes, "minute")]
    told = [f"{count} {word}{'s' if count != 1 else ''}" for count, word in parts if count]
    return " ".join(told[:2]) or "at once"


def _timeline(report: JourneyReport, zone: ZoneInfo) -> Iterator[str]:
    day = ""
    for moment in report.moments:
        at = (_EPOCH + timedelta(milliseconds=moment.at)).astimezone(zone)
        if at.strftime("%d %b") != day:
            day = at.strftime("%d %b")
            yield f"[bold]{at.strftime('%A %d %B')}[/bold]"
        yield from _lines(moment, at.strftime("%H:%M"))


def _lines(moment: Moment, clock: str) -> Iterator[str]:
    """People stand at the margin, what Renkei did below them, with the reason."""
    what = f"{escape(moment.what)}  [dim]{escape(moment.where)}[/dim]"
    if moment.by != "Renkei":
        yield f"  {clock}  {escape(moment.by)} {what}"
        return
    yield f"           [cyan]Renkei[/cyan] {what}"
    yield f"             [dim]because {escape(moment.why)}[/dim]"


def _mark(moment: Moment) -> str:
    return escape(moment.what.removeprefix("created ").removeprefix("opened "))


def _hand_over(one: HandOver) -> str:
    teams = " → ".join(one.teams)
    waited = f"picked up {duration(one.waited)} after the stage before" if one.waited is not None else "first stage"
    took = f", done in {duration(one.took)}" if one.took is not None else ""
    return f"  {escape(one.stage)} [dim]({escape(teams)})[/dim]: {waited}{took}"
