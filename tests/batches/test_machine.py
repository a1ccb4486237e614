"""Submitting, collecting, cancelling, ordinary calls and processes that break off, in any order: what was paid for."""

import contextlib
import json
import shutil
import tempfile
from collections import Counter
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from embedbridge import Embedder, batch
from embedbridge._batch import desk
from embedbridge.testing import FaultServer
from support import batch_client

from .conftest import WIDTH

TEXTS = [f"text {number}" for number in range(12)]
some = st.lists(st.sampled_from(TEXTS), min_size=1, max_size=12)
"""Texts of a call, some of them twice."""
faults = st.sampled_from(
    ["ok", "ok", "reverse", "expire:share=0.5", "lose", "again", "errors", "invalid", "never", "short", "gone"]
    + [f"unheard:status={status}" for status in (400, 429, 503)]
)
STEPS = batch_client.STEPS
processes = st.integers(0, 1)


class Broken(BaseException):
    """A process ends here."""


class Nights(RuleBasedStateMachine):
    """Two processes share a cache."""

    cache = ""
    """Where it is; "": in a folder."""

    def __init__(self):
        super().__init__()
        self.folder = tempfile.mkdtemp()
        self.server = FaultServer().start()
        self.ours = [self.made() for _ in range(2)]
        self.cached, self.asked = set(), Counter()

    def made(self):
        options = {
            "base_url": f"{self.server.url}/v1",
            "api_key": "k",
            "cache": self.cache or self.folder,
            "dimensions": WIDTH,
        }
        return Embedder("openai:text-embedding-3-small", batch_size=3, **options)

    @initialize()
    def begin(self):
        assert batch.list(self.ours[0]) == []

    def ended(self):
        return {each.id for each in batch.list(self.ours[0]) if each.ended}

    def take_over(self, before):
        """The model of what `collect` does: sound lines of batches that have ended by it are in the cache."""
        for made in self.server.batches.made:
            if made.id in self.ended() - before:
                told = made.lines and not made.has("gone")
                good, _ = (told and self.server.batches.outcome(made, None)) or ([], [])
                names = {line.name for line in good}
                self.cached |= {text for name, body in made.asked if name in names for text in body["input"]}

    @rule(who=processes, texts=some, fault=faults)
    def submit(self, who, texts, fault):
        pending = set(self.handed())
        self.server.batches.script(fault)
        done = batch.submit(self.ours[who], texts)
        assert done.texts == len(set(texts) - self.cached - pending)
        if not done.batches:
            self.server.batches._script.clear()

    @rule(who=processes)
    def collect(self, who):
        before = self.ended()
        batch.collect(self.ours[who])
        self.take_over(before)

    @rule(who=processes)
    def cancel(self, who):
        batch.cancel(self.ours[who])

    @rule(who=processes)
    def forget(self, who):
        batch.forget(self.ours[who], [each for each in batch.list(self.ours[who]) if each.lost])

    @rule(who=processes, texts=some)
    def call(self, who, texts):
        missing = set(texts) - self.cached
        result = self.ours[who].embed(texts)
        np.testing.assert_array_equal(result.vectors, self.server.vectors(texts, dims=WIDTH))
        assert result.report.misses == len(missing)
        self.asked.update(missing)
        self.cached |= missing

    @rule(who=processes, texts=some, step=st.integers(1, 24))
    def break_off(self, who, texts, step):
        """A process ends at a step of handing over or of taking in, and another takes its place."""
        before, left = self.ended(), [step]

        def watched(real):
            def run(*args, **options):
                left[0] -= 1
                if left[0] == 0:
                    raise Broken
                return real(*args, **options)

            return run

        patches = [patch.object(kind, name, watched(getattr(kind, name))) for kind in STEPS for name in STEPS[kind]]
        for each in patches:
            each.start()
        try:
            batch.submit(self.ours[who], texts)
            batch.collect(self.ours[who])
        except Broken:
            pass
        finally:
            for each in patches:
                each.stop()
        self.ours[who].close()
        self.ours[who] = self.made()
        batch.collect(self.ours[who])  # lines that were stored before the end are known by then
        self.take_over(before)

    def handed(self):
        """Texts of batches that were made, whose answers were not taken in, each as often as it is in one."""
        ended = self.ended()
        live = [made for made in self.server.batches.made if made.id not in ended]
        lines = [json.loads(line) for made in live for line in self.server.batches.files[made.file].splitlines()]
        return Counter(text for line in lines for text in line["body"]["input"])

    @invariant()
    def no_text_is_on_its_way_twice(self):
        assert not [text for text, times in self.handed().items() if times > 1]

    @invariant()
    def what_was_paid_for_was_asked_for(self):
        worked = Counter(self.asked)
        for made in self.server.batches.made:
            count = (
                int(len(made.asked) * 0.5)
                if made.has("expire")
                else 0
                if made.cancelled or made.refused
                else len(made.asked)
            )
            if made.lines is not None:
                worked.update(text for _, body in made.asked[:count] for text in body["input"])
        assert self.server.stats.billed == worked

    def teardown(self):
        for each in self.ours:
            each.close()
        self.server.stop()
        shutil.rmtree(self.folder)


class NightsInRedis(Nights):
    """They are two machines, which write the address of one Redis in two ways."""

    def made(self):
        type(self).cache = self.cache.replace("127.0.0.1", "localhost") if "127" in self.cache else self.first
        return super().made()


@pytest.mark.slow
def test_whatever_happens_on_two_machines_with_one_redis_nothing_is_paid_for_twice(monkeypatch, valkey):
    monkeypatch.setattr(desk, "SETTLING", 0.0)
    with contextlib.closing(valkey.client()) as client:

        class Emptied(NightsInRedis):
            first = cache = valkey.url

            def __init__(self):
                client.flushall()
                super().__init__()

        run(Emptied, examples=6)


@pytest.mark.slow
def test_whatever_happens_in_whatever_order_nothing_is_paid_for_twice(monkeypatch):
    monkeypatch.setattr(desk, "SETTLING", 0.0)
    run(Nights, examples=15)


def run(machine, examples):
    given = {"stateful_step_count": 12, "deadline": None, "suppress_health_check": list(HealthCheck)}
    run_state_machine_as_test(machine, settings=settings(max_examples=examples, **given))
