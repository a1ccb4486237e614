"""Texts that are longer than the model reads: cut, refused, or the mean of their pieces."""

from __future__ import annotations

import numpy as np
import pytest

from core.answers import Together, refuse, run, spoil, truth
from core.parts import Hand, make_job, make_setting, reply_to
from embedbridge._core.effects import Wait
from embedbridge._core.flow import embed
from embedbridge._core.tokens import ByteCounter
from embedbridge._core.types import Cut, Limits, Reply
from embedbridge.errors import InputTooLongError, InvalidInputError


def long_setting(**parts):
    return make_setting(limits=Limits(items=100, text_tokens=10), counter=lambda: ByteCounter(2), **parts)


def test_a_text_that_is_too_long_is_cut_and_reported_now_and_from_the_cache():
    setting = long_setting()
    job, hand, _ = run(setting, ["short", "x" * 50, "short"])
    assert hand.asked == [["short", "x" * 20]]
    assert job.report.cut == (Cut(1, 25, 10),)
    job, hand, _ = run(setting, ["x" * 50])
    assert hand.asked == []
    assert job.report.cut == (Cut(0, 25, 10),)


def test_a_short_text_never_meets_a_tokenizer():
    def counter():
        raise AssertionError

    setting = make_setting(limits=Limits(text_tokens=100), counter=counter)
    assert run(setting, ["x" * 92])[2] is None


def test_texts_that_are_too_long_can_be_refused_before_anything_is_sent():
    _, hand, error = run(long_setting(policy="error"), ["short", "x" * 50, "y" * 60, "x" * 50])
    assert type(error) is InputTooLongError
    assert (error.index, error.tokens, error.limit) == (1, 25, 10)
    assert error.failed_indices == (1, 2, 3)
    assert "too_long='truncate'" in str(error)
    assert hand.asked == []


def unit(vector):
    return vector / np.linalg.norm(vector)


def test_a_text_that_is_too_long_can_become_the_mean_of_its_pieces():
    setting = long_setting(policy="mean")
    text = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqr"
    job, hand, error = run(setting, ["short", text])
    pieces = [text[:20], text[20:40], text[40:]]
    assert error is None
    assert hand.asked == [["short"], pieces]
    mean = unit(np.average(truth(*pieces), axis=0, weights=[10, 10, 2]))
    assert np.allclose(job.table[1], mean, atol=1e-6)
    assert job.report.cut == (Cut(1, 22, 22),)
    assert (job.report.unique, job.report.misses) in {(0, 2), (2, 2)}
    again, hand, _ = run(setting, [text])
    assert hand.asked == []
    assert np.array_equal(again.table[0], job.table[1])


def test_pieces_that_are_alike_are_asked_for_once():
    job, hand, error = run(long_setting(policy="mean"), ["x" * 2000])
    assert error is None
    assert hand.asked == [["x" * 20]]
    assert np.allclose(job.table[0], truth("x" * 20)[0], atol=1e-6)


def test_pieces_that_were_paid_for_are_kept_when_another_one_fails():
    setting = long_setting(policy="mean")
    text = "a" * 20 + "b" * 20 + "c" * 20
    _, hand, error = run(setting, [text, "short"], refuse("b" * 20))
    assert (error.failed_indices, error.completed) == ((0,), (1,))
    assert error.index == 0
    _, hand, _ = run(setting, [text, "short"])
    assert hand.asked == [["b" * 20]]


@pytest.mark.parametrize("store", ["a cache", "no cache"])
def test_a_piece_that_is_also_a_text_never_waits_for_itself(store):
    parts = {} if store == "a cache" else {"store": None}
    piece, long = "p" * 20, "p" * 20 + "q" * 20
    for answer in (reply_to, refuse(piece), spoil(piece)):
        _, hand, error = run(long_setting(policy="mean", **parts), [piece, long], answer)
        assert error is None or error.failed_indices == (0, 1)
        assert all(not isinstance(effect, Wait) or effect.future.done() for effect in hand.effects)


def test_whoever_waits_holds_nothing_that_others_wait_for():
    setting = long_setting(policy="mean", retries=0)
    texts = ["f" * 4, "p" * 20 + "q" * 20]
    setting.flights.claim(make_job(setting, ["q" * 20]).keys, -1)  # somebody else is at the second piece

    def check(effect):
        if isinstance(effect, Wait):
            job = make_job(setting, [*texts, "p" * 20])
            assert setting.flights.claim(job.keys, -2)[0] == [0, 1, 2]
            setting.flights.release(job.keys, -2)

    job = make_job(setting, texts)
    hand = Hand(setting.clock, refuse("f" * 4), interrupt=check)
    with pytest.raises(InvalidInputError):
        hand.run(embed(job))
    assert any(isinstance(effect, Wait) for effect in hand.effects)


def test_two_calls_with_a_long_text_in_common_ask_for_its_pieces_once():
    setting = long_setting(policy="mean")
    text = "a" * 20 + "b" * 20
    both = Together(setting, [text], [text])
    one, other = both.start(0), both.start(1)
    assert both.finish(0, one) is None
    assert both.finish(1, other) is None
    assert np.array_equal(both.jobs[0].table[0], both.jobs[1].table[0])
    assert both.jobs[1].report.requests == 0


def test_a_cut_that_the_server_made_is_reported_with_the_length_of_the_text():
    def cutting(batch):
        return Reply(truth(*batch.texts), tokens=10, cut={0: 10})

    setting = make_setting()
    job, _, _ = run(setting, ["x" * 400], cutting)
    assert job.report.cut == (Cut(0, 100, 10),)
    job, hand, _ = run(setting, ["x" * 400])
    assert hand.asked == []
    assert job.report.cut == (Cut(0, 100, 10),)


def test_hits_shared_and_misses_are_all_there_is():
    setting = long_setting(policy="mean")
    run(setting, ["hit"])
    setting.flights.claim(make_job(setting, ["other"]).keys, -1)
    job, _, _ = run(setting, ["hit", "other", "miss", "z" * 90])
    assert job.report.hits + job.report.shared + job.report.misses == 4
