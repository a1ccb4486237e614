"""What servers say of their limits, each in its own way (W11)."""

from __future__ import annotations

import pytest

from embedbridge.core.rate_headers import rates_in, wait_in

NOW = 1_790_000_000.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x-ratelimit-reset-tokens": "2s"}, 2),
        ({"x-ratelimit-reset-requests": "1m30s"}, 90),
        ({"x-ratelimit-reset-requests": "1s", "x-ratelimit-reset-tokens": "250ms"}, 1),
        ({"x-ratelimit-reset-tokens": "2s", "x-ratelimit-remaining-tokens": "0"}, 2),
        ({"x-ratelimit-reset-tokens-minute": "12"}, 12),
        ({"x-rate-limit-reset": "7"}, 7),
        ({"ratelimit-limit": "5", "ratelimit-remaining": "0", "ratelimit-reset": "3"}, 3),
        ({"ratelimit": "limit=100, remaining=0, reset=5"}, 5),
        ({"ratelimit": '"default";r=0;t=6'}, 6),
        ({"ratelimitbysize-reset": "4"}, 4),
        ({"x-ratelimit-reset": f"{NOW + 9:.0f}"}, 9),
        ({"x-ratelimit-reset": f"{1000 * (NOW + 9):.0f}"}, 9),
        ({"x-ratelimit-reset-requests": "2026-09-21T14:13:31Z"}, 11),
        ({"x-ratelimit-reset-requests": "2026-09-21T16:13:31+02:00"}, 11),
        ({"x-ratelimit-reset": "Mon, 21 Sep 2026 14:13:31 GMT"}, 11),
    ],
)
def test_a_reset_is_waited_for_in_every_familys_words(headers, seconds):
    assert wait_in(rates_in(headers, NOW)) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-ratelimit-reset-tokens": "soon"},
        {"x-ratelimit-reset-tokens": "0s"},
        {"x-ratelimit-reset-tokens": "-3"},
        {"x-ratelimit-reset": "1600000000"},  # long ago
        {"x-ratelimit-reset-tokens": "2s", "x-ratelimit-remaining-tokens": "50"},  # not what was used up
        {"ratelimit-policy": "100;w=60"},
    ],
)
def test_where_nothing_is_told_nothing_is_made_up(headers):
    assert wait_in(rates_in(headers, NOW)) is None


def test_a_limit_has_the_window_that_its_name_says():
    headers = {"x-ratelimit-limit-tokens-minute": "600", "x-ratelimit-remaining-tokens-minute": "60"}
    headers |= {"x-ratelimit-limit-requests-day": "1000", "x-ratelimit-remaining-requests-day": "9"}
    tokens, requests = rates_in(headers, NOW)
    assert (tokens.kind, tokens.limit, tokens.remaining, tokens.window) == ("tokens", 600, 60, 60)
    assert (requests.kind, requests.limit, requests.remaining, requests.window) == ("requests", 1000, 9, 86_400)
