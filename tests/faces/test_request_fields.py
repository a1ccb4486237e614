"""Fields of a request that originals take besides keywords: the same request, or an error that names a place."""

from __future__ import annotations

import importlib
import json
import warnings

import numpy as np
import pytest
from pydantic import SecretStr

import embedbridge.langchain
import embedbridge.llama_index
from embedbridge import ConfigurationError

from .conftest import document_vectors

TEXTS = ["one text", "another text"]
BODY = {"truncate": "END", "nested": {"a": [1]}}
SENT = {"extra_body": BODY, "extra_query": {"v": "2"}, "extra_headers": {"X-Team": "a"}, "user": "someone"}
LANGCHAIN = ("langchain_openai:OpenAIEmbeddings", {"base_url": "{url}/v1"}, "model_kwargs")
AZURE = ("langchain_openai:AzureOpenAIEmbeddings", {"azure_endpoint": "{url}"}, "model_kwargs")
LLAMA_INDEX = ("llama_index.embeddings.openai:OpenAIEmbedding", {"api_base": "{url}/v1"}, "additional_kwargs")
MODEL = "text-embedding-3-small"


def kinds(name):
    """The stand-in and the original."""
    module, _, kind = name.partition(":")
    face = embedbridge.langchain if module.startswith("langchain") else embedbridge.llama_index
    pytest.importorskip(module, reason=f"needs {module}")
    return getattr(face, kind), getattr(importlib.import_module(module), kind)


def keywords(server, places, **more):
    own = {name: value.format(url=server.url) for name, value in places.items()}
    lengths = {} if "api_base" in places else {"check_embedding_ctx_length": False}  # else it would send token ids
    return {"model": MODEL, "api_key": "sk-x", **own, **lengths, **more}


def request(server, embeddings):
    """What one request says."""
    server.reset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if hasattr(embeddings, "embedder"):
            document_vectors(embeddings, TEXTS)
        else:
            name = "embed_documents" if hasattr(embeddings, "embed_documents") else "get_text_embedding_batch"
            getattr(embeddings, name)(TEXTS)
    (one,) = server.requests
    assert server.stats.billed == dict.fromkeys(TEXTS, 1)
    fields = {name: value for name, value in one.payload.items() if name != "encoding_format"}
    return fields, one.path, {name.lower(): value for name, value in one.headers.items()}.get("x-team")


@pytest.mark.parametrize("field", [*SENT, "all"])
@pytest.mark.parametrize(("name", "places", "option"), [LANGCHAIN, AZURE, LLAMA_INDEX], ids=["lc", "azure", "li"])
def test_w5_what_an_original_hands_to_the_sdk_is_sent_as_it_sends_it(name, places, option, field, server):
    """W5: by its own keyword for such fields."""
    ours, theirs = kinds(name)
    given = keywords(server, places, **{option: SENT if field == "all" else {field: SENT[field]}})
    assert request(server, ours(cache=False, **given)) == request(server, theirs(**given))


@pytest.mark.parametrize("field", SENT)
@pytest.mark.parametrize(("name", "places", "option"), [LANGCHAIN, AZURE], ids=["lc", "azure"])
def test_w5_what_the_original_moves_to_model_kwargs_is_moved_with_a_warning(name, places, option, field, server):
    """W5: as the original warns too."""
    ours, theirs = kinds(name)
    given = keywords(server, places, **{field: SENT[field]})
    with pytest.warns(UserWarning, match=f"{field} is no keyword of .* write {option}="):
        made = ours(cache=False, **given)
    with pytest.warns(UserWarning, match=f"{field} was transferred to model_kwargs"):
        original = theirs(**given)
    assert request(server, made) == request(server, original)


@pytest.mark.parametrize("field", SENT)
def test_w5_what_the_original_drops_is_refused_with_its_place(field, server):
    """W5: LlamaIndex's class takes any keyword, and sends none that it does not know."""
    name, places, option = LLAMA_INDEX
    with pytest.raises(ConfigurationError, match=f"{field}: the original does not send it; write {option}="):
        kinds(name)[0](cache=False, **keywords(server, places, **{field: SENT[field]}))


@pytest.mark.parametrize(("name", "places", "_"), [LANGCHAIN, AZURE], ids=["lc", "azure"])
def test_w5_a_typo_is_refused_with_a_suggestion(name, places, _, server):
    """W5: the original would fail at its first call."""
    with pytest.raises(ConfigurationError, match="unknown option 'dimension'; did you mean 'dimensions'"):
        kinds(name)[0](cache=False, **keywords(server, places, dimension=3))


CALLS = [{"user": "someone"}, {"dimensions": 3}, {"chunk_size": 1}, {"model": "text-embedding-3-large"}]
CALLS += [{"extra_body": BODY, "extra_headers": {"X-Team": "a"}, "dimensions": 5, "chunk_size": 1}]


async def test_keywords_of_one_call_are_sent_as_the_original_sends_them_and_hold_for_no_other_call(server):
    """S2, W5: they were dropped, and (2, 1536) came back for three dimensions."""
    given = keywords(server, LANGCHAIN[1])
    ours, theirs = kinds(LANGCHAIN[0])
    ours, theirs = ours(cache=False, **given), theirs(**given)
    for given in CALLS:
        found = []
        for made in (theirs, ours):
            server.reset()
            documents = made.embed_documents(TEXTS, **given)
            np.testing.assert_allclose(await made.aembed_documents(TEXTS, **given), documents)
            query = made.embed_query(TEXTS[0], **given)
            np.testing.assert_allclose(await made.aembed_query(TEXTS[0], **given), query)
            sent = [{k: v for k, v in one.payload.items() if k != "encoding_format"} for one in server.requests]
            found.append((np.shape(documents), len(query), sorted(json.dumps(one, sort_keys=True) for one in sent)))
        assert found[0] == found[1], given
    assert np.shape(ours.embed_documents(TEXTS)) == (2, 1536)


@pytest.mark.parametrize("bound", [{"max_cost": 1}, {"requests_per_minute": 9}], ids=lambda bound: next(iter(bound)))
def test_keywords_of_one_call_are_refused_where_money_or_rates_are_bounded(server, bound):
    """A copy sends them, and it would have as much again."""
    made = kinds(LANGCHAIN[0])[0](cache=False, **bound, **keywords(server, LANGCHAIN[1]))
    with pytest.raises(ConfigurationError, match=f"user: .* which {next(iter(bound))} would not bound"):
        made.embed_documents(TEXTS, user="someone")
    assert not list(server.requests)


def test_a_secret_header_of_one_call_is_sent_with_no_other_call(server):
    """Copies for calls are found again by their keywords, and secrets all look alike."""
    made = embedbridge.langchain.OpenAIEmbeddings(cache=False, **keywords(server, LANGCHAIN[1]))
    for tenant in ("a", "b", "a"):
        made.embed_documents(TEXTS, extra_headers={"X-Tenant": SecretStr(tenant)})
    assert [one.headers["x-tenant"] for one in server.requests] == ["a", "b", "a"]
