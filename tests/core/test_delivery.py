"""One batch on its way: what is sent of it again, and when others may have it."""

from __future__ import annotations

import numpy as np
import pytest

from core.parts import Clock, Hand, make_job, make_setting
from embedbridge.core.delivery import deliver, halves
from embedbridge.core.effects import Call
from embedbridge.core.errors import RequestFailed
from embedbridge.core.flow import plan
from embedbridge.core.types import Reply
from embedbridge.providers.fake import fake_vectors


def batch_of(setting, texts):
    """A job of these texts, and its one batch."""
    job = make_job(setting, texts)
    (batch,) = plan(job, range(len(texts)))
    return job, batch


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_halves_of_a_batch_are_all_of_it_once(count):
    job, batch = batch_of(make_setting(), [f"text {number}" for number in range(count)])
    parts = halves(job, batch)
    assert [row for part in parts for row in part.rows] == list(batch.rows)
    assert [text for part in parts for text in part.texts] == list(batch.texts)
    assert sum(part.tokens for part in parts) == batch.tokens
    assert max(len(part.rows) for part in parts) - min(len(part.rows) for part in parts) <= 1


def test_vectors_are_in_the_cache_before_a_row_has_its_vector():
    setting = make_setting(clock=(clock := Clock()))
    job, batch = batch_of(setting, [f"text {number}" for number in range(20)])
    seen = []

    def look(effect):
        if isinstance(effect, Call) and "write" in repr(effect.function):
            seen.append(any(job.have))

    Hand(clock, interrupt=look).run(deliver(job, batch))
    assert seen == [False]
    assert all(job.have)
    assert len(setting.store.read(job.keys).rows) == 20


def test_a_text_that_is_refused_costs_the_others_nothing():
    setting = make_setting(clock=(clock := Clock()))
    job, batch = batch_of(setting, [f"text {number}" for number in range(8)])

    def answer(asked):
        if "text 5" in asked.texts:
            raise RequestFailed("no", status=400)
        return Reply(fake_vectors(asked.texts, 8), tokens=asked.tokens)

    hand = Hand(clock, answer)
    hand.run(deliver(job, batch))
    assert [row for row, got in enumerate(job.have) if not got] == [5]
    assert list(job.failures) == [5]
    accepted = [text for texts in hand.asked if "text 5" not in texts for text in texts]
    assert len(accepted) == len(set(accepted)) == 7
    np.testing.assert_array_equal(job.table[:5], fake_vectors([f"text {number}" for number in range(5)], 8))
