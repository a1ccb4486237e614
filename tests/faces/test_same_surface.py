"""Rows S1 to S10: what applications do with an original, done with its stand-in."""

from __future__ import annotations

import pickle

import httpx
import numpy as np
import pytest
from langchain_core.stores import InMemoryByteStore
from llama_index.core.embeddings.loading import load_embed_model

from embedbridge import ConfigurationError, langchain, llama_index
from support.tiny_models import settings, write_tiny

from .conftest import document_vectors, query_vector

TEXTS = ["one text", "another text"]
PROMPTS = {"query": "query: ", "document": "doc: ", "other": "other: "}


@pytest.fixture(autouse=True)
def _keys(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")


def openai(server, **more):
    return langchain.OpenAIEmbeddings(model="text-embedding-3-small", base_url=f"{server.url}/v1", cache=False, **more)


@pytest.mark.parametrize("given", [{}, {"encode_kwargs": {"prompt_name": "document"}}], ids=["default", "named"])
def test_s1_prompts_that_encode_would_put_before_texts_are_put_there_for_both_roles(given, tmp_path, minilm_path):
    """S1: cosine 0.855 of the original's vectors."""
    write_tiny(tmp_path / "model", minilm_path)
    settings(prompts=PROMPTS, default_prompt_name="other")(tmp_path / "model")
    made = langchain.HuggingFaceEmbeddings(model=str(tmp_path / "model"), cache=False, **given)
    prompt = "doc: " if given else "other: "
    assert [made.embedder.route(role).prefix for role in ("query", "document")] == [prompt, prompt]
    plain = langchain.HuggingFaceEmbeddings(
        model=str(tmp_path / "model"), cache=False, query_prefix="", document_prefix=""
    )
    wanted = plain.embed_documents([prompt + text for text in TEXTS])
    np.testing.assert_allclose(made.embed_documents(TEXTS), wanted, atol=1e-5)
    np.testing.assert_allclose(made.embed_query(TEXTS[0]), wanted[0], atol=1e-5)


def test_s1_a_prompt_that_the_model_does_not_have_is_refused_by_name(tmp_path, minilm_path):
    write_tiny(tmp_path / "model", minilm_path)
    made = langchain.HuggingFaceEmbeddings(
        model=str(tmp_path / "model"), encode_kwargs={"prompt_name": "nowhere"}, cache=False
    )
    with pytest.raises(ConfigurationError, match="prompt_name='nowhere': the model's prompts are 'document', 'query'"):
        made.embed_query("a")


def test_s3_langchains_documented_line_for_its_cache_works(server):
    cached = pytest.importorskip("langchain_classic.embeddings", reason="needs langchain-classic").CacheBackedEmbeddings
    made = openai(server)
    wrapped = cached.from_bytes_store(made, InMemoryByteStore(), namespace=made.model, key_encoder="sha256")
    np.testing.assert_allclose(wrapped.embed_documents(TEXTS), made.embed_documents(TEXTS))
    assert made.model == "text-embedding-3-small"


@pytest.mark.parametrize("role", ["search_document", "clustering"])
def test_s4_one_input_type_for_all_texts_is_sent_with_queries_too(role, server):
    made = llama_index.CohereEmbedding(
        api_key="k", model_name="embed-v4.0", base_url=server.url, input_type=role, cache=False
    )
    document_vectors(made, TEXTS)
    query_vector(made, TEXTS[0])
    assert [one.payload["input_type"] for one in server.requests] == [role, role]
    plain = llama_index.CohereEmbedding(api_key="k", model_name="embed-v4.0", base_url=server.url)
    assert made.embedder.space != plain.embedder.space


def test_s5_what_was_given_is_read_in_the_originals_types_and_cannot_be_set_without_a_word(server):
    made = llama_index.OpenAIEmbedding(api_base=f"{server.url}/v1", embed_batch_size=1, cache=False)
    assert (made.api_key, made.embed_batch_size, made.class_name()) == ("sk-x", 1, "OpenAIEmbedding")
    document_vectors(made, TEXTS)
    assert len(list(server.requests)) == 2
    with pytest.raises(ConfigurationError, match=r"embed_batch_size is fixed here; take a copy: model_copy"):
        made.embed_batch_size = 2
    server.reset()
    document_vectors(made.model_copy(update={"embed_batch_size": 2}), TEXTS)
    assert len(list(server.requests)) == 1


def test_s5_a_class_of_an_application_derives_from_a_stand_in(server):
    class Mine(langchain.OpenAIEmbeddings):
        calls: int = 0

        def embed_documents(self, texts, chunk_size=None, **kwargs):
            self.calls += 1
            return super().embed_documents(texts, chunk_size, **kwargs)

    made = Mine(base_url=f"{server.url}/v1", cache=False, calls=1)
    made.embed_documents(TEXTS)
    assert (made.calls, made.model_copy(update={"chunk_size": 5}).chunk_size) == (2, 5)


def test_s6_false_is_a_value_and_proxies_of_the_environment_are_taken(monkeypatch):
    told = {"verify": False, "trust_env": False}
    with pytest.warns(UserWarning, match="verify=False"):
        made = langchain.OllamaEmbeddings(model="a-model", client_kwargs=told, cache=False)
    assert made.embedder.options.provider_options["verify"] is False
    assert made.embedder.options.provider_options["proxy"] is False
    monkeypatch.setenv("OPENAI_PROXY", "http://proxy.test:3128")
    made = langchain.OpenAIEmbeddings(cache=False)
    assert made.openai_proxy == made.embedder.options.provider_options["proxy"] == "http://proxy.test:3128"


def test_s7_none_never_says_anything(server):
    made = langchain.OpenAIEmbeddings(api_key=None, openai_api_key="sk-y", model=None, base_url=f"{server.url}/v1")
    assert made.openai_api_key.get_secret_value() == "sk-y"
    assert llama_index.CohereEmbedding("k", None, "embed-v4.0").api_key == "k"
    assert langchain.HuggingFaceEmbeddings(model=None, model_name="a").model_name == "a"


async def test_s8_azure_has_the_originals_credentials_and_their_order(server, monkeypatch):
    place = {"azure_endpoint": server.url, "model": "text-embedding-3-small", "cache": False}

    async def later():
        return "later"

    def sent():
        (one,) = server.requests
        server.reset()
        return one.headers.get("api-key") or one.headers.get("authorization")

    langchain.AzureOpenAIEmbeddings(**place).embed_query("a")
    assert sent() == "sk-x"  # OpenAI's key, where Azure's own is not set
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "az")
    langchain.AzureOpenAIEmbeddings(**place).embed_query("a")
    assert sent() == "az"
    langchain.AzureOpenAIEmbeddings(api_key="k", azure_ad_token="t", **place).embed_query("a")  # noqa: S106 - opens nothing
    assert sent() == "Bearer t"
    both = langchain.AzureOpenAIEmbeddings(
        api_key="k", azure_ad_token_provider=lambda: "now", azure_ad_async_token_provider=later, **place
    )
    both.embed_query("a")
    assert sent() == "Bearer now"
    await both.aembed_query("a")
    assert sent() == "Bearer later"
    place |= {"model_name": place.pop("model"), "api_version": "2024-10-21"}
    llama_index.AzureOpenAIEmbedding(api_key="k", deployment_name="mine", **place).get_query_embedding("a")
    assert sent() == "k"


