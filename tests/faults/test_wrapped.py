"""Objects of the two frameworks as providers: whatever goes wrong inside them, the promises are those of the others.

The real ones are each framework's class for OpenAI, over the fault server, told not to retry: what goes wrong then goes
wrong as their users know it. What no real one can be made to do, an object of a few lines does.
"""

import asyncio
import threading
import time
from dataclasses import dataclass

import numpy as np
import pytest
from langchain_core.embeddings import Embeddings
from llama_index.core.embeddings import BaseEmbedding

from embedbridge import (
    AuthenticationError,
    ConfigurationError,
    DeadlineExceededError,
    EmbeddingError,
    InputTooLongError,
    InvalidInputError,
    InvalidResponseError,
    ProviderUnavailableError,
    QuotaExceededError,
    RateLimitTimeoutError,
)
from embedbridge.langchain import BridgeEmbeddings
from embedbridge.llama_index import BridgeEmbedding
from embedbridge.testing import Latency, contains
from support.waiting import until

from . import case
from .apis import KEY, OPENAI, Api
from .client import SECRET, about, chain, corpus


@dataclass(frozen=True, slots=True)
class Wrapped(Api):
    """OpenAI's API through a framework's own class."""

    def embedder(self, server, **options):
        """The embedder around the framework's object."""
        return self.face.wrap(
            self.theirs(server.url + self.path), name=self.model, **{"cache": False} | options
        ).embedder

    @property
    def face(self):
        """Our class of the framework."""
        return BridgeEmbeddings if self.name == "langchain" else BridgeEmbedding

    def theirs(self, url):
        """The framework's object."""
        # Nobody can close the clients in there: let no connection outlive its request.
        told = {"model": self.model, "api_key": KEY, "max_retries": 0, "default_headers": {"Connection": "close"}}
        if self.name == "langchain":
            package = pytest.importorskip("langchain_openai", reason="needs langchain-openai")
            return package.OpenAIEmbeddings(base_url=url, check_embedding_ctx_length=False, **told)
        package = pytest.importorskip("llama_index.embeddings.openai", reason="needs llama-index-embeddings-openai")
        return package.OpenAIEmbedding(api_base=url, embed_batch_size=2048, **told)


LANGCHAIN, LLAMA_INDEX = (
    Wrapped(name, OPENAI.model, OPENAI.dialect, 256, 0, 0, path=OPENAI.path) for name in ("langchain", "llama-index")
)
WRAPPED = (LANGCHAIN, LLAMA_INDEX)
REFUSES = {"one matrix too deep", "null"}
"""What LlamaIndex's base class does not let out of an object."""

async_only = pytest.mark.parametrize("mode", ["async"], indirect=True)


@pytest.fixture(params=WRAPPED, ids=str)
def api(request):
    """Each framework."""
    return request.param


def always(_):
    return True


# Real objects over real sockets.


@case(1)
@pytest.mark.parametrize(
    "told", [":retry-after=0.3", "+header:x-ratelimit-reset-tokens=300ms", ":message=try again in 0.3 seconds"]
)
def test_the_pause_that_the_server_asks_for_is_kept(client, server, told):
    """W11: in whatever words."""
    server.script("429" + told)
    client.embed(corpus(3))
    first, second = server.requests
    assert second.at - first.at >= 0.3
    assert server.stats.billed == client.once(corpus(3))


@case(4)
def test_a_used_up_quota_is_not_waited_for(client, server):
    server.on(contains("text 4 of"), "quota")
    error = client.fails(QuotaExceededError, corpus(8), batch_size=2)
    assert (server.stats.calls, error.completed) == (3, (0, 1, 2, 3))
    client.resume(corpus(8), error)


@case(5)
def test_an_object_that_is_only_told_to_slow_down_is_asked_six_times(client, server):
    server.on(always, "429")
    client.fails(RateLimitTimeoutError, corpus(4))
    assert server.stats.calls == 6


@case(6, 8)
def test_what_passes_is_healed(client, server):
    passing = ["500", "502", "503", "504", "529", "408", "409", "reset", "close"]
    for i, fault in enumerate(passing):
        server.on(contains(f"text {i} of"), fault, times=1)
    client.embed(corpus(10), batch_size=1)
    assert server.stats.billed == client.once(corpus(10))


@case(7)
def test_of_ten_batches_only_the_text_at_which_the_server_fails_is_lost(client, server):
    server.on(contains("text 12 of"), "500")
    error = client.fails(ProviderUnavailableError, corpus(20), batch_size=2)
    assert error.failed_indices == (12,)
    assert server.stats.calls == 9 + 6 + 1 + 2  # text 13 by itself, then text 12, which fails twice
    assert not server.stats.again()
    client.resume(corpus(20), error)


