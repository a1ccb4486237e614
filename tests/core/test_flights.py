"""Who is fetching which key."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from embedbridge._core.flights import Flights

VECTORS = np.eye(3, dtype=np.float32)


def claim(flights, keys, call=1):
    mine, others = flights.claim(keys, call)
    return mine, [other.future for other in others]


def test_a_key_is_claimed_by_one_call():
    flights = Flights()
    owner = object()
    assert flights.claim([b"a", b"b"], 1, owner) == ([0, 1], [])
    mine, others = flights.claim([b"c", b"a"], 2)
    assert mine == [0]
    assert [(other.position, other.owner) for other in others] == [(1, owner)]


def test_whoever_waits_gets_the_vector_of_its_key():
    flights = Flights()
    flights.claim([b"a", b"b", b"c"], 1)
    _, (of_c, of_a) = claim(flights, [b"c", b"a"], 2)
    flights.land([b"a", b"b", b"c"], VECTORS)
    assert np.array_equal(of_a.result(0), VECTORS[0])
    assert np.array_equal(of_c.result(0), VECTORS[2])


def test_all_who_wait_share_one_future():
    flights = Flights()
    flights.claim([b"a"], 1)
    futures = {id(claim(flights, [b"a"], call)[1][0]) for call in range(2, 50)}
    assert len(futures) == 1


def test_a_key_that_has_landed_is_free_again():
    flights = Flights()
    flights.claim([b"a"], 1)
    flights.land([b"a"], VECTORS[:1])
    assert claim(flights, [b"a"], 2) == ([0], [])


def test_who_watches_hears_of_each_key_that_ends_and_of_no_other():
    flights = Flights()
    flights.claim([b"a", b"b", b"c"], 1)
    ended = flights.watch()
    assert ended.keys == set()
    flights.land([b"a"], VECTORS[:1])
    flights.release([b"b"], 1)
    assert ended.keys == {b"a", b"b"}
    assert flights.watch().keys == set()


def test_whoever_waits_for_a_key_that_was_given_up_is_told():
    flights = Flights()
    flights.claim([b"a"], 1)
    _, (future,) = claim(flights, [b"a"], 2)
    flights.release([b"a"], 1)
    assert future.result(0) is None
    assert claim(flights, [b"a"], 2) == ([0], [])


def test_a_claim_that_has_ended_takes_nothing_from_the_next_one():
    flights = Flights()
    flights.claim([b"a"], 1)
    flights.release([b"a"], 1)
    flights.claim([b"a"], 2)
    _, (future,) = claim(flights, [b"a"], 3)
    flights.release([b"a"], 1)
    assert not future.done()
    flights.land([b"a"], VECTORS[:1])
    assert np.array_equal(future.result(0), VECTORS[0])


def test_a_vector_that_lands_late_still_reaches_those_who_wait_for_the_next_call():
    flights = Flights()
    flights.claim([b"a"], 1)
    flights.release([b"a"], 1)
    flights.claim([b"a"], 2)
    _, (future,) = claim(flights, [b"a"], 3)
    flights.land([b"a"], VECTORS[:1])  # by the first call, after all
    assert np.array_equal(future.result(0), VECTORS[0])
    flights.land([b"a"], VECTORS[:1])
    flights.release([b"a"], 2)


def test_a_key_that_stands_twice_in_a_list_is_claimed_once():
    flights = Flights()
    mine, (future,) = claim(flights, [b"a", b"b", b"a"])
    assert mine == [0, 1]
    flights.land([b"a"], VECTORS[:1])
    assert np.array_equal(future.result(0), VECTORS[0])


def test_what_was_never_claimed_can_land_and_be_released():
    flights = Flights()
    flights.land([b"a"], VECTORS[:1])
    flights.release([b"a"], 1)
    assert claim(flights, [b"a"]) == ([0], [])


@given(st.lists(st.tuples(st.integers(1, 4), st.sampled_from(["claim", "land", "release"]), st.sampled_from("abc"))))
def test_everybody_who_waits_is_answered_once_all_claims_have_ended(steps):
    flights, futures, owner = Flights(), [], {}
    for call, step, letter in steps:
        key = letter.encode()
        if step == "claim":
            mine, waiting = claim(flights, [key], call)
            assert bool(mine) == (letter not in owner)
            owner.setdefault(letter, call)
            futures += waiting
        elif step == "land":
            flights.land([key], VECTORS[:1])
            owner.pop(letter, None)
        else:
            flights.release([key], call)
            if owner.get(letter) == call:
                del owner[letter]
    for letter, call in owner.items():
        flights.release([letter.encode()], call)
    assert all(future.done() for future in futures)
