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


def mistral(server):
    return Embedder("mistral:mistral-embed", base_url=f"{server.url}/mistral", api_key="test", cache=False)


def test_mistrals_own_sdk_takes_its_dialect_and_sends_what_we_send():
    Mistral = pytest.importorskip("mistralai.client").Mistral  # noqa: N806
    with FaultServer() as server, Mistral(api_key="test", server_url=f"{server.url}/mistral") as client:
        fields = {"output_dimension": 256, "output_dtype": "int8"}
        whole = client.embeddings.create(model="mistral-embed", inputs=["a", "b"]).data
        rounded = client.embeddings.create(model="codestral-embed", inputs=["a"], **fields).data[0].embedding
        (ours,) = mistral(server).embed_documents(["b"])
        first, second, third = server.requests
        assert (first.target, first.headers["authorization"]) == (third.target, third.headers["authorization"])
        assert whole[1].embedding == pytest.approx(ours.tolist())
        assert {name: second.payload[name] for name in fields} == fields
        assert len([number for number in rounded if number == int(number)]) == 256
        with pytest.raises(Exception, match="Too many inputs in request"):
            client.embeddings.create(model="mistral-embed", inputs=["x"] * 257)


def test_langchains_client_for_mistral_sends_more_texts_than_the_api_takes():
    MistralAIEmbeddings = pytest.importorskip("langchain_mistralai").MistralAIEmbeddings  # noqa: N806
    from tokenizers import Tokenizer, models

    with FaultServer() as server:
        options = {"endpoint": f"{server.url}/mistral/v1/", "api_key": "test", "max_retries": None}
        tokenizer = Tokenizer(models.WordLevel({"?": 0}, unk_token="?"))  # noqa: S106 - its own is on a hub, behind a login
        theirs = MistralAIEmbeddings(tokenizer=tokenizer, **options)
        assert theirs.embed_query("q") == pytest.approx(mistral(server).embed_query("q").tolist())
        texts = [f"text {i}" for i in range(300)]
        with pytest.raises(Exception, match="400"):
            theirs.embed_documents(texts)
        theirs.client.close()
        assert mistral(server).embed_documents(texts).shape == (300, 1024)


async def test_llama_indexs_client_for_mistral_fails_after_it_has_paid_when_it_is_async():
    MistralAIEmbedding = pytest.importorskip("llama_index.embeddings.mistralai").MistralAIEmbedding  # noqa: N806
    with FaultServer() as server:
        theirs = MistralAIEmbedding(api_key="test")
        theirs._client.sdk_configuration.server_url = f"{server.url}/mistral"  # it has no option for it
        with pytest.raises(TypeError, match="await"):
            await theirs.aget_text_embedding("a")
        assert server.stats.billed == {"a": 1}
        async with mistral(server) as ours:
            assert (await ours.aembed_documents(["a"])).shape == (1, 1024)


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
