"""A limit that several share is found by each of them, from refusals alone (R11)."""

from __future__ import annotations

import heapq
import time
from itertools import count
from random import Random

import pytest

from core.parts import Clock
from embedbridge.core.limits import Limiter

TAKES = 0.05
"""Seconds for an answer."""
WORKERS = 8


def share(clients, requests, *, per_second, retry_after=None):
    """Run clients against a sliding window of a second; returns the answers in order (True: accepted), and seconds."""
    clock, chance, order, events, accepted, answers = Clock(), Random(1).random, count(), [], [], []
    limiters = [
        Limiter(requests_per_minute=None, tokens_per_minute=None, clock=clock, wall=time.time, chance=chance)
        for _ in range(clients)
    ]
    left, begun = [requests] * clients, clock.now

    def reserve(client):
        place = limiters[client].reserve(1)
        heapq.heappush(events, (clock.now + place.wait, next(order), client, place))

    for client in range(clients):
        left[client] -= WORKERS
        for _ in range(WORKERS):
            reserve(client)
    while events:
        clock.now, _, client, place = heapq.heappop(events)
        limiter = limiters[client]
        if place.wait and not limiter.is_due(place):
            limiter.give_back(place)
            reserve(client)
            continue
        clock.now += TAKES / 100
        answers.append(sum(at > clock.now - 1 for at in accepted) < per_second)
        if not answers[-1]:
            limiter.refused(place)
            if retry_after is not None:
                limiter.hold(retry_after)
            limiter.slow_down(place, retry_after or 0.25 + chance() / 4)
            reserve(client)
            continue
        accepted.append(clock.now)
        limiter.answered(place)
        if left[client]:
            left[client] -= 1
            reserve(client)
    return answers, clock.now - begun


@pytest.mark.parametrize("retry_after", [None, 0.2, 1.0])
@pytest.mark.parametrize(("clients", "per_second"), [(2, 5), (2, 50), (3, 10)])
def test_clients_find_their_shares_and_few_answers_are_refusals(clients, per_second, retry_after):
    answers, seconds = share(clients, 300, per_second=per_second, retry_after=retry_after)
    assert answers.count(True) == 300 * clients
    assert answers.count(False) <= len(answers) / 10
    assert seconds <= 2.5 * 300 * clients / per_second + 20


def test_nobody_waits_before_a_refusal():
    limiter = Limiter(requests_per_minute=None, tokens_per_minute=None, clock=Clock(), wall=time.time)
    places = [limiter.reserve(1) for _ in range(100)]
    for place in places:
        limiter.answered(place)
    assert all(place.wait == 0 for place in places)
    assert limiter.reserve(1).wait == 0


def test_refusals_of_requests_that_were_under_way_together_count_once():
    limiter = Limiter(requests_per_minute=None, tokens_per_minute=None, clock=Clock(), wall=time.time)
    places = [limiter.reserve(1) for _ in range(8)]
    assert [limiter.refused(place) for place in places] == [1] * 8
    assert limiter.refused(limiter.reserve(1)) == 2
