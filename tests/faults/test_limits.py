"""Requests within every limit: of texts, of tokens, of a text's length, and of the rate at which they may come."""

import itertools

import numpy as np
import pytest

from embedbridge import InputTooLongError, RateLimitTimeoutError
from embedbridge.testing import RateLimit, contains

from . import case
from .apis import APIS, GEMINI, OLLAMA, OPENAI, each_client
from .client import SECRET, corpus

openai_only = pytest.mark.parametrize("api", [OPENAI], ids=str)


@case(32)
def test_one_text_too_many_makes_a_second_request_and_keeps_the_order(client, server):
    texts = corpus(client.api.items + 1)
    client.embed(texts, cache=False)
    assert sorted(map(len, server.requests.to(client.api.dialect).items)) == [1, client.api.items]
    assert server.stats.billed == client.once(texts)


@case(33)
@pytest.mark.parametrize("api", [api for api in APIS if api is not GEMINI], ids=str)  # of which no such limit is known
def test_no_request_holds_more_tokens_than_it_may(client, server):
    words = min(1500, client.api.text_tokens // 2)
    texts = [f"{text} {'word ' * words}" for text in corpus(48)]
    client.embed(texts, cache=False)
    assert server.stats.statuses.keys() == {200}
    assert all(request.tokens <= client.api.tokens for request in server.requests)
    if words == 1500:  # shorter texts, of a model that reads no more, fill no request
        assert server.stats.calls > -(-len(texts) // client.api.items)
    assert server.stats.billed == client.once(texts)


# A text that is too long: 8 bytes for each token that is read are more by any count.


def too_long(api):
    return f"text 1 that {SECRET} {' '.join(map(str, range(2 * api.text_tokens)))}"[: 8 * api.text_tokens]


@case(34)
def test_a_text_that_is_too_long_is_an_error_that_names_it(client, server):
    texts = corpus(3)
    texts[1] = too_long(client.api)
    error = client.fails(InputTooLongError, texts, too_long="error")
    assert (error.index, error.limit) == (1, client.api.text_tokens)
    assert error.tokens > error.limit
    assert server.stats.calls == 0


@case(34)
def test_a_text_that_is_too_long_is_cut_and_the_report_says_so(client, server):
    texts = corpus(3)
    texts[1] = too_long(client.api)
    result = client.caller.embed(client.open(too_long="truncate"), texts)
    read = next(item for request in server.requests for item in request.read if len(item) > 1000)
    assert client.api.sent(texts[1]).startswith(read)
    np.testing.assert_array_equal(result.vectors[1], client.api.vectors_as_sent(server, [read])[0])
    np.testing.assert_array_equal(result.vectors[::2], client.api.vectors(server, texts[::2]))
    (cut,) = result.report.cut
    assert cut.index == 1
    assert cut.tokens > client.api.text_tokens


@case(34)
@each_client
def test_a_text_that_is_too_long_can_be_the_mean_of_its_parts(client, server):
    texts = corpus(3)
    texts[1] = too_long(client.api)
    result = client.caller.embed(client.open(too_long="mean"), texts)
    sent = set(itertools.chain.from_iterable(server.requests.items))
    parts = sorted(sent - {client.api.sent(text) for text in texts}, key=texts[1].find)
    assert len(parts) > 1
    assert sum(len(part) - len(client.api.prefix) for part in parts) == len(texts[1])
    vectors = client.api.vectors_as_sent(server, parts)
    mean = np.average(vectors, axis=0, weights=list(map(len, parts)))
    assert result.vectors[1] @ (mean / np.linalg.norm(mean)) > 0.99
    np.testing.assert_array_equal(result.vectors[::2], client.api.vectors(server, texts[::2]))


@case(34)
def test_a_text_that_only_the_server_finds_too_long_is_named_and_the_others_are_kept(client, server):
    server.on(contains("text 3 of"), "400:message=This model's maximum context length is 8192 tokens")
    error = client.fails(InputTooLongError, corpus(6), too_long="error")
    assert (error.index, error.failed_indices) == (3, (3,))
    client.resume(corpus(6), error, too_long="error")


# A text that the server fails at for good, as llama.cpp does.


@case(7, 34)
@pytest.mark.parametrize("api", [api for api in APIS if api is not OLLAMA], ids=str)  # which is asked to cut it
def test_a_500_that_means_too_long_is_not_retried_for_ever(client, server):
    server.on(contains("text 3 of"), "500:message=input is too large to process. increase the physical batch size")
    error = client.fails(InputTooLongError, corpus(6))
    assert error.failed_indices == (3,)
    assert server.stats.calls <= 1 + 6
    client.resume(corpus(6), error)


# Rates.


@case(35)
@each_client
def test_the_servers_rate_is_learned_and_kept(client, server):
    server.rate = RateLimit(requests=20, window=0.5)
    client.embed(corpus(40), batch_size=1)
    assert server.stats.calls <= 44
    assert server.stats.billed == client.once(corpus(40))


@case(35)
@pytest.mark.benchmark
@openai_only
def test_150_requests_at_five_a_second_take_as_long_as_they_must(client, server):
    server.rate = RateLimit(requests=50, window=10)
    client.embed(corpus(150), batch_size=1)
    assert server.stats.calls <= 155
    assert server.stats.billed == client.once(corpus(150))
    assert server.requests[-1].at - server.requests[0].at < 20 * 1.1


@case(35)
@openai_only
def test_a_rate_of_the_callers_own_is_kept_without_a_single_refusal(client, server):
    server.rate = RateLimit(requests=20, window=1)
    client.embed(corpus(30), batch_size=1, requests_per_minute=900)
    assert server.stats.calls == 30


@case(36)
@each_client
def test_a_token_limit_smaller_than_a_batch_divides_it(client, server):
    server.rate = RateLimit(tokens=60, window=0.3)
    client.embed(corpus(8))
    assert server.stats.calls <= 12
    assert server.stats.billed == client.once(corpus(8))


@case(36)
@openai_only
def test_a_token_limit_smaller_than_a_text_is_an_error_and_no_endless_wait(client, server):
    server.rate = RateLimit(tokens=5, window=0.2)
    client.fails(RateLimitTimeoutError, corpus(1))
    assert server.stats.calls <= 6