def test_s10_addresses_that_the_original_does_not_look_at_are_not_looked_at(monkeypatch):
    monkeypatch.setenv("OLLAMA_HOST", "http://elsewhere.test:1")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://elsewhere.test:1/v1")
    assert llama_index.OllamaEmbedding("a").embedder.space.endpoint == ""
    assert llama_index.OpenAIEmbedding().embedder.space.endpoint == ""
    monkeypatch.setenv("COHERE_API_KEY", "first")
    monkeypatch.setenv("CO_API_KEY", "second")
    made = langchain.CohereEmbeddings(model="embed-v4.0")
    assert made.embedder.options.api_key.get_secret_value() == made.cohere_api_key.get_secret_value() == "first"


@pytest.mark.parametrize(
    ("timeout", "seconds"), [(7, 7), ((2.0, 9.0), 9), (httpx.Timeout(4, read=8), 8), (httpx.Timeout(None), 2_000_000)]
)
def test_s10_a_timeout_is_what_httpx_takes(timeout, seconds):
    made = langchain.OpenAIEmbeddings(timeout=timeout, cache=False)
    assert made.embedder.options.timeout == seconds
    assert made.request_timeout == timeout


def test_s10_stored_data_are_loaded_as_what_they_were_and_the_originals_data_by_the_original(server):
    made = llama_index.OpenAIEmbedding(
        model="text-embedding-3-small", api_base=f"{server.url}/v1", dimensions=8, cache=False, num_workers=2
    )
    again = load_embed_model(made.to_dict())
    assert type(again) is llama_index.OpenAIEmbedding
    assert (again.model_name, again.dimensions, again.embedder.space) == (made.model_name, 8, made.embedder.space)
    theirs = pytest.importorskip("llama_index.embeddings.openai", reason="needs the original").OpenAIEmbedding
    assert type(load_embed_model(theirs().to_dict())) is theirs


