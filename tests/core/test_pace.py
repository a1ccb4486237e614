"""A limit that several share is found by each of them, from refusals alone (R11)."""

from __future__ import annotations

import heapq
from itertools import count

import pytest

from core.parts import Clock
from embedbridge.core.limits import Limiter

TAKES = 0.05
"""Seconds for an answer."""


def share(clock, clients, requests, *, per_second, workers=8, retry_after=None):
    """Run clients against a server's token bucket; returns its answers in order (True: accepted)."""
    level, filled, order, answers = per_second, clock.now, count(), []
    limiters = [Limiter(requests_per_minute=None, tokens_per_minute=None, clock=clock) for _ in range(clients)]
    left = [requests] * clients
    events = []
    for client, limiter in enumerate(limiters):
        for _ in range(workers):
            left[client] -= 1
            place = limiter.reserve(1)
            heapq.heappush(events, (clock.now + place.wait, next(order), client, place))
    while events:
        clock.now, _, client, place = heapq.heappop(events)
        limiter = limiters[client]
        if limiter.held():
            limiter.give_back(place)
            place = limiter.reserve(1)
            heapq.heappush(events, (clock.now + max(place.wait, limiter.held()), next(order), client, place))
            continue
        level, filled = min(per_second, level + (clock.now - filled) * per_second), clock.now
        answers.append(level >= 1)
        clock.now += TAKES / 100
        if answers[-1]:
            level -= 1
            limiter.answered()
            if not left[client]:
                continue
            left[client] -= 1
            pause = TAKES
        else:
            limiter.refused(place)
            if retry_after is not None:
                limiter.hold(retry_after)
            pause = 0.5
        place = limiter.reserve(1)
        heapq.heappush(events, (clock.now + max(pause, place.wait), next(order), client, place))
    return answers


@pytest.mark.parametrize("retry_after", [None, 0.2, 1.0])
@pytest.mark.parametrize(("clients", "per_second"), [(2, 2), (2, 5), (2, 50), (3, 5), (3, 50)])
def test_clients_find_their_shares_and_few_answers_are_refusals(clients, per_second, retry_after):
    clock = Clock()
    begun = clock.now
    answers = share(clock, clients, 400, per_second=per_second, retry_after=retry_after)
    assert answers.count(True) == 400 * clients
    steady = answers[len(answers) // 5 :]
    assert steady.count(False) <= len(steady) / 10
    assert clock.now - begun <= 2.5 * 400 * clients / per_second + 10


def test_one_refusal_hardly_slows_a_job_that_nobody_shares_its_limit_with():
    clock = Clock()
    limiter = Limiter(requests_per_minute=None, tokens_per_minute=None, clock=clock)
    limiter.refused(limiter.reserve(1))
    begun = clock.now
    for _ in range(200):
        clock.now += limiter.reserve(1).wait
        limiter.answered()
    assert clock.now - begun < 3
