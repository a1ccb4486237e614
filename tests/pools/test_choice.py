"""Who is asked next, and who is left alone: arithmetic over endpoints, as tables."""

import math

import numpy as np
import pytest

from core.parts import Clock, make_limiter
from embedbridge._core.endpoints import IN_A_ROW, LONGEST_PAUSE, Breaker, Endpoint, choose, told_of
from embedbridge._core.learnt import Learnt
from embedbridge._core.proof import COVERED, RUNGS, SHORT, CanarySet, difference, rung_of
from embedbridge._core.types import Batch, Reply, Route
from embedbridge.errors import RequestFailed


def endpoint(clock, name, *, requests=None, tokens=None, **own):
    return Endpoint(make_limiter(clock, requests, tokens), Learnt(), Breaker(clock), name, **own)


def batch_of(texts=1, tokens=10):
    return Batch(("text",) * texts, tuple(range(texts)), Route("document"), tokens)


@pytest.mark.parametrize(
    ("changes", "chosen"),
    [
        ({}, "a"),
        ({"a": {"under_way": 1}}, "b"),
        ({"a": {"under_way": 1, "weight": 4.0}}, "a"),
        ({"a": {"under_way": 3, "weight": 4.0}, "b": {"under_way": 1}}, "a"),
        ({"a": {"places": 1, "under_way": 1}, "b": {"under_way": 5}}, "b"),
        ({"a": {"out": RequestFailed("no key", status=401)}, "b": {"under_way": 9}}, "b"),
        ({"a": {"learnt": Learnt(items=2)}}, "b"),
        ({"a": {"learnt": Learnt(items=2)}, "b": {"out": RequestFailed("no key", status=401)}}, "a"),
    ],
)
def test_the_endpoint_with_most_room_is_asked(changes, chosen):
    clock = Clock()
    both = [changed(clock, name, changes.get(name, {})) for name in "ab"]
    assert choose(both, batch_of(3), 12).name == chosen


def changed(clock, name, own):
    made = endpoint(clock, name)
    for field, value in own.items():
        setattr(made, field, value)
    return made


def test_of_three_limits_each_gets_its_share():
    clock = Clock()
    pool = [endpoint(clock, str(rate), requests=rate) for rate in (60, 120, 240)]
    sent = dict.fromkeys(("60", "120", "240"), 0)
    waits = []
    for _ in range(7 * 60):
        chosen = choose(pool, batch_of(), 4)
        waits.append(chosen.limiter.reserve(10).wait)
        sent[chosen.name] += 1
    assert sent == {"60": pytest.approx(60, abs=4), "120": pytest.approx(120, abs=4), "240": pytest.approx(240, abs=4)}
    assert max(waits) == pytest.approx(60, rel=0.05)


def test_one_that_asks_for_a_pause_is_asked_only_where_there_is_no_other():
    clock = Clock()
    both = [endpoint(clock, "a"), endpoint(clock, "b")]
    both[0].limiter.hold(60)
    assert choose(both, batch_of(), 4).name == "b"
    assert choose(both, batch_of(), 4, {both[1]}).name == "a"
    assert choose(both, batch_of(), 4, set(both)).name == "b"
    clock.now += 61
    assert choose(both, batch_of(), 4).name == "a"


def test_looking_at_an_endpoint_books_nothing():
    clock = Clock()
    one, other = make_limiter(clock, 60), make_limiter(clock, 60)
    for _ in range(100):
        one.outlook(1)
    assert [one.reserve(1).wait for _ in range(3)] == [other.reserve(1).wait for _ in range(3)]
    assert one.refused(one.reserve(1)) == 1
    assert one.outlook(1)[0] < math.inf


def test_a_breaker_opens_after_failures_in_a_row_longer_each_time_and_closes_with_a_success():
    clock = Clock()
    breaker = Breaker(clock)
    assert [breaker.failed() for _ in range(IN_A_ROW)] == [False] * (IN_A_ROW - 1) + [True]
    assert (breaker.is_open(), breaker.pause) == (True, 1.0)
    assert not breaker.failed()  # it was under way when the others failed
    pauses = []
    for _ in range(8):
        clock.now += breaker.pause
        assert not breaker.is_open()
        assert breaker.failed()
        pauses.append(breaker.pause)
    assert pauses == [2, 4, 8, 16, 32, LONGEST_PAUSE, LONGEST_PAUSE, LONGEST_PAUSE]
    breaker.succeeded()
    assert not breaker.is_open()
    assert not breaker.failed()


# The proof.


@pytest.mark.parametrize(
    ("size", "limit", "rung"),
    [
        (1, None, 0),
        (COVERED[0], None, 0),
        (COVERED[0] + 1, None, 1),
        (COVERED[1] + 1, None, 2),
        (1 << 20, None, 2),
        (1 << 20, 256, 0),
        (1 << 20, 512, 0),
        (1 << 20, 2048, 1),
        (1 << 20, 8192, 2),
        (5, 8192, 0),
    ],
)
def test_a_long_text_needs_a_proof_with_a_long_text_unless_less_is_read(size, limit, rung):
    assert rung_of(size, limit) == rung


@pytest.mark.parametrize("rung", range(len(RUNGS)))
def test_the_fixed_texts_never_change(rung):
    """What a cache holds of them is compared for years."""
    *short, long = CanarySet(None, rung).texts(None)
    assert tuple(short) == SHORT
    assert RUNGS[rung] - 1 <= len(long.encode()) <= RUNGS[rung]
    assert len({long[at : at + 90] for at in range(0, len(long) - 90, 90)}) > 5
    assert len(CanarySet(None, rung).texts(256)[-1]) <= 256 * 3.5


def vectors(*rows):
    return {at: np.asarray(row, np.float32) for at, row in enumerate(rows)}


@pytest.mark.parametrize(
    ("ours", "fault"),
    [
        (vectors((1, 0), (0, 1)), ""),
        (vectors((1, 0.03), (0, 1)), ""),
        (vectors((1, 0.1), (0, 1)), "1 - cosine is 0.00496 on text 0, over 0.0015"),
        (vectors((1, 0), (1, 0)), "1 - cosine is 1 on text 1, over 0.0015"),
        (vectors((1, 0, 0), (0, 1, 0)), "3 dimensions in place of 2"),
        (vectors((1.4, 0), (0, 1.4)), "its vectors are 1.4 times as long"),
        (vectors((1.001, 0), (0, 0.999)), ""),
        (vectors((np.nan, 0), (0, 1)), "1 - cosine is nan on text 0, over 0.0015"),
    ],
)
def test_vectors_of_the_same_texts_are_compared_in_direction_length_and_dimensions(ours, fault):
    assert difference(ours, vectors((1, 0), (0, 1)))[1] == fault


def test_an_answer_counts_where_it_tells_of_the_model_and_server_of_the_last_proof():
    one, need = endpoint(Clock(), "a"), CanarySet(None)
    told = [
        Reply((), model=model, headers={"server": server})
        for model, server in (("m", "x"), ("m", "x"), ("m", "y"), ("n", "x"), ("m", "x"))
    ]
    one.proved.add(need)
    one.told = told_of(told[0])
    assert [one.agrees(reply) for reply in told[:2]] == [True, True]
    assert one.proved == {need}
    assert [one.agrees(reply) for reply in told[2:]] == [False, False, True]
    assert (one.proved, one.remembers) == (set(), False)
