"""What one bad text or one bad answer does to a call, and to the others in it."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.answers import ONE_BY_ONE, Script, busy, lacking, refuse, run, spoil, stored, truth
from core.parts import WIDTH, make_job, make_setting, reply_to
from embedbridge._core.flow import plan
from embedbridge._core.model_names import ModelNames
from embedbridge._core.packing import halves
from embedbridge._core.types import Limits, Reply
from embedbridge.errors import (
    AuthenticationError,
    ConfigurationError,
    InputTooLongError,
    InvalidInputError,
    InvalidResponseError,
    ProviderUnavailableError,
    RateLimitTimeoutError,
    RequestFailed,
)
from embedbridge.providers.fake import fake_vectors


@settings(max_examples=30)
@given(st.integers(0, 99))
def test_a_poisonous_text_among_a_hundred_is_named_and_the_others_are_kept(place):
    texts = [f"text {number}" for number in range(100)]
    setting = make_setting()
    _, hand, error = run(setting, texts, refuse(texts[place]))
    assert type(error) is InvalidInputError
    assert (error.index, error.failed_indices) == (place, (place,))
    assert error.completed == tuple(number for number in range(100) if number != place)
    assert f"text {place}:" in str(error)
    assert len(hand.asked) <= 1 + 15
    answered = [text for batch in hand.asked if texts[place] not in batch for text in batch]
    assert sorted(answered) == sorted(set(texts) - {texts[place]})
    assert len(stored(setting, texts)) == 99


def test_each_of_several_poisonous_texts_is_found():
    texts = [f"text {number}" for number in range(32)]
    setting = make_setting(limits=Limits(items=16))
    _, _, error = run(setting, texts, refuse("text 3", "text 4", "text 12", "text 20"))
    assert error.index == 3
    assert error.failed_indices == (3, 4, 12, 20)


def test_a_poisonous_text_is_named_at_every_place_where_it_stands():
    _, _, error = run(make_setting(), ["a", "!", "b", "!"], refuse("!"))
    assert error.index == 1
    assert error.failed_indices == (1, 3)
    assert error.completed == (0, 2)


def test_an_api_that_refuses_everything_is_not_asked_text_by_text():
    _, hand, error = run(make_setting(), map(str, range(1000)), Script(RequestFailed("bad parameter", status=400)))
    assert type(error) is ConfigurationError
    assert "3 texts were each refused in the same words" in str(error)
    assert len(hand.asked) == 1 + 3
    assert len(error.failed_indices) == 1000


def failing(*poison, status=500, said="internal error"):
    """A server that fails each time that it meets one of these texts."""

    def answer(batch):
        if set(poison) & set(batch.texts):
            raise RequestFailed(said, status=status)
        return reply_to(batch)

    return answer


@settings(max_examples=30)
@given(st.integers(0, 31), st.sampled_from([500, 502, 503, 599]))
def test_a_text_at_which_the_server_fails_every_time_is_found_and_the_others_are_kept(place, status):
    """W3: all retries of the batch fail, then single texts and halves are tried."""
    texts = [f"text {number}" for number in range(32)]
    setting = make_setting()
    _, hand, error = run(setting, texts, failing(texts[place], status=status))
    assert type(error) is ProviderUnavailableError
    assert (error.failed_indices, len(error.completed)) == ((place,), 31)
    assert f"text {place}:" in str(error)
    assert len(hand.asked) <= 6 + 3 + 12
    answered = [text for batch in hand.asked if texts[place] not in batch for text in batch]
    assert sorted(answered) == sorted(set(texts) - {texts[place]})
    assert len(stored(setting, texts)) == 31


def test_several_texts_at_which_the_server_fails_are_found():
    """W3: the others of their batch are kept."""
    texts = [f"text {number}" for number in range(64)]
    _, _, error = run(make_setting(), texts, failing("text 3", "text 4", "text 60"))
    assert error.failed_indices == (3, 4, 60)


def test_a_server_that_is_down_is_asked_for_three_single_texts_and_no_more():
    _, hand, error = run(make_setting(), map(str, range(1000)), Script(RequestFailed("it fails", status=500)))
    assert type(error) is ProviderUnavailableError
    assert len(hand.asked) <= 10 * (6 + 2 * 3)
    assert len(error.failed_indices) == 1000


def test_a_search_for_the_texts_at_which_a_server_fails_is_bounded():
    texts = [f"text {number}" for number in range(64)]
    _, hand, error = run(make_setting(), texts, failing(*texts[:60]))
    assert type(error) is ProviderUnavailableError
    assert len(hand.asked) < 6 + 2 * (3 + 2 * 4 * 7)
    assert 63 in error.completed


def test_a_batch_for_which_the_memory_does_not_suffice_is_halved_at_once():
    """W7: it is not sent again as it is, and what fits is remembered."""

    def answer(batch):
        if len(batch.texts) > 3:
            raise RequestFailed("CUDA out of memory. Tried to allocate 20 MiB", status=500)
        return reply_to(batch)

    _, hand, error = run(make_setting(), map(str, range(10)), answer)
    assert error is None
    assert [len(asked) for asked in hand.asked] == [10, 5, 3, 2, 3, 2]
    assert hand.slept == []


def test_one_text_for_which_the_memory_does_not_suffice_is_tried_again_and_named():
    _, hand, error = run(make_setting(retries=2), "a", failing("a", said="out of memory"))
    assert type(error) is ProviderUnavailableError
    assert "text 0" in str(error)
    assert len(hand.asked) == 3


def test_a_field_that_is_refused_ends_the_call_after_one_request():
    """W6: the field is named, with what to write."""
    refusal = RequestFailed("invalid", status=422, kind="configuration", param="encoding_format")
    _, hand, error = run(make_setting(), map(str, range(10)), Script(refusal))
    assert type(error) is ConfigurationError
    assert "provider_options={'encoding_format': 'float'}" in str(error)
    assert len(hand.asked) == 1


@pytest.mark.parametrize("count", [1, 2])
def test_one_or_two_refused_texts_say_nothing_of_the_request(count):
    _, _, error = run(make_setting(), map(str, range(count)), Script(RequestFailed("no", status=400)))
    assert type(error) is InvalidInputError


def test_texts_that_are_refused_in_different_words_are_each_at_fault():
    """W6: only the same words for three texts speak against the request."""
    words = ["empty text", "bad characters", "wrong language", "no input", "some value", "not a string"]
    refusals = Script(*(RequestFailed(said, status=400) for said in words))
    _, hand, error = run(make_setting(limits=ONE_BY_ONE), map(str, range(6)), refusals)
    assert type(error) is InvalidInputError
    assert len(hand.asked) == 6


def test_a_403_for_one_text_after_others_were_accepted_is_that_texts():
    """W10: the key is good."""
    texts = [f"text {number}" for number in range(20)]
    setting = make_setting(limits=Limits(items=5))
    _, _, error = run(setting, texts, failing("text 7", status=403, said="forbidden"))
    assert error.failed_indices == (7,)
    assert len(stored(setting, texts)) == 19


def test_a_key_that_is_taken_back_in_the_middle_is_found_after_three_texts():
    """W10: a 403 for every text ends the call."""
    steps = [reply_to, RequestFailed("forbidden", status=403)]
    _, hand, error = run(make_setting(limits=Limits(items=5)), map(str, range(50)), Script(*steps))
    assert type(error) is AuthenticationError
    assert len(hand.asked) == 1 + 1 + 3
    assert error.completed == (0, 1, 2, 3, 4)


def test_a_403_before_anything_was_accepted_is_the_keys():
    _, hand, error = run(make_setting(), map(str, range(10)), Script(RequestFailed("forbidden", status=403)))
    assert type(error) is AuthenticationError
    assert len(hand.asked) == 1


def test_the_halves_of_a_batch_know_their_own_tokens():
    job = make_job(make_setting(), ["a" * 400, "b", "c"])
    (batch,) = plan(job, range(3))
    assert [(half.texts, half.tokens) for half in halves(job, batch)] == [(("a" * 400,), 100), (("b", "c"), 2)]


def test_texts_that_were_too_long_do_not_speak_against_the_others():
    def answer(batch):
        if any(len(text) > 3 for text in batch.texts):
            raise RequestFailed("input is too large to process", status=500)
        return refuse("!")(batch)

    texts = ["long 1", "long 2", "long 3", "a", "long 4", "b", "!", "c"]
    _, _, error = run(make_setting(limits=Limits(items=4)), texts, answer)
    assert type(error) is InputTooLongError
    assert error.completed == (3, 5, 7)
    assert error.failed_indices == (0, 1, 2, 4, 6)


def test_a_text_that_the_provider_finds_too_long_is_named():
    def answer(batch):
        if any(len(text) > 3 for text in batch.texts):
            raise RequestFailed("input is too large to process", status=500)
        return reply_to(batch)

    _, _, error = run(make_setting(), ["a", "b", "long", "c"], answer)
    assert type(error) is InputTooLongError
    assert (error.index, error.completed) == (2, (0, 1, 3))


def test_an_unsound_answer_is_asked_for_once_more():
    job, hand, error = run(make_setting(), "abc", Script(spoil("b"), reply_to))
    assert error is None
    assert hand.asked == [["a", "b", "c"]] * 2
    assert hand.slept == [0.5]
    assert job.report.paid_again == 3


@pytest.mark.parametrize("by", [math.nan, math.inf, 0.0])
def test_a_vector_that_stays_unsound_is_named_and_the_others_are_kept(by):
    setting = make_setting()
    _, hand, error = run(setting, "abc", spoil("b", by=by))
    assert type(error) is InvalidResponseError
    assert error.kind == "value"
    assert (error.failed_indices, error.completed) == ((1,), (0, 2))
    assert len(hand.asked) == 2
    assert stored(setting, "abc") == ["a", "c"]
    _, again, _ = run(setting, "abc")
    assert again.asked == [["b"]]


def test_an_answer_is_asked_for_once_more_even_after_other_failures():
    _, hand, error = run(make_setting(), "abc", Script(busy(), busy(), spoil("b"), spoil("b")))
    assert len(hand.asked) == 4
    assert error.failed_indices == (1,)


def test_the_last_attempt_keeps_what_is_sound_in_it():
    _, hand, error = run(make_setting(retries=2), "abc", Script(busy(), busy(), spoil("b")))
    assert len(hand.asked) == 3
    assert error.failed_indices == (1,)
    _, hand, error = run(make_setting(retries=0), "abc", spoil("b"))
    assert len(hand.asked) == 1
    assert error.failed_indices == (1,)


def test_unsound_answers_count_as_attempts_like_any_other():
    _, hand, error = run(make_setting(retries=2), "abc", Script(spoil("b"), busy(), busy(), busy()))
    assert len(hand.asked) == 3
    assert type(error) is RateLimitTimeoutError


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        (lacking, "count"),
        (lambda batch: Reply(truth(*batch.texts), [0] * len(batch.texts)), "index"),
        (lambda batch: Reply(truth(*batch.texts)[:, :3]), "width"),
        (lambda batch: Reply([None] * len(batch.texts)), "value"),
        (lambda batch: Reply(truth(*batch.texts), model="another"), "model"),
    ],
)
def test_an_answer_that_cannot_be_trusted_fails_its_whole_batch_and_no_other(wrong, kind):
    setting = make_setting(limits=Limits(items=2), width=WIDTH, names=ModelNames(siblings=frozenset({"another"})))
    _, hand, error = run(setting, "abcdef", Script(reply_to, wrong, wrong, reply_to))
    assert (type(error), error.kind) == (InvalidResponseError, kind)
    assert hand.asked == [["a", "b"], ["c", "d"], ["c", "d"], ["e", "f"]]
    assert (error.failed_indices, error.completed) == ((2, 3), (0, 1, 4, 5))
    assert stored(setting, "abcdef") == ["a", "b", "e", "f"]


def test_vectors_of_another_width_than_those_in_the_cache_are_an_error_and_not_a_mixture():
    setting = make_setting()
    run(setting, "a")
    setting.width = None
    _, _, error = run(setting, "ab", lambda batch: Reply(fake_vectors(batch.texts, 16)))
    assert (type(error), error.kind) == (InvalidResponseError, "width")
    assert (error.failed_indices, error.completed) == ((1,), (0,))


def test_the_first_vectors_decide_the_width():
    setting = make_setting()
    assert [setting.agree(width) for width in (8, 16, 8)] == [True, False, True]


def test_batches_of_two_widths_are_not_mixed():
    setting = make_setting(limits=ONE_BY_ONE)
    _, _, error = run(setting, "ab", lambda batch: Reply(fake_vectors(batch.texts, 8 if batch.texts == ("a",) else 16)))
    assert error.failed_indices == (1,)
