"""Seeds: tabs, users, teams and first records of the practice CRMs, in our words, from a file or a dict."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator
from ruamel.yaml import YAML

from schemas.metadata import ConnectionMetadata, Tab, Team, User
from schemas.values import Amount, Value, format_instant, parse_instant

JOURNEY = Path(__file__).parent / "seeds" / "journey.yaml"
"""The customer journey of the examples: deal, demo, feedback, onboarding, training; contract; project."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TransitionSeed(_Strict):
    """One transition of a blueprint: from which states, to which one, and what must be told with it."""

    name: str
    at: tuple[str, ...]
    to: str
    needs: tuple[str, ...] = ()


class BlueprintSeed(_Strict):
    """A blueprint over one picklist field of a tab (Zoho)."""

    field: str
    transitions: tuple[TransitionSeed, ...]

    def numbered(self) -> Iterable[tuple[int, TransitionSeed]]:
        """The transitions with the numbers that their ids are made of."""
        return enumerate(self.transitions, 1)


class CrmSeed(_Strict):
    """What one practice CRM starts with."""

    integration_user: str = ""
    """The id of the user whom the API credentials belong to; the first user where it is not said."""
    person: str = ""
    """The id of the user who edits by hand; the first other active user where it is not said."""
    timezone: str = "UTC"
    """The zone in which the CRM writes instants, where its dialect has one."""
    users: tuple[User, ...] = ()
    teams: tuple[Team, ...] = ()
    tabs: dict[str, Tab] = {}
    records: dict[str, tuple[dict[str, Any], ...]] = {}
    """First records by tab; ``id`` may be given in the vendor's form."""
    options: dict[str, str] = {}
    """How the CRM is set up, in its own words; ``Crm.options`` changes it while it runs (Vtiger only)."""
    native: dict[str, dict[str, Any]] = {}
    """The vendor's own description of a tab, given back to the letter where there is one (Vtiger's describe)."""
    relations: dict[str, dict[str, str]] = {}
    """The related lists of a tab, label to tab; without them those of its lookups (Vtiger only)."""
    blueprints: dict[str, BlueprintSeed] = {}
    """Blueprints by tab (Zoho)."""
    scopes: tuple[str, ...] = ()
    """What API clients were granted, in the vendor's words (Zoho); everything where nothing is said."""

    @model_validator(mode="before")
    @classmethod
    def _names_from_keys(cls, content: Any) -> Any:
        """Tabs and fields take their names from their keys, so that a seed says each name once."""
        if not isinstance(content, dict) or not isinstance(content.get("tabs"), dict):
            return content
        return {**content, "tabs": {name: _named_tab(name, tab) for name, tab in content["tabs"].items()}}

    def metadata(self, connection: str) -> ConnectionMetadata:
        """The seed's tabs, users and teams as a connection's metadata."""
        return ConnectionMetadata(connection=connection, tabs=self.tabs, users=self.users, teams=self.teams)


class Seed(_Strict):
    """What the practice range starts with."""

    zoho: CrmSeed = CrmSeed()
    salesforce: CrmSeed = CrmSeed()
    vtiger: CrmSeed = CrmSeed()


def load_seed(source: Seed | Mapping[str, Any] | Path | str) -> Seed:
    """The seed from a file (YAML or JSON) or a dict.

    Raises:
        pydantic.ValidationError: an unknown key or a value of the wrong shape; the message names it.
    """
    if isinstance(source, Seed):
        return source
    content = source if isinstance(source, Mapping) else _read(Path(source))
    return Seed.model_validate(content)


def field_value(value: object) -> Value:
    """A value of a seed file or of a person's hand as a field value: exact decimals, dates as text.

    Raises:
        TypeError: nothing that a field can hold.
    """
    if value is None or isinstance(value, bool | int | str | Amount):
        return value
    if isinstance(value, list | tuple):
        return [field_value(item) for item in value]
    if isinstance(value, datetime):
        return format_instant(parse_instant(value.isoformat()))
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float):
        return Amount(repr(value))
    raise TypeError(f"a {type(value).__name__} cannot be a field value")


def _read(path: Path) -> Any:
    return YAML(typ="safe").load(path.read_text(encoding="utf-8"))


def _named_tab(name: str, tab: Any) -> Any:
    if isinstance(tab, Tab) or not isinstance(tab, dict):
        return tab
    fields = {key: _named_field(key, field) for key, field in (tab.get("fields") or {}).items()}
    return {"name": name, "label": name.replace("_", " "), **tab, "fields": fields}


def _named_field(name: str, field: Any) -> Any:
    return {"name": name, "label": name.replace("_", " "), **field} if isinstance(field, dict) else field
