"""Whole calls by hand, one or several at once, and providers that answer as a test wants."""

from __future__ import annotations

import math

import numpy as np

from core.parts import WIDTH, Clock, Hand, Steps, make_job, reply_to
from embedbridge._core.effects import Call, Wait
from embedbridge._core.flow import embed
from embedbridge._core.types import Limits, Reply
from embedbridge.errors import EmbeddingError, RequestFailed
from embedbridge.providers.fake import fake_vectors

ONE_BY_ONE = Limits(items=1)


def truth(*texts):
    return fake_vectors(list(texts), WIDTH)


def run(setting, texts, answer=reply_to, **job_options):
    """The job, the hand that drove it, and the error it ended with."""
    job, hand = make_job(setting, list(texts), **job_options), Hand(setting.clock, answer)
    try:
        hand.run(embed(job))
    except EmbeddingError as error:
        return job, hand, error
    return job, hand, None


class Script:
    """Answers requests in turn: an exception is raised, a function makes the reply of a batch. The last one stays."""

    def __init__(self, *steps):
        self.steps = list(steps)

    def __call__(self, batch):
        step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        if isinstance(step, Exception):
            raise step
        return step(batch)


def busy(**told):
    return RequestFailed("slow down", status=429, **told)


def refuse(*poison):
    """An API that refuses any batch with one of these texts in it."""

    def answer(batch):
        if set(poison) & set(batch.texts):
            raise RequestFailed("invalid input", status=400)
        return reply_to(batch)

    return answer


def spoil(*texts, by=math.nan):
    """An API that spoils the vectors of these texts."""

    def answer(batch):
        items = [[by] * WIDTH if text in texts else truth(text)[0].tolist() for text in batch.texts]
        return Reply(items, tokens=batch.tokens)

    return answer


def stored(setting, texts):
    """Which of the texts the cache has, with the right vector."""
    job = make_job(setting, list(texts))
    hits = setting.store.read(job.keys, WIDTH)
    found = [job.texts[row] for row in hits.rows.tolist()]
    assert np.array_equal(hits.vectors, truth(*found)) or not found
    return found


def lacking(batch):
    """An answer without its last vector."""
    return Reply(truth(*batch.texts)[:-1])


class Together:
    """Several calls at once, each a flow in the hands of a test."""

    def __init__(self, setting, *calls, answer=reply_to):
        self.jobs = [make_job(setting, list(texts)) for texts in calls]
        self.flows = [Steps(embed(job)) for job in self.jobs]
        self.answer = answer

    def start(self, call):
        """Drive a call up to the requests that it wants to send, or the first thing that it waits for."""
        effect = next(self.flows[call])
        while isinstance(effect, Call):
            effect = self.flows[call].send(effect.function())
        return effect

    def finish(self, call, effect):
        """Drive a call on, answering what it asks; returns what it waits for, or None at its end."""
        hand = Hand(Clock(), self.answer)
        try:
            while not isinstance(effect, Wait) or effect.future.done():
                effect = self.flows[call].send(hand.perform(effect))
        except StopIteration:
            return None
        return effect