async def test_s10_images_are_refused_with_the_package_that_embeds_them():
    for made in (llama_index.VoyageEmbedding("voyage-3.5", "k"), llama_index.CohereEmbedding(api_key="k")):
        with pytest.raises(NotImplementedError, match=made.package):
            made.get_image_embedding("a.png")
        with pytest.raises(NotImplementedError, match=made.package):
            await made.aget_image_embedding_batch(["a.png"])
    bedrock = langchain.BedrockEmbeddings(region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="s")  # noqa: S106 - opens nothing
    for made in (bedrock, langchain.JinaEmbeddings(jina_api_key="k")):
        with pytest.raises(NotImplementedError, match=made.package):
            made.embed_images(["a.png"])
    with pytest.raises(NotImplementedError, match="langchain-aws"):
        await bedrock.aembed_video("a.mp4")


def test_a_name_of_langchains_makes_the_class_that_stands_in_for_what_it_makes_there(monkeypatch):
    """With the original's keywords, and without prefixes that the original does not send."""
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "k")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    given = {
        "azure_openai": (langchain.AzureOpenAIEmbeddings, {"azure_endpoint": "https://a.test"}),
        "bedrock": (langchain.BedrockEmbeddings, {"region_name": "us-east-1", "model_kwargs": {"normalize": False}}),
        "cohere": (langchain.CohereEmbeddings, {"cohere_api_key": "k"}),
        "google_genai": (langchain.GoogleGenerativeAIEmbeddings, {"google_api_key": "k"}),
        "huggingface": (langchain.HuggingFaceEmbeddings, {"encode_kwargs": {}}),
        "mistralai": (langchain.MistralAIEmbeddings, {"mistral_api_key": "k"}),
        "ollama": (langchain.OllamaEmbeddings, {"num_ctx": 512}),
        "openai": (langchain.OpenAIEmbeddings, {"chunk_size": 5}),
    }
    models = {"bedrock": "amazon.titan-embed-text-v2:0", "google_genai": "gemini-embedding-001"}
    for name, (kind, keywords) in given.items():
        made = langchain.init_embeddings(f"{name}:{models.get(name, 'a-model')}", **keywords)
        assert type(made) is kind, name
    assert type(langchain.init_embeddings("embedbridge:bedrock:amazon.titan-embed-text-v2:0")) is (
        langchain.BridgeEmbeddings
    )


ADDRESSES = {
    langchain.OpenAIEmbeddings: ("base_url", {}),
    langchain.AzureOpenAIEmbeddings: ("azure_endpoint", {"model": "m"}),
    langchain.BedrockEmbeddings: ("endpoint_url", {"region_name": "us-east-1"}),
    langchain.CohereEmbeddings: ("base_url", {"model": "m", "api_key": "k"}),
    langchain.GoogleGenerativeAIEmbeddings: ("base_url", {"model": "m", "api_key": "k"}),
    langchain.MistralAIEmbeddings: ("endpoint", {"api_key": "k"}),
    langchain.NVIDIAEmbeddings: ("base_url", {"model": "m", "api_key": "k"}),
    langchain.VoyageAIEmbeddings: ("base_url", {"model": "m", "api_key": "k"}),
    llama_index.OpenAIEmbedding: ("api_base", {}),
    llama_index.AzureOpenAIEmbedding: ("azure_endpoint", {"model": "m", "api_version": "2024-10-21"}),
    llama_index.CohereEmbedding: ("base_url", {"api_key": "k"}),
    llama_index.NVIDIAEmbedding: ("base_url", {"model": "m", "api_key": "k"}),
    llama_index.TextEmbeddingsInference: ("base_url", {"model_name": "m"}),
}
SPELLED = {
    "localhost:8000": "'http://localhost:8000",
    "localhost:8000/v1?key=secret": "'http://localhost:8000/v1",
    "[::1]:8000": "'http://[::1]:8000",
    "//gateway.example/v1": "'https://gateway.example/v1",
    "https:/gateway.example": "'https://gateway.example",
    "name:secret@gateway.example": "'https://gateway.example",
}


