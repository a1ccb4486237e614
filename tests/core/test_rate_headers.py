"""What servers say of waits and limits, each in its own way (W11)."""

from __future__ import annotations

import email.utils
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedbridge._core.rate_headers import ABOUT_RATES, rates_in, reset_after, retry_after
from support.cases import each

NOW = 1_790_000_000.0  # 2026-09-21 14:13:20 UTC


def date(seconds):
    return email.utils.formatdate(NOW + seconds, usegmt=True)


@each(
    ("headers", "seconds"),
    [
        ({"retry-after": "2"}, 2.0),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after": "200"}, 200.0),
        ({"retry-after": "2s"}, 2.0),
        ({"retry-after": "1m30s"}, 90.0),
        ({"retry-after": "1h"}, 3600.0),
        ({"retry-after": "3, 3"}, 3.0),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": "1500", "retry-after": "2"}, 1.5),
        ({"retry-after-ms": "-1", "retry-after": "2"}, 2.0),
        ({"x-ms-retry-after-ms": "250"}, 0.25),
        ({"llm_provider-retry-after": "3"}, 3.0),
        ({"llm_provider-retry-after-ms": "3000", "retry-after": "abc"}, 3.0),
        ({"x-retry-after-seconds": "4"}, 4.0),
        ({"retry-after": date(30)}, 31.0),
        ({"retry-after": f"{NOW + 9:.0f}"}, 10.0),
        ({"retry-after": f"{NOW + 9.5:.1f}"}, 9.5),
        ({"retry-after-ms": f"{1000 * (NOW + 9.5):.0f}"}, 9.5),
        *(
            ({"retry-after": value}, None)
            for value in ("", "0", "-5", "nan", "inf", "-inf", "1e999", "abc", "1m nonsense")
        ),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, None),
        ({"retry-after": "Wed, 21 Oct 99999 07:28:00 GMT"}, None),
        ({"retry-after": date(-1000)}, None),
        ({"retry-after": "1600000000"}, None),
        ({"x-should-retry": "5"}, None),
        ({}, None),
    ],
)
def test_what_a_provider_asks_for_is_read_or_ignored(headers, seconds):
    assert retry_after(headers, NOW) == (None if seconds is None else pytest.approx(seconds))


@each(
    ("headers", "seconds"),
    [
        ({"x-ratelimit-reset-tokens": "2s"}, 2),
        ({"x-ratelimit-reset-requests": "1m30s"}, 90),
        ({"x-ratelimit-reset-requests": "1s", "x-ratelimit-reset-tokens": "250ms"}, 1),
        ({"x-ratelimit-reset-tokens": "2s", "x-ratelimit-remaining-tokens": "0"}, 2),
        ({"x-ratelimit-reset-tokens": "2s", "x-ratelimit-remaining-tokens": "-3"}, 2),
        (
            {
                f"x-ratelimit-{what}-tokens": value
                for what, value in (("limit", "9"), ("remaining", "0"), ("reset", "2s"))
            },
            2,
        ),
        ({"x-ratelimit-reset-tokens-minute": "12"}, 12),
        ({"x-ratelimit-reset-after": "0.5"}, 0.5),
        ({"x-ratelimit-reset-ms": "1500"}, 1.5),
        ({"x-rate-limit-reset": "7"}, 7),
        ({"ratelimit-reset": "3"}, 3),
        ({"ratelimit-limit": "5, 5;w=1", "ratelimit-remaining": "0", "ratelimit-reset": "3"}, 3),
        ({"ratelimit": "limit=100, remaining=0, reset=5"}, 5),
        ({"ratelimit": '"default";r=0;t=6'}, 6),
        ({"ratelimit": '"burst";r=0;t=6, "day";r=99;t=8000'}, 6),
        ({"ratelimitbysize-reset": "4"}, 4),
        ({"llm_provider-x-ratelimit-reset-tokens": "2s"}, 2),
        ({"anthropic-ratelimit-requests-reset": "2026-09-21T14:13:31Z"}, 12),
        ({"x-ratelimit-reset": f"{NOW + 9:.0f}"}, 10),
        ({"x-ratelimit-reset": f"{1000 * (NOW + 9.25):.0f}"}, 9.25),
        ({"x-ratelimit-reset-requests": "2026-09-21T16:13:31+02:00"}, 12),
        ({"x-ratelimit-reset": "Mon, 21 Sep 2026 14:13:31 GMT"}, 12),
    ],
)
def test_a_reset_is_waited_for_in_every_familys_words(headers, seconds):
    assert reset_after(headers, NOW) == pytest.approx(seconds)
    assert all(map(ABOUT_RATES.match, headers))


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-ratelimit-reset-tokens": "soon"},
        {"x-ratelimit-reset-tokens": "0s"},
        {"x-ratelimit-reset-tokens": "-3"},
        {"x-ratelimit-reset-tokens": "nan"},
        {"x-ratelimit-reset": "1600000000"},  # long ago
        {"x-ratelimit-reset-tokens": "2s", "x-ratelimit-remaining-tokens": "50"},  # not what was used up
        {"ratelimit": '"day";r=99;t=8000'},
        {"ratelimit-policy": "100;w=60"},
        {"reset": "5", "x-request-id": "5"},
    ],
)
def test_where_nothing_is_told_nothing_is_made_up(headers):
    assert reset_after(headers, NOW) is None


def test_a_limit_has_the_window_that_its_name_says():
    headers = {"x-ratelimit-limit-tokens-minute": "600", "x-ratelimit-remaining-tokens-minute": "60"}
    headers |= {"x-ratelimit-limit-req-day": "1000", "x-ratelimit-remaining-req-day": "9"}
    tokens, requests = rates_in(headers, NOW)
    assert (tokens.kind, tokens.limit, tokens.remaining, tokens.window) == ("tokens", 600, 60, 60)
    assert (requests.kind, requests.limit, requests.remaining, requests.window) == ("requests", 1000, 9, 86_400)


@given(
    st.text(max_size=20)
    | st.floats().map(str)
    | st.from_regex(r"[A-Z][a-z]{2}, \d+ [A-Z][a-z]{2} \d+ \d+:\d+:\d+ \S{1,6}", fullmatch=True)
    | st.from_regex(r"(\d{1,4}(\.\d)?(d|h|m|s|ms|us)){1,3}", fullmatch=True)
)
def test_no_header_is_waited_for_unless_it_is_a_time_to_come(value):
    for seconds in (retry_after({"retry-after": value}, NOW), reset_after({"ratelimit": value}, NOW)):
        assert seconds is None or (0 < seconds < math.inf)
    for header in ("x-ratelimit-reset-tokens", "x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens"):
        rates_in({header: value}, NOW)
