"""Three servers of one model behind one embedder: their limits add up, and trouble at one of them costs nothing."""

from __future__ import annotations

import contextlib
import time
import warnings

import pytest

from embedbridge import events
from embedbridge.testing import FaultServer, RateLimit, no_waiting
from support.scene import WIDTH, corpus, scene

LIMITS = (60, 120, 240)
"""Requests a minute."""


def share_of_the_sum(caller, *, seconds, small=1):
    """Requests that are let through, by those that all limits together allow, once the first minute is over.

    Buckets are full at first, so that minute says nothing. The limits hold for a `small` part of a minute.
    """
    window, limits = 60 / small, [limit / small for limit in LIMITS]
    texts = corpus(int(sum(limits) * (1 + seconds / window)))
    servers = [FaultServer(width=WIDTH, rate=RateLimit(requests=limit, window=window)) for limit in limits]
    with scene(*servers) as these:
        embedder = these.embedder(batch_size=1, concurrency=64)
        result = caller.embed(embedder, texts)
        these.check(texts, result.vectors)
        assert set(these.billed(texts).values()) == {1}
        asked = [request for server in these.servers for request in server.requests]
    first = min(request.at for request in asked)
    after = [request.at - first for request in asked if request.status == 200 and request.at - first > window]
    share = len(after) / (sum(limits) * (max(after) - window) / window)
    refused = sum(request.status == 429 for request in asked)
    print(f"{caller.mode}: {share:.1%} of the sum, {refused} of {len(asked)} refused, {max(after):.0f} s")  # noqa: T201
    return share


@pytest.mark.slow
@pytest.mark.measured
def test_the_limits_of_three_servers_add_up(caller):
    """Three limits bound it, and processor time where a machine is loaded."""
    assert share_of_the_sum(caller, seconds=8, small=20) >= 0.85


@pytest.mark.long
@pytest.mark.measured
def test_the_limits_of_three_servers_add_up_over_minutes(caller):
    assert share_of_the_sum(caller, seconds=240) >= 0.95


class Trouble:
    """What comes over the first of three servers while a call is under way."""

    def __init__(self, name, strike):
        self.name, self.strike = name, strike

    def __repr__(self):
        return self.name


def every(_):
    return True


TROUBLE = (
    Trouble("dies", FaultServer.stop),
    Trouble("hangs", lambda server: server.on(every, "hang")),
    Trouble("breaks off its answers", lambda server: server.on(every, "reset:at=mid")),
    Trouble("answers 429 for a minute", lambda server: server.on(every, "429:retry-after=60")),
    Trouble("answers 500 for ever", lambda server: server.on(every, "500")),
    Trouble("loses its key", lambda server: setattr(server, "api_keys", frozenset({"sk-another"}))),
    Trouble("has no quota left", lambda server: server.on(every, "quota")),
    Trouble("has the model no more", lambda server: server.on(every, "404:message=model not found")),
)


def struck(caller, trouble, texts):
    """A call during which the trouble begins: its result, and how many requests the server had under way then."""
    with contextlib.ExitStack() as stack:
        these = stack.enter_context(scene(*[FaultServer(width=WIDTH) for _ in range(3)]))
        stack.enter_context(no_waiting())
        first, answered, under_way = these.servers[0], [], []

        def strike(event):
            if isinstance(event, events.BatchFinished):
                answered.append(event)
                if len(answered) == 12 and not under_way:
                    under_way.append(first.stats.in_flight)
                    trouble.strike(first)

        embedder = these.embedder(batch_size=4, observers=[strike], timeout=2)
        began = time.monotonic()
        result = caller.embed(embedder, texts)
        took = time.monotonic() - began
        these.check(texts, result.vectors)
        assert under_way, "the trouble never began"
        return these.billed(texts), result.report, took


@pytest.mark.slow
def test_trouble_at_one_of_three_loses_nothing_and_pays_for_what_was_under_way_at_most(caller):
    texts, faults = corpus(240), []
    for trouble in TROUBLE:
        with warnings.catch_warnings(record=True):
            warnings.simplefilter("always")
            billed, report, took = struck(caller, trouble, texts)
        twice = sum(times - 1 for times in billed.values())
        most = 3 * 8 * 4 if "breaks off" in trouble.name else 8 * 4  # three in a row open the breaker
        if set(billed) != set(texts):
            faults.append(f"{trouble}: {len(set(texts) - set(billed))} texts were not billed")
        if twice > most:
            faults.append(f"{trouble}: {twice} texts were paid for again")
        if took > 20:
            faults.append(f"{trouble}: it took {took:.0f} s")
        print(f"{caller.mode}, {trouble}: {twice} paid again, {report.requests} requests, {took:.1f} s")  # noqa: T201
    assert not faults
