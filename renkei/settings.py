"""``renkei.yaml``: one typed model of a project's settings, without secrets (style rule 10)."""

import re

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from connectors.settings import ConnectionSettings, Login, without_secret
from rules.calendar_config import CalendarConfig
from rules.durations import Duration
from rules.rounds import Limits
from schemas.keys import MAIN
from schemas.metadata import FieldType
from schemas.values import HOUR, MINUTE, SECOND, to_number

FILE = "renkei.yaml"
HALF_A_SECOND = SECOND // 2
_SECRET = re.compile(r"secret|passw|token|(access|api|private|consumer)[_ -]?key|credential")
"""What a key of a secret looks like; no option of ours does."""


class Part(BaseModel):
    """A part of the settings: frozen, strict, closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class FilePart(Part):
    """One file of a ``kind: file`` connection: JSON lines of change events, or a CSV of one tab."""

    path: str = Field(description="Relative to the project folder.")
    tab: str | None = Field(None, description="The tab of a CSV; JSON lines name theirs in each line.")
    id: str = Field("id", description="The CSV column that holds the record id.")
    time: str | None = Field(None, description="The CSV column that says when the row was true.")
    types: dict[str, FieldType] = Field({}, description="Column types; a column not named is text.")
    rename: dict[str, str] = Field({}, description="Column names and the field names they become.")


class ConnectionLimitsPart(Part):
    """What a connection may use, where that is not what its vendor allows everybody."""

    per_minute: int | None = Field(None, ge=1, description="Requests per minute.")
    at_once: int | None = Field(None, ge=1, description="Requests at once.")
    per_day: int | None = Field(None, ge=1, description="Units of the vendor per 24 hours: calls, or Zoho's credits.")


class ConnectionPart(Part):
    """One connection by its kind; credentials come from the environment or a 0600 file, never from here."""

    kind: str = Field(description="zoho, salesforce, vtiger, email, webhook, file, or an installed package's kind.")
    url: str = Field("", description="Where its API lives.")
    login_url: str = Field("", description="Where tokens are issued; the url itself where empty.")
    login: Login = Field("refresh_token", description="How a token is got: the OAuth flow; basic: Vtiger's cloud.")
    secrets: str = Field(
        "", description="Where its secrets are, beside environment and file: keyring, or an installed package's place."
    )
    web_url: str = Field("", description="Where people open its records.")
    allow_private: bool = Field(False, description="Whether private and loopback addresses may be used.")
    ca_file: str = Field("", description="Certificates (PEM) to be trusted instead of the usual ones: a path.")
    timeout: float | int = Field(30, description="Seconds to wait for an answer.")
    user: str = Field("", description="The record id of the user that we log in as.")
    zone: str = Field("UTC", description="The time zone of a CRM that writes times without one.")
    sender: str = Field("", description="The sender address of mails.")
    options: dict[str, str] = Field({}, description="What only this kind of connection knows.")
    key_field: str = Field("", description="The field that carries our key on records that we create.")
    may_delete: list[str] = Field([], description="The tabs from which workflows may delete records; no others.")
    poll: str = Field("30 seconds", description="How often each tab is asked for changes.")
    files: list[FilePart] = Field([], description="The files of a connection of kind file.")
    limits: ConnectionLimitsPart | None = Field(None, description="What it may use; the vendor's unless named.")

    @model_validator(mode="before")
    @classmethod
    def _holds_no_secret(cls, written: object) -> object:
        """Who reads the file reads its secrets, and so does who reads its history."""
        told = written if isinstance(written, dict) else {}
        for url in (told.get("url"), told.get("login_url")):
            if isinstance(url, str):
                without_secret(url)  # told at the connection, since the line of the url would be shown
        options = told.get("options") if isinstance(told.get("options"), dict) else {}
        for name in (*told, *(options or {})):
            if name not in cls.model_fields and _SECRET.search(str(name).lower()):
                raise ValueError(
                    f"'{name}' is a secret, and secrets do not stand in {FILE}: remove it here (and renew it, if others"
                    " have seen the file), then keep it by `renkei connect`, or as RENKEI_<CONNECTION>_<NAME>"
                )
        return written

    @field_validator("poll")
    @classmethod
    def _has_a_length(cls, poll: str) -> str:
        Duration.parse(poll).elapsed()
        return poll

    def settings(self, name: str) -> ConnectionSettings:
        """The connector's view of the connection."""
        own = {"key_field", "may_delete", "poll", "files", "secrets", "limits"}
        return ConnectionSettings(connection=name, **self.model_dump(exclude=own))