@case(10)
def test_a_deadline_ends_the_wait_for_an_answer(client, server):
    embedder = client.open(batch_size=1, deadline=1.0)
    client.embed(corpus(1, "warm up"), embedder=embedder)
    server.on(contains("text 2 of"), "hang:s=3")
    begun = time.monotonic()
    error = client.fails(DeadlineExceededError, corpus(3), embedder=embedder)
    assert time.monotonic() - begun < 2.5
    assert error.completed == (0, 1)
    client.resume(corpus(3), error)


@case(19, 20)
@pytest.mark.parametrize(("fault", "kind", "calls"), [("401", AuthenticationError, 3), ("404", ConfigurationError, 2)])
def test_what_no_further_request_can_mend_ends_the_job(client, server, fault, kind, calls):
    """A key that was accepted before is tried once more."""
    server.on(contains("text 2 of"), fault)
    error = client.fails(kind, corpus(8), batch_size=2)
    assert (server.stats.calls, error.completed) == (calls, (0, 1))
    client.resume(corpus(8), error)


@case(21)
@pytest.mark.parametrize("fault", ["400", "413", "422"])
def test_one_poisonous_text_is_found_and_the_others_are_kept(client, server, fault):
    texts = corpus(100)
    server.on(contains("text 57 of"), fault)
    error = client.fails(InvalidInputError, texts)
    assert (error.index, error.failed_indices) == (57, (57,))
    assert server.stats.billed == client.once(text for text in texts if text is not texts[57])
    assert server.stats.calls <= 1 + 15
    client.resume(texts, error)


@case(34)
@pytest.mark.parametrize("status", [400, 500])
def test_a_text_that_the_server_finds_too_long_is_named_and_not_asked_for_ever(client, server, status):
    server.on(contains("text 3 of"), f"{status}:message=This model's maximum context length is 8192 tokens")
    error = client.fails(InputTooLongError, corpus(6))
    assert (error.index, error.failed_indices) == (3, (3,))
    assert server.stats.calls <= 1 + 6
    client.resume(corpus(6), error)


@case(23, 24, 28, 29)
@pytest.mark.parametrize("fault", ["drop", "drop:where=start", "drop:where=middle", "extra"])
def test_a_wrong_number_of_vectors_is_never_taken(client, server, fault):
    server.on(contains("text 0 of"), fault)
    error = client.fails(InvalidResponseError, corpus(6), batch_size=3)
    assert error.kind == "count"
    assert error.failed_indices == (0, 1, 2)
    assert server.stats.again() == client.twice(corpus(3))
    client.resume(corpus(6), error)


@case(26, 27)
def test_only_the_vectors_that_are_no_vectors_are_lost(client, server):
    spoiled = ["nan:i=1", "inf:i=3", "zero:i=2"]
    for i, fault in enumerate(spoiled):
        server.on(contains(f"text {4 * i} of"), fault)
    texts = corpus(12)
    error = client.fails(InvalidResponseError, texts, batch_size=4)
    assert (error.failed_indices, error.kind) == ((1, 7, 10), "value")
    assert server.stats.again() == client.twice(texts)
    client.resume(texts, error)


@case(56)
@async_only
def test_a_cancelled_call_keeps_what_was_under_way(client, server):
    async def scene():
        server.latency = Latency(base=0.05)
        async with client.open(batch_size=2) as embedder:
            call = asyncio.ensure_future(embedder.aembed(corpus(40)))
            await asyncio.to_thread(until, lambda: server.stats.served >= 6)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call

    asyncio.run(scene())
    assert len(server.stats.billed) < 40
    server.latency = Latency()
    client.embed(corpus(40))
    assert server.stats.billed == client.once(corpus(40))


@case(65)
def test_of_many_callers_one_sends_a_text(client, server):
    server.latency = Latency(base=0.2)
    outcomes = client.caller.at_once(client.open(), [corpus(2)] * 20)
    for outcome in outcomes:
        np.testing.assert_array_equal(outcome.vectors, client.api.vectors(server, corpus(2)))
    assert server.stats.billed == client.once(corpus(2))


@case(67)
def test_what_the_objects_errors_quote_is_left_out(client, server):
    for status, kind in {401: AuthenticationError, 400: InvalidInputError, 500: ProviderUnavailableError}.items():
        with about(status):
            server.reset()
            server.on(always, f"{status}:message=the key {KEY} and '{corpus(1)[0]}' are both wrong")
            client.fails(kind, corpus(1), max_retries=1)


# Objects that do what they like.


class Odd:
    """Does what it is told in place of giving vectors; `calls` says how often."""

    def __init__(self, does):
        self.does, self.calls = does, 0

    def __call__(self, texts):
        self.calls += 1
        return self.does(texts)


