"""What an answer's headers say of waits and of rate limits, in the several families that servers use.

`retry-after`, `x-ms-retry-after-ms`, `x-ratelimit-limit-tokens`, `x-ratelimit-remaining-requests-day`,
`anthropic-ratelimit-tokens-reset`, `ratelimit: "default";r=0;t=5`, and each of them behind a gateway's prefix.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

WINDOWS: Mapping[str, float] = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86_400.0}
_PREFIX = r"(?:[a-z0-9]+[-_])*?"
_WAIT = re.compile(rf"{_PREFIX}retry-after(?P<unit>-ms|-milliseconds|-seconds)?")
_RATE = re.compile(rf"{_PREFIX}rate-?limit(?P<size>bysize)?(?:-(?P<rest>[a-z-]+))?")
ABOUT_RATES = re.compile(rf"(?:{_WAIT.pattern})\Z|{_RATE.pattern}")
"""Matches the name, lower-cased, of a header that says how long to wait or what is left."""
_ROLES = ("limit", "remaining", "reset")
_FIELDS = re.compile(r"(?:^|[\s,;])(limit|remaining|reset|r|t)\s*=\s*(\d+)")
_SHORT = {"r": "remaining", "t": "reset"}
_UNITS: Mapping[str, float] = {"d": 86_400, "h": 3600, "m": 60, "s": 1, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
AMOUNT = (
    r"(?<![-.\d])(\d+(?:\.\d+)?)\s*"
    r"(milliseconds?|msecs?|ms|us|µs|ns|seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d)(?![a-zµ])"
)
"""A pattern: an amount of time, which no minus stands before, and its unit."""
_FIRST = re.compile(r",\s|;")
"""What ends the first value of several, as in `100, 100;w=60`."""
_POINT, _TOO_FAR = 1e9, 1e11
"""From so many seconds on, it is a point in time; from so many on, in milliseconds or smaller units."""


@dataclass(frozen=True, slots=True)
class Rate:
    """One limit, as far as headers tell it."""

    name: str
    """`requests`, `tokens-minute` …"""
    limit: float | None
    remaining: float | None
    reset: float | None
    """Seconds."""

    @property
    def kind(self) -> str:
        """`requests` or `tokens`."""
        return kind_of(self.name)

    @property
    def window(self) -> float:
        """Seconds that the limit is for; a minute where that is not said."""
        return WINDOWS.get(self.name.partition("-")[2], 60.0)


def kind_of(name: str) -> str:
    """What a limit counts: `tokens` for `tokens-minute`."""
    return name.partition("-")[0]


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds that an answer's headers ask to wait; None where they say nothing sensible.

    Args:
        headers: lower-cased names.
        now: wall-clock seconds since the epoch, for points in time.
    """
    asked = [(header, match["unit"]) for header in headers if (match := _WAIT.fullmatch(header))]
    asked.sort(key=lambda each: (each[1] in (None, "-seconds"), len(each[0])))  # the finer one, the server's own
    waits = (seconds(headers[header], now, 1.0 if unit in (None, "-seconds") else 1e-3) for header, unit in asked)
    return next(filter(None, waits), None)


def reset_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds until what was used up is there again, for a request that was refused for its rate; None: not told.

    A limit of which something is left was not the reason.
    """
    return max((rate.reset for rate in rates_in(headers, now) if rate.reset and not rate.remaining), default=None)


def rates_in(headers: Mapping[str, str], now: float) -> list[Rate]:
    """Every limit that is told, as for `retry_after`."""
    found: dict[str, dict[str, str]] = {}
    for header, value in headers.items():
        match = _RATE.fullmatch(header)
        if match is None:
            continue
        if match["rest"] is None:
            for at, told in enumerate(_structured(value)):
                found.setdefault("requests" + f"-{at}" * bool(at), {}).update(told)
            continue
        parts = match["rest"].split("-")
        role = next((part for part in _ROLES if part in parts), None)
        if role is not None:
            unit = "ms" if parts[-1] == "ms" else ""
            found.setdefault(_what(parts, by_size=bool(match["size"])), {})[role] = value + unit
    return [
        Rate(name, _count(told.get("limit")), _count(told.get("remaining")), seconds(told.get("reset"), now))
        for name, told in found.items()
    ]


def seconds(value: object, now: float, unit: float = 1.0) -> float | None:
    """`6`, `1m30s`, `12ms`, a point in time → seconds; None for nothing, nonsense, zero and less.

    A point in time that is told in whole seconds may be a second later, so one is added.
    """
    text = str(value).strip()[:80] if isinstance(value, str | int | float) else ""
    number = _number(_FIRST.split(text, maxsplit=1)[0])
    if number is None:
        passed = duration(text) or 0.0 if re.fullmatch(rf"(?:{AMOUNT})+", text) else _date(text) + 1.0 - now
    else:
        passed = number * unit
        while passed >= _TOO_FAR:
            passed /= 1000
        if passed >= _POINT:
            passed += (1.0 if passed.is_integer() else 0.0) - now
    return passed if math.isfinite(passed) and passed > 0 else None


def duration(said: str) -> float | None:
    """`1m30s`, `1 minute and 30 seconds` → seconds; None where no amount is named."""
    parts = re.findall(AMOUNT, said[:80].lower())
    units = [unit if unit in _UNITS else "ms" if unit.startswith(("ms", "mil")) else unit[0] for _, unit in parts]
    return sum(float(amount) * _UNITS[unit] for (amount, _), unit in zip(parts, units, strict=True)) or None


def _what(parts: list[str], *, by_size: bool) -> str:
    tokens = by_size or any(part.startswith("token") for part in parts)
    window = next((part for part in parts if part in WINDOWS), "")
    return ("tokens" if tokens else "requests") + (f"-{window}" if window else "")


def _structured(value: str) -> Iterator[dict[str, str]]:
    """`limit=100, remaining=0, reset=5` is one limit; `"a";r=0;t=5, "b";r=3;t=60` are two."""
    for item in [value] if "reset" in value else value.split(","):
        yield {_SHORT.get(name, name): number for name, number in _FIELDS.findall(item)}


def _count(value: str | None) -> float | None:
    number = _number(_FIRST.split(value or "", maxsplit=1)[0])
    return number if number is not None and number >= 0 else None


def _number(value: str) -> float | None:
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _date(text: str) -> float:
    try:
        date = dt.datetime.fromisoformat(text)
        return (date if date.tzinfo else date.replace(tzinfo=dt.UTC)).timestamp()
    except (ValueError, OverflowError):
        import email.utils

        parts = email.utils.parsedate_tz(text)
    try:
        return float(email.utils.mktime_tz(parts)) if parts else math.nan
    except (ValueError, OverflowError):  # no calendar has such a day
        return math.nan