class LimitsPart(Part):
    """Protective limits."""

    hops: int = Field(10, ge=1, description="CRM writes in one causal chain (D-61).")
    fires_per_hour: int = Field(20, ge=1, description="Fires of one rule on one record (D-62).")
    grace_hours: int = Field(24, ge=0, description="How late a timer may run when nothing else is said (D-53).")

    def limits(self) -> Limits:
        """The engine's view of the limits."""
        return Limits(hops=self.hops, fires_per_hour=self.fires_per_hour, grace=self.grace_hours * HOUR)


class KafkaPart(Part):
    """Where and how a project runs on Kafka; without it, everything runs on one machine."""

    broker: str = Field("", description="kafka://host:port, or several hosts with commas; --broker goes before it.")
    partitions: int = Field(12, ge=1, le=1000, description="Partitions of each topic; it cannot change later.")
    replication: int = Field(1, ge=1, le=9, description="Copies of each partition; 3 where three brokers run.")
    spread: bool = Field(False, description="Whether one workspace is spread over all partitions.")
    session: str = Field("10 seconds", description="How long one may be silent before others take its work over.")
    schema_registry: str = Field("", description="The url of a schema registry, if there is one.")
    prefix: str = Field("", pattern=r"^[A-Za-z0-9._-]*$", description="Stands in front of every topic and group name.")

    @field_validator("session")
    @classmethod
    def _is_a_short_time(cls, session: str) -> str:
        if not HALF_A_SECOND <= Duration.parse(session).elapsed() <= 5 * MINUTE:
            raise ValueError("a session lasts between half a second and 5 minutes")
        return session


class ProjectFile(Part):
    """The whole file."""

    project: str = Field(pattern=r"^[\w][\w.-]*$", description="Its name, without spaces.")
    connections: dict[str, ConnectionPart] = Field({}, description="The CRMs, channels and files by name.")
    calendars: dict[str, CalendarConfig] = Field({}, description="Opening hours and holidays by name.")
    rates: dict[str, int | float | str] = Field(
        {}, description="What a unit of each currency is worth in one of them, for `currency(…)`: {EUR: 1, USD: 0.92}."
    )
    teams: dict[str, list[str]] = Field({}, description="Mail addresses of teams that no CRM tells.")
    limits: LimitsPart = Field(
        LimitsPart(hops=10, fires_per_hour=20, grace_hours=24),
        description="What protects against loops and old timers.",
    )
    workspace: str = Field(
        MAIN, pattern=r"^[a-z0-9_-]+$", description="Whose events these are, where several share a broker."
    )
    kafka: KafkaPart = Field(
        KafkaPart(
            broker="", partitions=12, replication=1, spread=False, session="10 seconds", schema_registry="", prefix=""
        ),
        description="Where and how it runs on Kafka.",
    )
    history: bool = Field(
        False, description="Whether files are history: their times drive the clock, and nothing waits."
    )

    @field_validator("rates")
    @classmethod
    def _are_worth_something(cls, rates: dict[str, int | float | str]) -> dict[str, int | float | str]:
        for code, rate in rates.items():
            if isinstance(rate, bool) or (value := to_number(str(rate))) is None or value <= 0:
                raise ValueError(f"the rate of {code} is a number above 0")
        return rates
