"""Clients that vendors and frameworks wrote for the real servers, before the quirks that stand for them."""

import numpy as np
import pytest

from embedbridge import Embedder
from embedbridge.testing import FaultServer

pytestmark = pytest.mark.slow
KEY = "a-key-that-is-none"


def test_nvidias_own_client_takes_the_quirk_for_nim():
    NVIDIAEmbeddings = pytest.importorskip("langchain_nvidia_ai_endpoints").NVIDIAEmbeddings  # noqa: N806
    with FaultServer(quirks=["nim"], width=64) as server:
        model = "nvidia/nv-embedqa-e5-v5"
        client = NVIDIAEmbeddings(model=model, base_url=f"{server.url}/v1", nvidia_api_key="nvapi-test")
        query, documents = client.embed_query("q"), client.embed_documents(["a", "b"])
        assert query == pytest.approx(server.vector("q", model=model, input_type="query", dims=64))
        assert documents[1] == pytest.approx(server.vector("b", model=model, input_type="passage", dims=64))
        with pytest.raises(Exception, match="Input length 1000 exceeds maximum allowed token size 512"):
            client.embed_documents(["x" * 4000])


def test_mistrals_own_client_takes_the_quirk_for_mistral():
    MistralAIEmbedding = pytest.importorskip("llama_index.embeddings.mistralai").MistralAIEmbedding  # noqa: N806
    with FaultServer(quirks=["mistral"], width=64) as server:
        embedding = MistralAIEmbedding(api_key="test")
        embedding._client.sdk_configuration.server_url = server.url  # it has no option for it
        given = embedding.get_text_embedding_batch(["a", "b"])
        assert given[1] == pytest.approx(server.vector("b", model="mistral-embed", dims=64))
        with pytest.raises(Exception, match="Too many inputs in request, split into more batches"):
            embedding._get_text_embeddings(["x"] * 257)


def test_googles_own_sdk_sends_what_ours_sends_but_for_what_it_does_wrong(caller):
    genai, types = pytest.importorskip("google.genai"), pytest.importorskip("google.genai.types")
    credentials = pytest.importorskip("google.oauth2.credentials").Credentials("a-token")
    with FaultServer() as server:
        place = {"project": "p", "location": "us"}
        at = types.HttpOptions(base_url=server.url)
        theirs = {
            "gemini": genai.Client(api_key=KEY, http_options=at),
            "vertex": genai.Client(vertexai=True, credentials=credentials, http_options=at, **place),
        }
        own = {"gemini": {"api_key": KEY}, "vertex": {"provider_options": {**place, "credentials": credentials}}}
        for model in ("gemini:gemini-embedding-001", "vertex:gemini-embedding-001", "vertex:text-embedding-005"):
            provider, _, name = model.partition(":")
            embedder = Embedder(model, base_url=server.url, cache=False, dimensions=256, **own[provider])
            cuts = {"auto_truncate": True} if provider == "vertex" else {}
            for task, role, text, title in (
                ("RETRIEVAL_QUERY", "query", "a", None),
                ("RETRIEVAL_DOCUMENT", "document", "title: A title | text: a", "A title"),
                ("CLUSTERING", "clustering", "a", None),
            ):
                config = types.EmbedContentConfig(task_type=task, title=title, output_dimensionality=256, **cuts)
                given = theirs[provider].models.embed_content(model=name, contents=["a"], config=config)
                (ours,) = caller.embed(embedder, [text], input_type=role).vectors
                first, second = server.requests[-2:]
                assert (first.target, first.payload) == (second.target, second.payload), (model, role)
                values = np.array(given.embeddings[0].values)
                assert ours == pytest.approx(values / np.linalg.norm(values), rel=1e-5)

        # Of gemini-embedding-2 it makes one vector of two texts, and sends a task type that the model ignores.
        second = "gemini-embedding-2"
        config = types.EmbedContentConfig(task_type="RETRIEVAL_QUERY")
        given = theirs["gemini"].models.embed_content(model=second, contents=["a", "b"], config=config)
        assert len(given.embeddings) == 1
        asked = theirs["gemini"].models.embed_content(model=second, contents=["a"], config=config)
        assert asked.embeddings[0].values == pytest.approx(server.vector("a", dialect="gemini", model=second))
        embedder = Embedder(f"gemini:{second}", base_url=server.url, cache=False, api_key=KEY)
        vectors = caller.embed(embedder, ["a", "b"], input_type="query").vectors
        for text, vector in zip("ab", vectors, strict=True):
            prefixed = f"task: search result | query: {text}"
            assert vector == pytest.approx(server.vector(prefixed, dialect="gemini", model=second))


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::ImportWarning")
def test_langchains_own_class_for_gemini_gets_the_same_vectors_of_the_first_model_and_no_roles_of_the_second():
    original = pytest.importorskip("langchain_google_genai").GoogleGenerativeAIEmbeddings
    with FaultServer() as server:
        for model, same in (("gemini-embedding-001", True), ("gemini-embedding-2", False)):
            theirs = original(model=model, google_api_key=KEY, base_url=server.url, transport="rest")
            ours = Embedder(f"gemini:{model}", base_url=server.url, cache=False, api_key=KEY).as_langchain()
            for given, found in (
                (theirs.embed_documents(["a", "b"]), ours.embed_documents(["a", "b"])),
                ([theirs.embed_query("a")], [ours.embed_query("a")]),
            ):
                assert np.allclose(given, found, rtol=1e-5) == same


def test_llama_indexs_own_class_for_gemini_gets_the_same_vectors_of_the_first_model_and_no_roles_of_the_second():
    original = pytest.importorskip("llama_index.embeddings.google_genai").GoogleGenAIEmbedding
    with FaultServer() as server:
        for model, same in (("gemini-embedding-001", True), ("gemini-embedding-2", False)):
            theirs = original(model_name=model, api_key=KEY, http_options={"base_url": server.url})
            ours = Embedder(f"gemini:{model}", base_url=server.url, cache=False, api_key=KEY).as_llama_index()
            for given, found in (
                (theirs.get_text_embedding_batch(["a", "b"]), ours.get_text_embedding_batch(["a", "b"])),
                ([theirs.get_query_embedding("a")], [ours.get_query_embedding("a")]),
            ):
                assert np.allclose(given, found, rtol=1e-5) == same
