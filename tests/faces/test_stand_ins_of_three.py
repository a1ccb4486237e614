"""Stand-ins for NVIDIA's, Jina's and TEI's integrations: the originals' keywords, requests and vectors."""

from __future__ import annotations

import gc
import pickle
import warnings

import numpy as np
import pytest

from embedbridge import ConfigurationError, langchain, llama_index

KEY = "sk-not-a-real-key"
NEMOTRON, E5 = "nvidia/llama-nemotron-embed-1b-v2", "nvidia/nv-embedqa-e5-v5"
BGE = "BAAI/bge-small-en-v1.5"
PASSAGES = "Represent this question for searching relevant passages: "

pytestmark = pytest.mark.filterwarnings("ignore")  # of the originals


@pytest.fixture(autouse=True, scope="module")
def _told_here():
    """Some originals leave a connection open, which is to be told of here and not in another test."""
    yield
    gc.collect()


def originals():
    """Stand-in, its original, keywords of both, ours besides, where requests go, and how the original is led there."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        jina = pytest.importorskip("langchain_community.embeddings").JinaEmbeddings
    return [
        (
            langchain.NVIDIAEmbeddings,
            pytest.importorskip("langchain_nvidia_ai_endpoints").NVIDIAEmbeddings,
            {"model": NEMOTRON, "dimensions": 512, "truncate": "END", "api_key": KEY, "base_url": "{url}/nvidia/v1"},
        ),
        (
            llama_index.NVIDIAEmbedding,
            pytest.importorskip("llama_index.embeddings.nvidia").NVIDIAEmbedding,
            {"model": NEMOTRON, "truncate": "END", "api_key": KEY, "base_url": "{url}/nvidia/v1"},
        ),
        (langchain.JinaEmbeddings, jina, {"jina_api_key": KEY, "model_name": "jina-embeddings-v2-base-en"}),
        (
            llama_index.JinaEmbedding,
            pytest.importorskip("llama_index.embeddings.jinaai").JinaEmbedding,
            {"api_key": KEY, "model": "jina-embeddings-v3", "task": "text-matching", "dimensions": 256},
        ),
        (
            llama_index.TextEmbeddingsInference,
            pytest.importorskip("llama_index.embeddings.text_embeddings_inference").TextEmbeddingsInference,
            {"model_name": BGE, "base_url": "{url}/tei"},
        ),
    ]


def led(kind, keywords, server, monkeypatch, **ours):
    """An object of a class, whose requests go to the server."""
    given = {name: value.format(url=server.url) if name == "base_url" else value for name, value in keywords.items()}
    if kind.__module__.startswith("embedbridge"):
        url = {} if "base_url" in given else {"base_url": f"{server.url}/jina/v1"}
        return kind(**given, **url, cache=False, **ours)
    if kind.__name__ == "JinaEmbeddings":
        monkeypatch.setattr("langchain_community.embeddings.jina.JINA_API_URL", f"{server.url}/jina/v1/embeddings")
    made = kind(**given)
    if kind.__name__ == "JinaEmbedding":
        made._api.api_url = f"{server.url}/jina/v1/embeddings"
    return made


def documents(made, texts):
    given = made.embed_documents(texts) if hasattr(made, "embed_documents") else made.get_text_embedding_batch(texts)
    return np.float32(given)


def query(made, text):
    return np.float32(made.embed_query(text) if hasattr(made, "embed_query") else made.get_query_embedding(text))


FORMATS = {"encoding_format", "embedding_type", "encoding_type"}
DEFAULTS = [("truncate", False), ("truncation_direction", "Right")]


def meant(request):
    """A request's fields, without how numbers travel, and what is the API's own default."""
    return {
        name: value for name, value in request.payload.items() if name not in FORMATS and (name, value) not in DEFAULTS
    }


def test_requests_and_vectors_are_those_of_the_originals(server, monkeypatch):
    for ours, theirs, keywords in originals():
        sent, vectors = [], []
        for kind in (theirs, ours):
            made = led(kind, keywords, server, monkeypatch)
            vectors.append(documents(made, ["a", "b"]))
            sent.append(meant(server.requests[-1]))
            vectors.append(query(made, "q"))
            sent.append(meant(server.requests[-1]))
        if ours is llama_index.NVIDIAEmbedding:  # which sends a query as a passage
            assert (sent[1].pop("input_type"), sent[3].pop("input_type")) == ("passage", "query")
            vectors[3] = vectors[1]
        assert sent[:2] == sent[2:], ours
        np.testing.assert_array_equal(vectors[0], vectors[2])
        np.testing.assert_array_equal(vectors[1], vectors[3])


def test_an_instruction_stands_before_a_text_as_the_original_puts_it(server, monkeypatch):
    ours, theirs, keywords = originals()[-1]
    for own in ({}, {"query_instruction": "Q:", "text_instruction": "D:"}):
        asked = []
        for kind in (theirs, ours):
            made = led(kind, keywords | own, server, monkeypatch)
            documents(made, ["a"])
            query(made, "q")
            asked.append([request.payload["inputs"] for request in server.requests.to("tei")[-2:]])
        assert asked[0] == asked[1]
    assert asked[0] == [["D: a"], ["Q: q"]]
    plain = led(ours, keywords, server, monkeypatch, query_prefix=None)
    query(plain, "q")
    assert server.requests[-1].payload["inputs"] == ["Represent this sentence for searching relevant passages: q"]


def test_roles_that_an_original_does_not_send_are_warned_of():
    with pytest.warns(UserWarning, match="'retrieval.query' for a query and 'retrieval.passage' for a document"):
        llama_index.JinaEmbedding(api_key=KEY, dimensions=256, cache=False)
    with pytest.warns(UserWarning, match="langchain-community does not send that"):
        langchain.JinaEmbeddings(jina_api_key=KEY, model_name="jina-embeddings-v3", cache=False)
    with pytest.warns(UserWarning, match=f"{BGE} was trained with query_prefix"):
        llama_index.TextEmbeddingsInference(BGE, cache=False)


@pytest.mark.parametrize(
    ("kind", "keywords", "told"),
    [
        ("NVIDIAEmbeddings", {"base_url": "http://127.0.0.1:9/v1"}, "name the one that the server at base_url has"),
        ("NVIDIAEmbeddings", {"truncate": "START", "trucate": "END"}, "another keyword has set already"),
        ("NVIDIAEmbeddings", {"modle": "x"}, "did you mean 'model'"),
        ("JinaEmbeddings", {"session": object()}, "client of embedbridge's own"),
        ("NVIDIAEmbedding", {"http_client": object()}, "client of embedbridge's own"),
        ("NVIDIAEmbedding", {"embed_batch_size": 300}, "embed_batch_size"),
        ("JinaEmbedding", {"late_chunking": True}, "late_chunking: a vector would depend"),
        ("JinaEmbedding", {"encoding_queries": "binary"}, "encoding_queries: vectors are numbers here"),
        ("TextEmbeddingsInference", {"model_name": BGE, "auth_token": str}, "auth_token: give the token"),
        ("TextEmbeddingsInference", {"model_name": BGE, "endpoint": "/x"}, "endpoint"),
    ],
)
def test_what_cannot_be_had_is_refused_by_name(kind, keywords, told, monkeypatch):
    for variable in ("NVIDIA_API_KEY", "JINA_API_KEY"):
        monkeypatch.setenv(variable, KEY)
    found = getattr(langchain, kind, None) or getattr(llama_index, kind)
    with pytest.raises(ConfigurationError, match=told):
        found(**keywords, cache=False)


def test_copies_dumps_and_pickles_are_the_same_and_hold_no_key(monkeypatch):
    for variable in ("NVIDIA_API_KEY", "JINA_API_KEY"):
        monkeypatch.setenv(variable, KEY)
    for made in (
        langchain.NVIDIAEmbeddings(truncate="START", dimensions=512, cache=False),
        langchain.JinaEmbeddings(cache=False),
        llama_index.NVIDIAEmbedding(E5, cache=False),
        llama_index.JinaEmbedding(task="text-matching", cache=False),
        llama_index.TextEmbeddingsInference(BGE, truncate_text=False, cache=False),
    ):
        frozen = pickle.dumps(made)
        assert KEY.encode() not in frozen
        assert KEY not in f"{made!r}{made.model_dump_json()}"
        for again in (made.model_copy(), pickle.loads(frozen)):  # noqa: S301
            assert again.embedder.space.fingerprint == made.embedder.space.fingerprint
        if hasattr(made, "to_dict"):
            assert type(made).from_dict(made.to_dict(), cache=False).embedder.space == made.embedder.space


def test_a_nims_root_is_an_address_too():
    made = langchain.NVIDIAEmbeddings(model=NEMOTRON, base_url="http://127.0.0.1:9", cache=False)
    assert made.embedder.options.base_url == "http://127.0.0.1:9/v1"
    assert (made.model, made.truncate, made.max_batch_size) == (NEMOTRON, "NONE", 50)
    assert llama_index.NVIDIAEmbedding(E5, base_url="http://127.0.0.1:9/v1", cache=False).model == E5


def test_a_token_is_in_no_dump():
    from embedbridge.llama_index import TextEmbeddingsInference

    token = "a-token-of-mine"
    ours = TextEmbeddingsInference("BAAI/bge-small-en-v1.5", auth_token=token, cache=False)
    for told in (repr(ours), str(ours.to_dict()), ours.to_json(), str(ours.model_dump()), str(pickle.dumps(ours))):
        assert token not in told
