"""A limit that several share is found by each of them, from refusals and from what headers tell (R11)."""

from __future__ import annotations

import heapq
import time
from itertools import count
from random import Random

import pytest

from core.parts import Clock
from embedbridge._core.limits import Limiter
from embedbridge._core.retry import Backoff
from embedbridge.errors import RequestFailed
from embedbridge.testing import RateLimit

TAKES = 0.05
"""Seconds for an answer."""
WORKERS = 8


def make(clock, chance=lambda: 0.0):
    return Limiter(requests_per_minute=None, tokens_per_minute=None, clock=clock, wall=time.time, chance=chance)


def share(clients, size, *, seed, first=WORKERS, **limit):
    """Run clients against one rate limit; returns the answers in order (True: accepted), and when each client ended.

    Each has `first` requests under way until one is answered, and then as many as its workers.
    """
    clock, chance, order, events, answers = Clock(), Random(seed).random, count(), [], []
    rate = RateLimit(clock=clock, **limit)
    limiters, backoff = [make(clock, chance) for _ in range(clients)], Backoff(retries=1000, chance=chance)
    left, begun, ended = [size] * clients, clock.now, [0.0] * clients

    def wait(seconds, client, place):
        heapq.heappush(events, (clock.now + seconds, next(order), client, place))

    def begin(client):
        left[client] -= 1
        place = limiters[client].reserve(1)
        wait(place.wait, client, place)

    for client in range(clients * min(first, size)):
        begin(client % clients)
    while events:
        at, _, client, place = heapq.heappop(events)
        clock.now = max(clock.now, at)
        limiter = limiters[client]
        if still := place.wait and limiter.left(place):
            wait(still, client, place)
            continue
        clock.now += TAKES / 100 * chance()
        seconds, headers = rate.take(1)
        answers.append(seconds <= 0)
        limiter.learn(headers if rate.tells else {})
        if answers[-1]:
            limiter.answered(place)
            ended[client] = clock.now - begun
        else:
            refusal = RequestFailed("slow down", status=429, retry_after=seconds if rate.tells else None)
            pause = backoff.pause(limiter.refused(place), refusal)
            limiter.slow_down(place, pause)
            left[client] += 1
        for _ in range(min(left[client], 1 + (len(answers) == 1) * (WORKERS - first))):
            begin(client)
    return answers, ended


@pytest.mark.parametrize("tells", [True, False], ids=["told", "silent"])
@pytest.mark.parametrize("shape", ["bucket", "sliding", "fixed"])
@pytest.mark.parametrize(("clients", "requests"), [(2, 16), (4, 30)])
def test_clients_find_their_shares_and_few_answers_are_refusals(clients, requests, shape, tells):
    """At most what is under way at first is refused, and one answer in ten after; in the mean, far less."""
    beyond = []
    for seed in range(3):
        answers, ended = share(clients, 150, seed=seed, requests=requests, window=1.0, shape=shape, tells=tells)
        assert answers.count(True) == 150 * clients
        beyond.append(max(0, answers.count(False) - clients * WORKERS) / len(answers))
        ideal = 150 * clients / requests
        assert max(ended) <= 5 * ideal
    assert max(beyond) <= 0.10
    assert sum(beyond) <= 0.06 * len(beyond)


@pytest.mark.parametrize("shape", ["bucket", "sliding", "fixed"])
def test_a_limit_a_minute_that_is_told_is_shared_evenly_with_hardly_a_refusal(shape):
    answers, ended = share(2, 240, seed=1, requests=120, window=60.0, shape=shape, tells=True)
    assert answers.count(False) <= 2 * WORKERS + 3  # what was under way at first, and a few
    assert max(ended) <= 1.5 * min(ended)


@pytest.mark.parametrize("requests", [60, 120, 240])
@pytest.mark.parametrize("window", [3.0, 60.0])
def test_who_has_a_bucket_that_is_told_to_himself_is_never_refused_and_has_all_of_it(requests, window):
    """What is left is told without its fraction, and what refills it follows from that only nearly."""
    limit = {"requests": requests, "window": window, "shape": "bucket", "tells": True}
    answers, ended = share(1, 4 * requests, seed=1, first=1, **limit)
    assert answers.count(False) == 0
    assert ended[0] == pytest.approx(3 * window, rel=0.03)


def test_nobody_waits_before_a_refusal():
    limiter = make(Clock())
    places = [limiter.reserve(1) for _ in range(100)]
    for place in places:
        limiter.answered(place)
    assert all(place.wait == 0 for place in places)
    assert limiter.reserve(1).wait == 0


def test_a_first_refusal_by_a_server_that_answers_slowly_cuts_the_pace_to_what_it_let_through():
    clock = Clock()
    limiter = make(clock)
    for _ in range(4):
        place = limiter.reserve(1)
        clock.now += 12
        limiter.answered(place)
    limiter.refused(limiter.reserve(1))
    assert [limiter.reserve(1).wait for _ in range(3)] == pytest.approx([9.6, 9.6, 14.4])  # and not 1 s


def test_refusals_of_requests_that_were_under_way_together_count_once():
    limiter = make(Clock())
    places = [limiter.reserve(1) for _ in range(8)]
    assert [limiter.refused(place) for place in places] == [1] * 8
    assert limiter.refused(limiter.reserve(1)) == 2


def test_a_pace_that_was_slow_long_ago_is_cut_by_no_more_than_any_other():
    clock = Clock()
    limiter = make(clock)
    for _ in range(2):
        place = limiter.reserve(1)
        while place.wait and (left := limiter.left(place)):
            clock.now += left
        limiter.refused(place)
        limiter.answered(limiter.reserve(1))
        clock.now += 3600
    limiter.reserve(1)
    assert limiter.reserve(1).wait < 4


def test_a_place_that_is_not_used_lets_the_next_ones_go_sooner():
    limiter = make(Clock())
    limiter.refused(limiter.reserve(1))
    limiter.reserve(1)
    places = [limiter.reserve(1) for _ in range(3)]
    before = limiter.left(places[2])
    limiter.give_back(places[0])
    assert 0 < limiter.left(places[2]) < before
