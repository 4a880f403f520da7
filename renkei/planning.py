"""What shall go wrong in the practice CRMs, as a file says it: for ``renkei sandbox --faults``."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from rules.durations import Duration
from rules.source import read_yaml
from rules.validation import validate
from sandbox.faults import Fault, What
from sandbox.salesforce.changes import Planned, Spoil
from sandbox.server import Sandbox


def _length(text: str) -> str:
    Duration.parse(text).elapsed()
    return text


Length = Annotated[str, AfterValidator(_length)]


class PlannedFault(BaseModel):
    """One thing that goes wrong."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    crm: Literal["zoho", "salesforce", "vtiger"]
    do: What = Field(description="What goes wrong.")
    where: str = Field("", description="A regular expression searched in `METHOD path?query form`.")
    share: float | int = Field(1.0, gt=0, le=1, description="The part of the calls that it hits.")
    times: int | None = Field(None, ge=1, description="How many calls; with `lasts` all in that time, else one.")
    skip: int = Field(0, ge=0, description="How many calls pass before.")
    begins: Length | None = Field(None, description="How long after the start: `30 seconds`.")
    lasts: Length | None = Field(None, description="For how long: `1 minute`.")
    status: int = Field(429, ge=400, le=599, description="Of `status`.")
    after: float | int = Field(0, ge=0, description="Of `status`: seconds, as a Retry-After header.")
    seconds: float | int = Field(0, ge=0, description="Of `delay` and `late`.")
    row: int = Field(0, ge=0, description="Of `fail_row`: which row.")

    def fault(self, now: int) -> Fault:
        """It as a sandbox takes it that starts now."""
        since = now + Duration.parse(self.begins).elapsed() if self.begins else now if self.lasts else 0
        until = since + Duration.parse(self.lasts).elapsed() if self.lasts else None
        times = self.times or (2**62 if self.lasts else 1)
        return Fault(
            self.do, self.where, times, self.skip, self.status, float(self.seconds), self.row, float(self.share),
            since, until, float(self.after),
        )  # fmt: skip


class PlannedEvent(BaseModel):
    """What goes wrong with Salesforce's change events (Pub/Sub) of one object."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    tab: str = Field(description="The object.")
    do: Spoil = Field(description="A gap, one that names no record, an overflow, or an event lost or repeated.")
    times: int = Field(1, ge=1, description="How many events.")
    skip: int = Field(0, ge=0, description="How many events pass before.")


class FaultsFile(BaseModel):
    """The whole file; ``ahead`` is by how much a CRM's own clock is wrong."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    faults: list[PlannedFault] = []
    events: list[PlannedEvent] = []
    ahead: dict[Literal["zoho", "salesforce", "vtiger"], int] = Field({}, description="Seconds; less than 0: behind.")


def read_faults(path: Path) -> FaultsFile:
    """The plan of a file. Raises WorkflowError where it is wrong."""
    return validate(FaultsFile, read_yaml(path.read_bytes(), path.name))


def plan_faults(sandbox: Sandbox, plan: FaultsFile) -> list[str]:
    """Let it happen in a sandbox that starts now; what will, in words. Raises SandboxError: no such object."""
    told: list[str] = []
    for one in plan.faults:
        crm, fault = sandbox.crm(one.crm), one.fault(sandbox.clock.now())
        crm.faults.add(fault)
        standard = asdict(Fault(fault.do))
        told.append(f"{one.crm}: {one.do} " + ", ".join(
            f"{name} {value}" for name, value in one.model_dump(exclude={"crm", "do"}, exclude_defaults=True).items()
            if value != standard.get(name)
        ))  # fmt: skip
    for event in plan.events:
        sandbox.salesforce.records(event.tab)  # an object that is not there is told now
        sandbox.pubsub.service.log.plan(Planned(event.do, event.tab, event.times, event.skip))
        told.append(f"salesforce: {event.do} for {event.times} events of {event.tab}")
    for name, seconds in plan.ahead.items():
        sandbox.crm(name).clock.ahead = seconds * 1000
        told.append(f"{name}: its clock is {seconds} s ahead")
    return told