def test_an_address_without_a_scheme_is_refused_with_what_to_write():
    """The originals fail at the first call, in words of their HTTP libraries."""
    told = {}
    for kind, (keyword, given) in ADDRESSES.items():
        for address, right in SPELLED.items():
            with pytest.raises(ConfigurationError) as caught:
                kind(**{keyword: address}, **given)
            if f"write {right}" not in str(caught.value) or "secret" in str(caught.value):
                told[kind, address] = str(caught.value)
    assert told == {}


def test_where_the_originals_sdk_takes_a_bare_host_so_do_we(server):
    host = server.url.removeprefix("http://")
    for made in (
        langchain.OllamaEmbeddings(model="m", base_url=host, cache=False),
        llama_index.OllamaEmbedding("m", base_url=host, cache=False),
    ):
        assert query_vector(made, "a")
        made.embedder.close()
    release_3 = {"client_options": {"api_endpoint": "gateway.example"}}
    made = langchain.GoogleGenerativeAIEmbeddings(model="m", api_key="k", **release_3)
    assert made.embedder.options.base_url == "https://gateway.example"


def test_assigning_what_an_object_has_already_is_no_change():
    made = langchain.OpenAIEmbeddings(cache=False)
    made.embedding_ctx_length = 8191
    made.check_embedding_ctx_length = True
    for name, value in (("embedding_ctx_length", 512), ("check_embedding_ctx_length", 1)):
        with pytest.raises(ConfigurationError, match=f"{name} is fixed here; take a copy"):
            setattr(made, name, value)


def test_no_key_and_no_header_is_in_a_pickle_a_dump_or_a_text(server):
    for made in (openai(server, default_headers={"X-Team": "hidden"}), openai(server, api_key="hidden")):
        assert "hidden" not in repr(made) + str(made.model_dump()) + made.model_dump_json()
    assert b"hidden" not in pickle.dumps(openai(server, api_key="hidden"))
    with pytest.raises(ConfigurationError, match="X-Team"):
        pickle.dumps(openai(server, default_headers={"X-Team": "hidden"}))
    stored = llama_index.OpenAIEmbedding(api_key="hidden", default_headers={"X-Team": "hidden"}).to_dict()
    assert "hidden" not in str(stored)


def test_a_key_does_not_go_to_another_server_with_a_copy(server):
    made = openai(server, api_key="sk-mine")
    with pytest.raises(ConfigurationError, match="api_key was given for another server"):
        made.model_copy(update={"base_url": "http://127.0.0.1:9/v1"})
    assert made.model_copy(update={"base_url": "http://127.0.0.1:9/v1", "api_key": "sk-other"}).chunk_size == 1000


@pytest.mark.parametrize(
    ("model", "given"),
    [
        ("embedbridge:openai:text-embedding-3-small", {}),
        ("openai:text-embedding-3-small", {"chunk_size": 7}),
        ("text-embedding-3-small", {"provider": "openai", "chunk_size": 7}),
    ],
)
def test_embeddings_are_made_by_name_as_by_langchain(model, given, server):
    """LangChain's own list of providers is private, so this is a function of ours with its signature."""
    made = langchain.init_embeddings(model, base_url=f"{server.url}/v1", cache=False, **given)
    assert len(made.embed_query("a")) == 1536
    assert getattr(made, "chunk_size", 7) == 7
    with pytest.raises(ConfigurationError, match="write 'provider:model'"):
        langchain.init_embeddings("text-embedding-3-small")
    assert type(langchain.init_embeddings("fake:8")) is langchain.BridgeEmbeddings
