"""Calendars as they are written in ``renkei.yaml``, and the public holidays of countries."""

from collections.abc import Iterable
from datetime import date
from typing import Annotated, Final, TypeAlias

import holidays
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from rules.calendars import ALWAYS, Calendar, Span, Week
from rules.civil import zone_of
from rules.suggest import suggest
from schemas.values import fold

HOLIDAY_YEARS: Final = range(2015, 2051)
"""The years for which a named country's holidays are known to a calendar."""

_WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTHS: Final = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip


def _iso_date(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise ValueError(f"'{value}' is no date: write one as 2026-01-31") from None


IsoDate: TypeAlias = Annotated[date, BeforeValidator(_iso_date)]


class Part(BaseModel):
    """A part of the configuration: frozen, strict, closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class HolidayConfig(Part):
    """Days on which a calendar is closed: public holidays of a country or region, further dates, or both."""

    country: str | None = Field(default=None, description="ISO country code, as JP or DE.")
    region: str | None = Field(default=None, description="Code of a state or province, as BY.")
    dates: list[IsoDate] = Field(default=[], description="Further days, as 2026-12-31.")


class CalendarConfig(Part):
    """A named calendar: time zone, opening hours, holidays, start of the week and of the fiscal year."""

    timezone: str = Field(default="UTC", description="IANA name, as Asia/Tokyo.")
    hours: dict[str, str | list[str]] = Field(
        default={},
        description="Days and times, as mon-fri: 09:00-18:00. Without it, always open but on holidays.",
    )
    holidays: str | list[IsoDate] | HolidayConfig = Field(
        default=[], description="A country code, dates, or {country, region, dates}."
    )
    week_start: str = Field(default="monday", description="The first day of the week.")
    fiscal_year_start: str | int = Field(
        default=1, description="The first month of the fiscal year, by name or number."
    )


def calendar_of(config: CalendarConfig, name: str = "") -> Calendar:
    """The calendar that a configuration describes.

    Raises:
        ValueError: an unknown zone, country, day or month, wrong hours, or a calendar that never opens.
    """
    return Calendar(
        name=name,
        zone=zone_of(config.timezone),
        week_start=_weekday(config.week_start),
        fiscal_start_month=_month(config.fiscal_year_start),
        hours=_week(config.hours) if config.hours else ALWAYS,
        holidays=_holidays(config.holidays),
    )


def holidays_of(country: str, years: Iterable[int] = HOLIDAY_YEARS, region: str | None = None) -> frozenset[date]:
    """The public holidays of a country, or of one of its regions, in some years.

    Raises:
        ValueError: the country or region is not known.
    """
    known = holidays.list_supported_countries()
    if country not in known:
        raise ValueError(f"there is no country '{country}'{_hint(country.upper(), known)}: write a code as JP or DE")
    regions = known[country]
    if region is not None and region not in regions:
        raise ValueError(f"'{country}' has no region '{region}'{_hint(region.upper(), regions)}")
    return frozenset(holidays.country_holidays(country, subdiv=region, years=set(years)))


def _holidays(config: str | list[date] | HolidayConfig) -> frozenset[date]:
    if isinstance(config, str):
        return holidays_of(config)
    if isinstance(config, list):
        return frozenset(config)
    if config.country is None:
        return frozenset(config.dates)
    return holidays_of(config.country, region=config.region) | frozenset(config.dates)


def _week(hours: dict[str, str | list[str]]) -> Week:
    week: dict[int, tuple[Span, ...]] = {}
    for days, spans in hours.items():
        texts = [spans] if isinstance(spans, str) else spans
        shifts = () if texts == ["closed"] else tuple(sorted(_span(text) for text in texts))
        for day in _days(days):
            if day in week:
                raise ValueError(f"hours: {_WEEKDAYS[day]} is given twice")
            week[day] = shifts
    return tuple(week.get(day, ()) for day in range(7))


def _days(text: str) -> list[int]:
    """``mon-fri``, ``sat`` or ``mon, wed``; a range may run over the weekend."""
    days: list[int] = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        start = _weekday(first)
        length = (_weekday(last) - start) % 7 if dash else 0
        days += [(start + offset) % 7 for offset in range(length + 1)]
    return days


def _span(text: str) -> Span:
    opens, dash, closes = text.partition("-")
    if not dash:
        raise ValueError(f"hours: '{text}' is no time span: write one as '09:00-18:00', or 'closed'")
    start, end = _minute(opens), _minute(closes)
    return start, end if end > start else end + 24 * 60


def _minute(text: str) -> int:
    hour, colon, minute = fold(text).partition(":")
    valid = colon and hour.isdecimal() and minute.isdecimal() and len(minute) == 2
    minutes = int(hour) * 60 + int(minute) if valid and len(hour) <= 2 and int(minute) < 60 else -1
    if not 0 <= minutes <= 24 * 60:
        raise ValueError(f"hours: '{text.strip()}' is no time of day: write one as '09:00'")
    return minutes


def _weekday(text: str) -> int:
    return _named(text, _WEEKDAYS, "day of the week")


def _month(value: str | int) -> int:
    if isinstance(value, str):
        return _named(value, _MONTHS, "month") + 1
    if not 1 <= value <= 12:
        raise ValueError(f"fiscal_year_start: {value} is no month: use 1 to 12 or a name")
    return value


def _named(text: str, names: tuple[str, ...], kind: str) -> int:
    """The place of a name, which may be shortened to three letters or more."""
    word = fold(text)
    found = [index for index, name in enumerate(names) if len(word) >= 3 and name.startswith(word)]
    if len(found) != 1:
        raise ValueError(f"'{text}' is no {kind}{_hint(word, names)}: write one as '{names[0]}' or '{names[0][:3]}'")
    return found[0]


def _hint(word: str, names: Iterable[str]) -> str:
    close = suggest(word, names, at_most=1)
    return f" (did you mean '{close[0]}'?)" if close else ""