class OddEmbeddings(Embeddings):
    """As LangChain knows it."""

    def __init__(self, odd):
        self.odd = odd

    def embed_documents(self, texts):
        return self.odd(texts)

    def embed_query(self, text):
        return self.odd([text])[0]


class OddEmbedding(BaseEmbedding):
    """As LlamaIndex knows it."""

    odd: object

    def _get_text_embeddings(self, texts):
        return self.odd(texts)

    def _get_text_embedding(self, text):
        return self.odd([text])[0]

    _get_query_embedding = _get_text_embedding

    async def _aget_text_embeddings(self, texts):
        return self.odd(texts)

    async def _aget_query_embedding(self, query):
        return self._get_query_embedding(query)


def made(api, does, **options):
    """An odd object, and the embedder around it."""
    odd = Odd(does)
    theirs = OddEmbeddings(odd) if api is LANGCHAIN else OddEmbedding(odd=odd, embed_batch_size=2048)
    return odd, api.face.wrap(theirs, name="odd", **{"cache": False} | options).embedder


def sound(texts):
    return [[1.0, float(len(text)), 2.0] for text in texts]


def spoil(vector):
    """What an object does that spoils the vector of the text `bad`."""
    return lambda texts: [vector if text == "bad" else good for text, good in zip(texts, sound(texts), strict=True)]


WRONG = {
    "short": (lambda texts: sound(texts)[1:], "count"),
    "long": (lambda texts: [*sound(texts), [1.0, 2.0, 3.0]], "count"),
    "none": (lambda _: [], "count"),
    "one matrix too deep": (lambda texts: np.ones((len(texts), 1, 3)), "value"),
    "ragged": (spoil([1.0, 2.0]), "width"),
    "NaN": (spoil([1.0, float("nan"), 3.0]), "value"),
    "infinite": (spoil([1.0, 1e39, 3.0]), "value"),
    "zeros": (spoil([0.0, 0.0, 0.0]), "value"),
    "null": (spoil(None), "value"),
    "strings": (spoil(["1.0", "2.0", "3.0"]), "value"),
}


@case(23, 24, 26, 27, 28, 29)
@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_no_vector_is_never_taken_for_one(api, caller, wrong):
    does, kind = WRONG[wrong]
    odd, embedder = made(api, does)
    with pytest.raises(EmbeddingError) as caught:
        caller.embed(embedder, ["a", "bad", "c"])
    assert 1 in caught.value.failed_indices
    if api is LLAMA_INDEX and wrong in REFUSES:
        assert (type(caught.value), odd.calls) == (ProviderUnavailableError, 1)
    else:
        assert (type(caught.value), caught.value.kind, odd.calls) == (InvalidResponseError, kind, 2)


@case(26, 29)
@pytest.mark.parametrize("wrong", ["NaN", "zeros", "null", "strings"])
def test_nor_is_it_taken_for_a_querys(api, caller, wrong):
    _, embedder = made(api, WRONG[wrong][0])
    with pytest.raises(InvalidResponseError if (api, wrong) != (LLAMA_INDEX, "null") else ProviderUnavailableError):
        caller.embed_query(embedder, "bad")


@case(31)
@pytest.mark.parametrize("shape", [np.array, tuple, iter, lambda rows: [np.array(row, np.float16) for row in rows]])
def test_whatever_holds_numbers_is_read(api, caller, shape):
    if api is LLAMA_INDEX and shape is iter:
        pytest.skip("the base class itself counts what it is given")
    _, embedder = made(api, lambda texts: shape(sound(texts)))
    assert caller.embed(embedder, ["a", "bb"]).vectors.tolist() == sound(["a", "bb"])


def tensors(kind):
    """What an object of torch's makers gives instead of numbers."""
    torch = pytest.importorskip("torch")
    made = torch.tensor(sound(["a", "bb"]), requires_grad=True)
    return {
        "gradient": lambda: made,
        "rows of a gradient": lambda: list(made * 1),
        "numbers of a gradient": lambda: [list(row) for row in made],
        "bfloat16": made.bfloat16,
        "bfloat16 without a gradient": made.detach().bfloat16,
        "numbers in bfloat16": lambda: [list(row) for row in made.detach().bfloat16()],
        "negated": lambda: torch._neg_view(-made.detach()),
    }[kind]()


@pytest.mark.torch
@case(31)
@pytest.mark.parametrize(
    "kind",
    [
        *("gradient", "rows of a gradient", "numbers of a gradient", "bfloat16", "bfloat16 without a gradient"),
        *("numbers in bfloat16", "negated"),
    ],
)
@pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad")  # by LlamaIndex's own events
def test_tensors_are_read_that_numpy_cannot_hold(api, caller, kind):
    """Tensors that require a gradient were a bare RuntimeError, or an outage of the object."""
    odd, embedder = made(api, lambda texts: tensors(kind)[: len(texts)])
    assert caller.embed(embedder, ["a", "bb"]).vectors.tolist() == sound(["a", "bb"])
    assert caller.embed_query(embedder, "a").tolist() == sound(["a"])[0]
    assert odd.calls == 2


