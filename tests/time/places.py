"""Zones, calendars and instants that the stories share."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from rules.calendars import Calendar

BERLIN = ZoneInfo("Europe/Berlin")
NEW_YORK = ZoneInfo("America/New_York")
TOKYO = ZoneInfo("Asia/Tokyo")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
"""Half an hour of summer time."""
APIA = ZoneInfo("Pacific/Apia")
"""30 December 2011 never happened here."""
HAVANA = ZoneInfo("America/Havana")
"""The spring change skips midnight."""

ZONES = (BERLIN, NEW_YORK, TOKYO, LORD_HOWE, APIA, HAVANA)

OFFICE = Calendar("office", BERLIN, hours=(((9 * 60, 18 * 60),),) * 5 + ((), ()))
"""Monday to Friday, 09:00 to 18:00."""


def utc(text: str) -> int:
    """Milliseconds since the epoch of a UTC time."""
    return ms(datetime.fromisoformat(text).replace(tzinfo=UTC))


def at(text: str, zone: ZoneInfo, fold: int = 0) -> int:
    """Milliseconds since the epoch of a wall clock time."""
    return ms(datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold))


def ms(moment: datetime) -> int:
    """Milliseconds since the epoch."""
    return round(moment.timestamp() * 1000)


def wall(instant: int, zone: ZoneInfo) -> str:
    """What the wall clock shows, with its offset from UTC."""
    return datetime.fromtimestamp(instant / 1000, zone).isoformat(timespec="minutes")
