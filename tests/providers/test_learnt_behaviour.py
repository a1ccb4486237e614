"""What a server's behaviour teaches where its words do not, and what it says against what is known of a model."""

from __future__ import annotations

import numpy as np
import pytest

from embedbridge import Embedder, InvalidInputError, InvalidResponseError
from embedbridge.testing import contains

pytestmark = [pytest.mark.usefixtures("_short_pauses"), pytest.mark.one_flow]

MODEL, LISTED = "some-model", "text-embedding-3-small"
FEW = "400:message=At most 10 strings please"


def texts(count, tag="text"):
    return [f"{tag} {at:03} here" for at in range(count)]


def open_embedder(server, model=f"openai:{MODEL}", **options):
    usual = {"base_url": f"{server.url}/v1", "api_key": "sk-test-0123456789", "cache": False}
    return Embedder(model, **usual | options)


READS = 400
"""Tokens that `small_reader` reads of a text, of one byte each."""


@pytest.fixture
def small_reader(server):
    """A server that reads fewer tokens of a listed model than its maker, and counts more of them."""

    def start(*, named):
        server.bytes_per_token = 1
        numbers = "maximum context length is 400 tokens. However you requested 1500 tokens"
        said = f"This model's {numbers}" if named else "the input length exceeds the context length"
        server.on(lambda request: max(map(len, request.items)) > READS, f"400:message={said}")
        return server

    return start


def sizes(server):
    return [len(items) for items in server.requests.items]


def answered(server):
    """Texts of the requests that were answered."""
    return [text for request in server.requests if request.status == 200 for text in request.items]


def more_than(items):
    return lambda request: len(request.items) > items


def test_a_limit_on_texts_that_no_known_words_name_is_learnt_from_what_is_accepted(caller, server):
    """W9: 229 requests before; each text is billed once, and a second call meets no refusal."""
    server.on(more_than(10), FEW)
    embedder, given = open_embedder(server), texts(600)
    result = caller.embed(embedder, given)
    np.testing.assert_array_equal(result.vectors, server.vectors(given, model=MODEL))
    assert server.stats.billed == dict.fromkeys(given, 1)
    assert server.stats.calls <= 76
    before = server.stats.calls
    caller.embed(embedder, texts(90, "other"))
    assert sizes(server)[before:] == [9] * 10


def test_one_text_that_is_refused_teaches_no_limit_on_texts(caller, server):
    """W9: one of the parts was refused by itself."""
    server.on(contains("text 017"), "400:message=I do not like that")
    embedder = open_embedder(server)
    with pytest.raises(InvalidInputError) as caught:
        caller.embed(embedder, texts(64))
    assert caught.value.failed_indices == (17,)
    before = server.stats.calls
    caller.embed(embedder, texts(64, "other"))
    assert sizes(server)[before:] == [32, 32]


def test_a_fault_that_passes_teaches_no_limit_on_texts(caller, server):
    """W9: a request that is refused once may be refused by chance."""
    server.script("400:message=hiccup")
    embedder, given = open_embedder(server), texts(96)
    caller.embed(embedder, given)
    assert server.stats.billed == dict.fromkeys(given, 1)
    assert sizes(server)[-2:] == [32, 32]


def test_tokens_of_a_whole_request_named_as_those_of_a_text_are_told_from_them(caller, server):
    """W9: no text of the request has so many bytes; 133 requests before."""
    said = "400:message=This model's maximum context length is 100 tokens. However you requested 150 tokens"
    server.on(lambda request: sum(map(len, request.items)) > 320, said)
    given = texts(600)
    result = caller.embed(open_embedder(server), given)
    np.testing.assert_array_equal(result.vectors, server.vectors(given, model=MODEL))
    assert server.stats.billed == dict.fromkeys(given, 1)
    assert result.report.cut == ()
    assert server.stats.calls <= 45


@pytest.mark.parametrize(
    ("model", "url", "advice"),
    [
        ("openai:some-model", "/v1", "provider_options={'single': True}"),
        ("voyage:voyage-3.5", "/v1", "provider_options={'single': True}"),
        ("ollama:our-own-model", "", "batch_size=1"),
    ],
)
def test_a_server_that_reads_one_text_of_a_request_leads_to_what_to_set(caller, server, model, url, advice):
    server.on(lambda _: True, "drop:n=7")
    key = {} if model.startswith("ollama") else {"api_key": "sk-test-0123456789"}
    embedder = Embedder(model, base_url=server.url + url, cache=False, **key)
    with pytest.raises(InvalidResponseError, match="1 vectors for 8 texts") as caught:
        caller.embed(embedder, texts(8))
    assert advice in str(caught.value)


def dense(count, length, tag="b"):
    """Texts of which a server counts far more tokens than a model's own tokenizer."""
    return [f"{tag}{at:03} " + "The zebra walks over the green hills. " * length for at in range(count)]


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("model", [f"openai:{LISTED}", "azure:dep"])
@pytest.mark.parametrize("policy", ["truncate", "mean"])
def test_what_a_server_says_of_lengths_wins_over_what_is_known_of_a_listed_model(
    caller, small_reader, model, policy, named
):
    """W4: the server counts more tokens than the model's own tokenizer; a second call meets no refusal."""
    version = {"provider_options": {"api_version": "2024-10-21"}} if model.startswith("azure") else {}
    server = small_reader(named=named)
    embedder = open_embedder(server, model, too_long=policy, **version)
    cut = caller.embed(embedder, dense(9, 40)).report.cut
    assert [each.index for each in cut] == list(range(9))
    assert server.stats.billed == dict.fromkeys(answered(server), 1)
    assert max(map(len, server.stats.billed)) <= READS
    before, given = server.stats.calls, dense(9, 41, "c")
    again = caller.embed(embedder, given).report.cut
    assert all(request.status == 200 for request in list(server.requests)[before:])
    if policy == "truncate":
        assert server.stats.calls == before + 1
        assert all(each.kept <= READS for each in again)
        assert max(each.kept for each in again) > READS * 0.65
    assert server.stats.billed == dict.fromkeys(answered(server), 1)