class Broken:
    """Numbers that cannot be read."""

    def __init__(self, error):
        self.error = error

    def __array__(self, dtype=None, copy=None):
        raise self.error

    def __len__(self):
        return 3


class Panic(BaseException):
    """As extensions in Rust raise it."""


UNREADABLE = {
    "RuntimeError": lambda: Broken(RuntimeError(SECRET)),
    "KeyError": lambda: Broken(KeyError(SECRET)),
    "a panic": lambda: Broken(Panic(SECRET)),
    "masked": lambda: np.ma.MaskedArray([1.0, 2.0, 3.0], mask=[False, True, False]),
    "digits": lambda: np.array(["1.0", "2.0", "3.0"], object),
    "complex": lambda: pytest.importorskip("torch").tensor([1 + 1j, 2, 3]),
}


@case(24, 29)
@pytest.mark.parametrize("kind", UNREADABLE)
def test_numbers_that_cannot_be_read_are_a_named_error_whatever_they_raise(caller, kind):
    """Sync and async alike; masked numbers and digits were taken for what they are not."""
    odd, embedder = made(LANGCHAIN, spoil(UNREADABLE[kind]()))
    with pytest.raises(InvalidResponseError) as caught:
        caller.embed(embedder, ["a", "bad", "c"])
    assert (caught.value.kind, caught.value.failed_indices, odd.calls) == ("value", (1,), 2)
    assert SECRET not in "".join(f"{each!r} {vars(each)}" for each in chain(caught.value))
    with pytest.raises(InvalidResponseError):
        caller.embed_query(embedder, "bad")


class Mute(Exception):  # noqa: N818 - a foreign one
    """Cannot even be shown."""

    def __str__(self):
        raise ValueError


@case(67)
@pytest.mark.parametrize(
    "error", [ValueError(f"{KEY} {SECRET}"), KeyError(SECRET), Mute(), RecursionError(SECRET)], ids=repr
)
def test_an_exception_is_one_named_error_without_its_words(api, caller, error):
    if api is LLAMA_INDEX and isinstance(error, Mute):
        pytest.skip("the base class itself shows it")

    def fail(_):
        raise error

    odd, embedder = made(api, fail, batch_size=2)
    with pytest.raises(EmbeddingError) as caught:
        caller.embed(embedder, [SECRET, "b", "c", "d"])
    assert (type(caught.value), odd.calls) == (ProviderUnavailableError, 2)
    assert f"the wrapped object raised {type(error).__name__}" in str(caught.value)
    assert (caught.value.failed_indices, caught.value.completed) == ((0, 1, 2, 3), ())
    told = "".join(f"{each!r} {vars(each)}" for each in chain(caught.value))
    assert KEY not in told
    assert SECRET not in told


@case(56)
@pytest.mark.parametrize("mode", ["sync"], indirect=True)
@pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_inside_the_object_is_the_callers_and_what_was_done_is_kept(api, caller, tmp_path, end):
    def interrupted(texts):
        if "c" in texts:
            raise end
        return sound(texts)

    _, embedder = made(api, interrupted, batch_size=1, cache=tmp_path)
    with pytest.raises(end):
        caller.embed(embedder, ["a", "b", "c", "d"])
    odd, again = made(api, sound, batch_size=1, cache=tmp_path)
    caller.embed(again, ["a", "b", "c", "d"])
    assert odd.calls == 2


@case(57, 58, 59, 60, 62, 64)
def test_what_is_passed_is_checked_before_the_object_sees_it(api, caller):
    odd, embedder = made(api, sound)
    for wrong in (["a", None], ["a", b"b"], "hello", ["a", " "]):
        with about(wrong), pytest.raises(InvalidInputError):
            caller.embed(embedder, wrong)
    assert caller.embed(embedder, []).vectors.shape[0] == odd.calls == 0
    assert len(caller.embed(embedder, ["e\u0301", "\u00e9"] * 50).vectors) == 100
    assert odd.calls == 1


@case(65)
def test_nobody_shares_the_object_while_it_works(api, caller):
    inside, most = [], []

    def slow(texts):
        inside.append(threading.get_ident())
        most.append(len(inside))
        time.sleep(0.01)
        inside.pop()
        return sound(texts)

    _, embedder = made(api, slow, batch_size=1)
    outcomes = caller.at_once(embedder, [[f"{i} a", f"{i} b"] for i in range(6)])
    assert not [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert max(most) == 1
