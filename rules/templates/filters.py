"""The filters of texts and templates, as ``{{ deal.Amount | money: "JPY" }}``; no value makes one fail."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Final
from zoneinfo import ZoneInfo

from rules.civil import zone_of
from rules.suggest import did_you_mean
from rules.templates.dates import check_format, format_date
from schemas.values import Amount, Value, is_empty, to_number

LONGEST: Final = 100_000
"""No filter returns more characters than this."""

_EXACT: Final = Context(prec=120, rounding=ROUND_HALF_UP)
_LARGEST: Final = Decimal(10) ** 60
_NO_MINOR_UNIT: Final = frozenset(
    {
        "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW",
        "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF",
    }
)  # fmt: skip
_THREE_DECIMALS: Final = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})
"""The currencies of ISO 4217 that have not two decimals."""


@dataclass(frozen=True)
class Filter:
    """One filter: how many arguments it takes, what it does, and what it says against literal arguments.

    ``apply`` gets the value, the arguments and the zone in which instants are shown. ``check`` raises
    ValueError.
    """

    apply: Callable[[Value, Sequence[Value], ZoneInfo], Value]
    least: int = 0
    most: int = 0
    check: Callable[[Sequence[Value]], None] = lambda _: None


def text_of(value: Value) -> str:
    """A value as readers see it: nothing for none, exact numbers without an exponent, lists with commas."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ", ".join(text_of(item) for item in value)
    if isinstance(value, Decimal):
        return format(value, "f") if value.is_finite() and abs(value.adjusted()) < 100 else str(value)
    if isinstance(value, int):
        return str(value) if value.bit_length() < 10_000 else ""
    return value


def check_filter(name: str, arguments: Sequence[Value]) -> None:
    """Whether a filter exists and takes these literal arguments.

    Raises:
        ValueError: it does not; the message says what to write.
    """
    if name not in FILTERS:
        raise ValueError(f"unknown filter '{name}'. {did_you_mean(name, FILTERS)}".rstrip(". "))
    wanted = FILTERS[name]
    check_count(name, len(arguments))
    wanted.check(arguments)


def check_count(name: str, count: int) -> None:
    """Whether a known filter takes so many arguments.

    Raises:
        ValueError: it takes more or fewer.
    """
    wanted = FILTERS[name]
    if not wanted.least <= count <= wanted.most:
        numbers = str(wanted.least) if wanted.least == wanted.most else f"{wanted.least} to {wanted.most}"
        raise ValueError(f"filter '{name}' takes {numbers} argument{'' if numbers == '1' else 's'}, not {count}")


def apply_filter(name: str, value: Value, arguments: Sequence[Value], zone: ZoneInfo) -> Value:
    """The filtered value, cut to ``LONGEST`` characters."""
    result = FILTERS[name].apply(value, arguments, zone)
    return result[:LONGEST] if isinstance(result, str) and len(result) > LONGEST else result


def _money(value: Value, arguments: Sequence[Value], zone: ZoneInfo) -> Value:
    """``1,234.50 EUR``: thousands separated, with the decimals of the currency; without one, two."""
    number = _number(value)
    if number is None:
        return text_of(value)
    currency = text_of(arguments[0]).strip().upper() if arguments else ""
    places = 0 if currency in _NO_MINOR_UNIT else 3 if currency in _THREE_DECIMALS else 2
    return f"{_rounded(number, places):,f} {currency}".rstrip()


def _check_currency(arguments: Sequence[Value]) -> None:
    if arguments and not re.fullmatch(r"[A-Z]{3}", text_of(arguments[0])):
        raise ValueError(f"'{text_of(arguments[0])}' is no currency: write a code as \"JPY\"")


def _date(value: Value, arguments: Sequence[Value], zone: ZoneInfo) -> Value:
    if len(arguments) > 1:
        try:
            zone = zone_of(text_of(arguments[1]))
        except ValueError:
            return text_of(value)
    return format_date(value, text_of(arguments[0]) if arguments else "", zone)


def _check_date(arguments: Sequence[Value]) -> None:
    if arguments:
        check_format(text_of(arguments[0]))
    if len(arguments) > 1:
        zone_of(text_of(arguments[1]))


def _default(value: Value, arguments: Sequence[Value], zone: ZoneInfo) -> Value:
    return arguments[0] if is_empty(value) else value


def _round(value: Value, arguments: Sequence[Value], zone: ZoneInfo) -> Value:
    """The number with so many decimals, halves away from zero; what is no number stays as it is."""
    number = _number(value)
    if number is None:
        return value
    places = _whole(arguments[0], 0, 20, otherwise=0) if arguments else 0
    rounded = _rounded(number, places)
    return Amount(rounded) if places else int(rounded)


def _check_round(arguments: Sequence[Value]) -> None:
    if arguments and not (isinstance(arguments[0], int) and 0 <= arguments[0] <= 20):
        raise ValueError("round takes a number of decimals from 0 to 20")


def _truncate(value: Value, arguments: Sequence[Value], zone: ZoneInfo) -> Value:
    """At most so many characters, an ellipsis included."""
    text, most = text_of(value), _whole(arguments[0], 1, LONGEST, otherwise=LONGEST)
    return text if len(text) <= most else text[: most - 1] + "…"


def _check_truncate(arguments: Sequence[Value]) -> None:
    if not isinstance(arguments[0], int) or arguments[0] < 1:
        raise ValueError("truncate takes a number of characters, as in truncate: 40")


def _join(value: Value, arguments: Sequence[Value], zone: ZoneInfo) -> Value:
    separator = text_of(arguments[0])[:100] if arguments else ", "
    return separator.join(text_of(item) for item in value) if isinstance(value, list) else text_of(value)


def _size(value: Value, arguments: Sequence[Value], zone: ZoneInfo) -> Value:
    return len(value) if isinstance(value, list) else len(text_of(value))


def _whole(value: Value, lowest: int, highest: int, otherwise: int) -> int:
    number = to_number(value)
    if number is None or not Decimal(number).is_finite():
        return otherwise
    return int(min(max(Decimal(number), Decimal(lowest)), Decimal(highest)))


def _number(value: Value) -> Decimal | None:
    """The value as a number of a size that people write; none for any other."""
    number = to_number(value) if not isinstance(value, str) or len(value) <= 80 else None
    exact = None if number is None else Decimal(number)
    return exact if exact is not None and exact.is_finite() and -_LARGEST < exact < _LARGEST else None


def _rounded(number: Decimal, places: int) -> Decimal:
    rounded = number.quantize(Decimal(1).scaleb(-places), context=_EXACT)
    return rounded if rounded else abs(rounded)  # no "-0.00"


FILTERS: Final[Mapping[str, Filter]] = {
    "money": Filter(_money, most=1, check=_check_currency),
    "date": Filter(_date, most=2, check=_check_date),
    "default": Filter(_default, least=1, most=1),
    "upcase": Filter(lambda value, _, __: text_of(value).upper()),
    "downcase": Filter(lambda value, _, __: text_of(value).lower()),
    "strip": Filter(lambda value, _, __: text_of(value).strip()),
    "round": Filter(_round, most=1, check=_check_round),
    "truncate": Filter(_truncate, least=1, most=1, check=_check_truncate),
    "join": Filter(_join, most=1),
    "size": Filter(_size),
}
"""All filters by name."""
