"""What an answer's headers say of rate limits, in the several families that servers use.

`x-ratelimit-limit-tokens`, `x-ratelimit-remaining-requests-day`, `ratelimit-reset`, `ratelimit: "default";r=0;t=5` …
"""

from __future__ import annotations

import datetime as dt
import email.utils
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

WINDOWS = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86_400.0}
_ROLES = ("limit", "remaining", "reset")
_NAME = re.compile(r"(?:x-)?rate-?limit(?P<size>bysize)?-(?P<rest>[a-z-]+)$")
_ONE_FIELD = re.compile(r"(?:^|[\s,;])(limit|remaining|reset|r|t)=(\d+)")
_SHORT = {"r": "remaining", "t": "reset"}
_DURATION = re.compile(
    r"(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?$",
)
_UNITS = (3600.0, 60.0, 1.0, 0.001)
_EPOCH, _EPOCH_MS = 1e9, 1e12
"""From such a number on, it is a point in time and not a number of seconds."""


@dataclass(frozen=True, slots=True)
class Rate:
    """One limit, as far as the headers tell it."""

    name: str
    """`requests`, `tokens-minute` …"""
    explicit: bool
    """Whether the headers say what is counted. Where they do, `reset` is the time until all of it is there again."""
    limit: float | None
    remaining: float | None
    reset: float | None
    """Seconds."""

    @property
    def kind(self) -> str:
        """`requests` or `tokens`."""
        return self.name.partition("-")[0]

    @property
    def window(self) -> float:
        """Seconds that the limit is for; a minute where that is not said."""
        return WINDOWS.get(self.name.partition("-")[2], 60.0)


def rates_in(headers: Mapping[str, str], now: float) -> list[Rate]:
    """Every limit that is told.

    Args:
        headers: names lower-cased.
        now: wall-clock seconds since the epoch, for points in time.
    """
    found: dict[tuple[str, bool], dict[str, str]] = {}
    for header, value in headers.items():
        match = _NAME.match(header)
        if match is not None:
            parts = match["rest"].split("-")
            role = next((part for part in parts if part in _ROLES), None)
            if role is not None:
                found.setdefault(_what(parts, by_size=bool(match["size"])), {})[role] = value
        elif header in ("ratelimit", "x-ratelimit"):
            told = {_SHORT.get(name, name): number for name, number in _ONE_FIELD.findall(value)}
            found.setdefault(("requests", False), {}).update(told)
    return [
        Rate(name, explicit, _count(told.get("limit")), _count(told.get("remaining")), seconds(told.get("reset"), now))
        for (name, explicit), told in found.items()
    ]


def wait_in(rates: list[Rate]) -> float | None:
    """Seconds until a refused request may be sent again, where the headers alone tell it.

    A limit of which some is left was not the reason; of one whose size is told, a bucket knows better.
    """
    waits = [
        rate.reset
        for rate in rates
        if rate.reset is not None and not rate.remaining and not (rate.explicit and rate.limit is not None)
    ]
    return max(waits, default=None)


def _what(parts: list[str], *, by_size: bool) -> tuple[str, bool]:
    tokens = by_size or any(part.startswith("token") for part in parts)
    window = next((part for part in parts if part in WINDOWS), "")
    explicit = tokens or any(part.startswith("req") for part in parts)
    return ("tokens" if tokens else "requests") + (f"-{window}" if window else ""), explicit


def _count(value: str | None) -> float | None:
    number = _number(value)
    return number if number is not None and number >= 0 else None


def _number(value: str | None) -> float | None:
    try:
        number = float(value) if value else math.nan
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def seconds(value: str | None, now: float) -> float | None:
    """`1m30s`, `12ms`, `6`, a point in time → seconds; None for nothing, nonsense, zero and less."""
    text, number = (value or "").strip(), _number(value)
    if number is not None:
        passed = number / 1000 - now if number >= _EPOCH_MS else number - now if number >= _EPOCH else number
    elif (match := _DURATION.fullmatch(text)) and any(match.groups()):
        passed = sum(float(part or 0) * unit for part, unit in zip(match.groups(), _UNITS, strict=True))
    else:
        passed = _date(text) - now
    return passed if math.isfinite(passed) and passed > 0 else None


def _date(text: str) -> float:
    try:
        date = dt.datetime.fromisoformat(text)
    except ValueError:
        parts = email.utils.parsedate_tz(text)
        try:
            return float(email.utils.mktime_tz(parts)) if parts else math.nan
        except (ValueError, OverflowError):  # no calendar has such a day
            return math.nan
    return (date if date.tzinfo else date.replace(tzinfo=dt.UTC)).timestamp()
