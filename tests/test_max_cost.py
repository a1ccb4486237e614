"""`max_cost` is never passed, whatever the texts, the batches, the faults and the ends of calls."""

from __future__ import annotations

import asyncio
import os
import pickle
from contextlib import suppress
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from embedbridge import BudgetExceededError, Embedder, EmbeddingError
from embedbridge.testing import FaultServer, Latency
from support.waiting import until

MODEL, PRICE = "text-embedding-3-small", Fraction("0.02") / 1_000_000
ALPHABETS = ["ab c", "日本語漢字", "😀👩‍👩‍👧🏽", "ﷺ﷽", "\u1200\u13a0\U00012000\U0001d400", "\t\n ", "0123456789abcdef"]
FAULTS = ["ok", "ok", "500", "503", "reset:at=mid", "reset:at=start", "close:at=headers", "truncate", "drop", "nan"]
FAULTS += ["nousage", "badusage", "413", "400:message=bad text", "hang:s=0.02", "badutf8"]

pytestmark = pytest.mark.usefixtures("_short_pauses")

words = st.sampled_from(ALPHABETS).flatmap(lambda letters: st.text(letters, min_size=1, max_size=40))
times = st.just(1) | st.integers(50, 1500)
texts = st.lists(st.tuples(words, times), min_size=1, max_size=12)
"""Words, and how often each stands in its text."""
calls = st.lists(
    st.tuples(texts, st.sampled_from(["sync", "async", "at once", "cancel"]), st.booleans()), min_size=1, max_size=4
)
options = st.fixed_dictionaries(
    {
        "batch_size": st.integers(1, 6),
        "concurrency": st.integers(1, 4),
        "too_long": st.sampled_from(["truncate", "mean", "error"]),
        "max_retries": st.integers(0, 3),
        "tokens": st.integers(0, 4000),
        "bytes_per_token": st.sampled_from([1, 2, 4]),
        "faults": st.lists(st.sampled_from(FAULTS), max_size=12),
    }
)


@pytest.fixture(scope="module")
def billing():
    with FaultServer(latency=Latency(base=0.002)) as server:
        yield server


def spend(server, calls, *, tokens, bytes_per_token, faults, **options):
    """Make calls as long as there is money; what was billed is at most `max_cost`, and no less is told."""
    server.reset()
    server.bytes_per_token = bytes_per_token
    server.script(*faults)
    most = float(tokens * PRICE)
    embedder = Embedder(
        f"openai:{MODEL}",
        base_url=f"{server.url}/v1",
        api_key="sk-x",
        cache=False,
        empty="zero",
        max_cost=most,
        **options,
    )
    for parts, how, closes in calls:
        texts = [word * times for word, times in parts]
        with suppress(EmbeddingError):
            if how == "sync":
                embedder.embed(texts)
            else:
                asyncio.run(run(embedder, texts, how))
        if closes:
            embedder.close()
    with suppress(BudgetExceededError, EmbeddingError):
        embedder.embed(["one more 😀"])
    embedder.close()
    until(lambda: server.stats.in_flight == 0)
    assert server.stats.tokens <= tokens
    if not {"nousage", "badusage"}.intersection(faults):  # what is told is an estimate then
        assert float(server.stats.tokens * PRICE) <= embedder.usage.cost * (1 + 1e-9)
    assert embedder.usage.cost <= most * (1 + 1e-9)


async def run(embedder, texts, how):
    if how == "cancel":
        with suppress(TimeoutError):
            async with asyncio.timeout(0.004):
                await embedder.aembed(texts)
    elif how == "at once":
        outcomes = await asyncio.gather(*(embedder.aembed(texts[at:]) for at in range(3)), return_exceptions=True)
        assert all(not isinstance(each, Exception) or isinstance(each, EmbeddingError) for each in outcomes)
    else:
        await embedder.aembed(texts)
    await embedder.aclose()


quick = settings(deadline=None, max_examples=3, suppress_health_check=list(HealthCheck))
thorough = settings(deadline=None, max_examples=30, suppress_health_check=list(HealthCheck))


@pytest.mark.filterwarnings("ignore:OpenAI's tokenizer is not on this machine")
@quick
@given(calls, options)
def test_what_is_billed_never_passes_the_highest_cost(billing, calls, options):
    spend(billing, calls, **options)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:OpenAI's tokenizer is not on this machine")
@thorough
@given(calls, options)
def test_what_is_billed_never_passes_the_highest_cost_in_many_ways(billing, calls, options):
    spend(billing, calls, **options)


@pytest.mark.filterwarnings("ignore:OpenAI's tokenizer is not on this machine")
def test_a_pickled_copy_may_spend_as_much_again_and_no_more(billing, caller, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    billing.reset()
    billing.bytes_per_token = 1
    tokens = 10
    options = {"base_url": f"{billing.url}/v1", "cache": False, "max_cost": float(tokens * PRICE)}
    original = Embedder(f"openai:{MODEL}", **options)
    caller.embed(original, ["six by"])
    for embedder, most in ((pickle.loads(pickle.dumps(original)), 6 + tokens), (original, 6 + 2 * tokens)):  # noqa: S301
        with pytest.raises(BudgetExceededError):
            caller.embed(embedder, [f"one{number}" for number in range(tokens + 1)])
        with suppress(BudgetExceededError):
            caller.embed(embedder, ["one"])
        assert billing.stats.tokens <= most


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:OpenAI's tokenizer is not on this machine", "ignore:.*fork")
def test_a_forked_child_goes_on_from_what_its_parent_had_spent(billing):
    billing.reset()
    billing.bytes_per_token = 1
    tokens = 10
    options = {"base_url": f"{billing.url}/v1", "cache": False, "max_cost": float(tokens * PRICE)}
    embedder = Embedder(f"openai:{MODEL}", api_key="sk-x", **options)
    embedder.embed(["six by"])
    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            for _ in range(tokens):
                embedder.embed(["one"])
        os._exit(0)
    os.waitpid(child, 0)
    assert 6 < billing.stats.tokens <= tokens
