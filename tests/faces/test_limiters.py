"""The frameworks' own limiters: asked before every request that is sent, with its tokens, and for nothing else."""

from __future__ import annotations

import asyncio

import pytest
from langchain_core.rate_limiters import BaseRateLimiter, InMemoryRateLimiter

from embedbridge import ConfigurationError, DeadlineExceededError, Embedder, RateLimitTimeoutError

from .conftest import FACES, query_vector


class Requests(BaseRateLimiter):
    """LangChain's kind: counts requests, and which of its methods was called."""

    def __init__(self, *, granted=True):
        self.asked, self.granted = [], granted

    def acquire(self, *, blocking=True):
        self.asked.append("acquire" if blocking else "try")
        return self.granted

    async def aacquire(self, *, blocking=True):
        self.asked.append("aacquire" if blocking else "try")
        return self.granted


class Tokens:
    """LlamaIndex's kind, also where its version has none yet: notes the tokens."""

    def __init__(self, tokens_per_minute=None):
        self.asked, self.tokens_per_minute = [], tokens_per_minute

    def acquire(self, num_tokens=0):
        self.asked.append(num_tokens)

    async def async_acquire(self, num_tokens=0):
        self.asked.append(num_tokens)


def test_langchains_limiter_is_asked_once_a_request_by_its_own_method(caller, mode):
    limiter = Requests()
    embedder = Embedder("fake:8", cache="memory", rate_limiter=limiter, batch_size=2, concurrency=1)
    caller.embed(embedder, ["a", "b", "c"])
    assert limiter.asked == [{"sync": "acquire", "async": "aacquire"}[mode]] * 2


def test_llama_indexs_limiter_is_told_the_tokens_and_never_more_than_it_can_grant(caller):
    limiter = Tokens(tokens_per_minute=10)
    embedder = Embedder("fake:8", cache=False, rate_limiter=limiter, concurrency=1)
    caller.embed(embedder, ["four" * 4, "four" * 100, "ten chars."])
    assert sorted(limiter.asked) == [3, 4, 10]


def test_tokens_are_counted_by_the_models_own_tokenizer(caller, minilm_path):
    limiter = Tokens()
    texts = ["unbelievably", "two words"]
    embedder = Embedder(f"local:{minilm_path}", cache=False, rate_limiter=limiter)
    caller.embed(embedder, texts)
    counter = embedder._parts.provider.counter()
    assert limiter.asked == [sum(len(counter.spans(text)) + 2 for text in texts)]


@pytest.mark.parametrize("limiter", [Requests, Tokens])
@pytest.mark.parametrize("face", FACES, ids=lambda kind: kind.__name__)
def test_what_the_cache_knows_is_not_asked_of_the_limiter(face, limiter):
    limiter = limiter()
    made = face(model="fake:8", cache="memory", rate_limiter=limiter)
    for _ in range(3):
        query_vector(made, "a")
    assert len(limiter.asked) == 1


def test_every_attempt_is_asked_for(caller, server):
    limiter = Tokens()
    server.script("503", "ok")
    embedder = Embedder(
        "openai:text-embedding-3-small",
        base_url=f"{server.url}/v1",
        api_key="sk-test",
        cache=False,
        rate_limiter=limiter,
    )
    caller.embed(embedder, ["a"])
    assert len(limiter.asked) == len(server.requests) == 2


def test_a_real_limiter_spreads_requests(caller):
    limiter = InMemoryRateLimiter(requests_per_second=20, check_every_n_seconds=0.01, max_bucket_size=1)
    embedder = Embedder("fake:8", cache=False, rate_limiter=limiter, batch_size=1)
    report = caller.embed(embedder, [str(number) for number in range(5)]).report
    assert report.waited > 0.1


def test_waiting_for_a_limiter_ends_with_the_deadline(caller):
    limiter = InMemoryRateLimiter(requests_per_second=0.01, max_bucket_size=1)
    embedder = Embedder("fake:8", cache=False, rate_limiter=limiter, deadline=0.3)
    with pytest.raises(DeadlineExceededError):
        caller.embed(embedder, ["a"])


async def test_a_call_that_waits_for_a_limiter_can_be_cancelled_and_blocks_no_other():
    limiter = InMemoryRateLimiter(requests_per_second=0.01, max_bucket_size=1)
    slow, free = Embedder("fake:8", cache=False, rate_limiter=limiter), Embedder("fake:8", cache=False)
    waiting = asyncio.create_task(slow.aembed(["a"]))
    assert (await free.aembed(["b"])).report.requests == 1
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


def test_a_limiter_that_refuses_or_fails_is_one_named_error(caller):
    embedder = Embedder("fake:8", cache=False, rate_limiter=Requests(granted=False))
    with pytest.raises(RateLimitTimeoutError, match="fake:8: the rate_limiter lets no more requests go"):
        caller.embed(embedder, ["a", "b"])
    broken = Tokens()
    broken.asked = None
    with pytest.raises(RateLimitTimeoutError, match="the rate_limiter failed") as caught:
        caller.embed(Embedder("fake:8", cache=False, rate_limiter=broken), ["a"])
    assert isinstance(caught.value.__cause__, AttributeError)


def test_anything_else_is_refused_at_construction():
    with pytest.raises(
        ConfigurationError, match="rate_limiter: give a BaseRateLimiter of langchain_core or of llama_index"
    ):
        Embedder("fake:8", rate_limiter=object())


def test_a_limiter_that_cannot_leave_its_process_is_not_left_behind_in_silence():
    made = Embedder("fake:8", rate_limiter=InMemoryRateLimiter())
    with pytest.raises(ConfigurationError, match="set requests_per_minute and tokens_per_minute"):
        made.__reduce__()


def test_llama_indexs_own_limiter_works(caller):
    limiters = pytest.importorskip("llama_index.core.rate_limiter", reason="needs a newer llama-index-core")
    limiter = limiters.TokenBucketRateLimiter(tokens_per_minute=60)
    embedder = Embedder("fake:8", cache=False, rate_limiter=limiter)
    report = caller.embed(embedder, ["x" * 1000]).report  # more tokens than the bucket ever holds
    assert report.requests == 1
