"""What changes a request and is no option: the environment, wrapped objects, the many ways to write one address."""

from __future__ import annotations

import json
import pickle

import pytest

from embedbridge import ConfigurationError, Embedder
from embedbridge.cache import MemoryCache
from embedbridge.langchain import BridgeEmbeddings
from embedbridge.llama_index import BridgeEmbedding

KEY = "sk-test"
LATE = {
    "OPENAI_CUSTOM_HEADERS": "x-late: 1\nauthorization: Bearer late\nApi-Key: late\nUser-Agent: late\nHost: late",
    "OPENAI_ORG_ID": "late",
    "OPENAI_PROJECT_ID": "late",
    "OPENAI_BASE_URL": "http://late",
    "OPENAI_ADMIN_KEY": "late",
    "OPENAI_API_KEY": "late",
    "OPENAI_API_VERSION": "late",
    "AZURE_OPENAI_AD_TOKEN": "late",
    "AZURE_OPENAI_API_KEY": "late",
    "AZURE_OPENAI_ENDPOINT": "http://late",
    "VOYAGE_API_KEY": "late",
    "NVIDIA_API_KEY": "late",
    "NVIDIA_BASE_URL": "http://late",
    "JINA_API_KEY": "late",
    "CO_API_KEY": "late",
    "CO_API_URL": "http://late",
    "COHERE_API_KEY": "late",
    "GEMINI_API_KEY": "late",
    "GOOGLE_API_KEY": "late",
    "GOOGLE_APPLICATION_CREDENTIALS": "late",
    "GOOGLE_CLOUD_LOCATION": "late",
    "GOOGLE_CLOUD_PROJECT": "late",
    "GOOGLE_GEMINI_BASE_URL": "http://late",
    "GOOGLE_VERTEX_BASE_URL": "http://late",
    "OLLAMA_API_KEY": "late",
    "OLLAMA_HOST": "late",
}
SERVERS = {
    "openai:a-model": "/v1",
    "azure:a-model": "",
    "voyage:voyage-4": "/voyage/v1",
    "cohere:embed-v4.0": "",
    "gemini:gemini-embedding-001": "",
    "ollama:a-model": "",
    "nvidia:a-model": "/nvidia/v1",
    "jina:jina-embeddings-v3": "/jina/v1",
    "tei:BAAI/bge-small-en-v1.5": "/tei",
    "vertex:text-embedding-005": "",
}
by_provider = pytest.mark.parametrize("model", SERVERS)


def made(server, model, **own):
    """An embedder of a loopback server, with a key where one is needed."""
    options = {"base_url": server.url + SERVERS[model], "cache": False} | own
    if model.startswith("azure:"):
        options["provider_options"] = {"api_version": "2024-10-21"} | options.get("provider_options", {})
    return Embedder(model, **({} if model.startswith("ollama:") else {"api_key": KEY}) | options)


@by_provider
def test_nothing_of_the_environment_gets_into_a_request_after_an_embedder_is_made(server, model, monkeypatch, caller):
    """C4: an SDK reads its variables when its client is made, which is at the first request."""
    embedder = made(server, model)
    before = embedder.space
    for name, value in LATE.items():
        monkeypatch.setenv(name, value)
    caller.embed(embedder, ["a"])
    (request,) = (request for request in server.requests if request.method == "POST")
    assert "late" not in f"{request.headers} {request.query} {request.payload}"
    names = {"azure": "api-key", "gemini": "x-goog-api-key", "vertex": "x-goog-api-key", "ollama": ""}
    name = names.get(model.partition(":")[0], "authorization")
    sent = {each: request.headers.get(each) for each in ("authorization", "api-key", "x-goog-api-key")}
    key = {name: f"Bearer {KEY}" if name == "authorization" else KEY} if name else {}
    assert sent == {"authorization": None, "api-key": None, "x-goog-api-key": None} | key
    assert embedder.space == before


def test_voyage_takes_no_header_from_openais_variables(server, monkeypatch, caller):
    """C4, of the SDK that another provider runs on."""
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", LATE["OPENAI_CUSTOM_HEADERS"])
    caller.embed(made(server, "voyage:voyage-4"), ["a"])
    assert "late" not in str(server.requests[0].headers)


@pytest.mark.parametrize("name", ["user-agent", "Accept", "Content-Type"])
def test_a_header_that_ollamas_sdk_would_replace_is_refused(server, name):
    with pytest.raises(ConfigurationError, match="another value would not arrive"):
        made(server, "ollama:a-model", provider_options={"headers": {name: "mine"}})


def test_one_address_has_one_key_however_it_is_written():
    spaces = {
        Embedder("openai:a-model", api_key=KEY, base_url=url, cache=False).space.fingerprint
        for url in ("https://host.example:443/v1", "https://HOST.example/v1/", "https://host.example/v1")
    }
    others = [
        Embedder("openai:a-model", api_key=KEY, base_url=url, cache=False).space.fingerprint
        for url in ("https://host.example:444/v1", "https://host.example:80/v1", "https://host.example/v2")
    ]
    assert len(spaces) == 1
    assert len({*spaces, *others}) == 4


def test_an_index_whose_file_names_the_usual_port_is_still_its_own(tmp_path):
    (tmp_path / "space").write_text(
        json.dumps(
            {
                "embedbridge_space": 1,
                "provider": "openai",
                "model": "a-model",
                "too_long": "truncate:server",
                "endpoint": "https://host.example:443/v1",
                "routes": {"query": "", "document": ""},
            }
        )
    )
    Embedder("openai:a-model", api_key=KEY, base_url="https://host.example/v1", cache=False).space.check(
        tmp_path / "space"
    )


# Objects within objects.


def theirs(model):
    """An object of LangChain that names its model."""
    from langchain_core.embeddings import DeterministicFakeEmbedding

    class Named(DeterministicFakeEmbedding):
        model: str = ""

    return Named(size=8, model=model)


def test_two_objects_under_one_name_are_told_apart_by_the_model_that_they_name():
    """C2 for wrapped objects: their model's name counts beside the one that the user gives."""
    cache = MemoryCache()
    one, same, other = (BridgeEmbeddings.wrap(theirs(name), name="v", cache=cache) for name in "aab")
    assert one.embedder.space == same.embedder.space != other.embedder.space
    assert [each.embedder.embed(["t"]).report.requests for each in (one, same, other)] == [1, 0, 1]


@pytest.mark.parametrize("kind", [BridgeEmbedding, BridgeEmbeddings])
def test_an_embedder_within_an_embedder_brings_its_space(server, kind):
    """C2: two that differ in a header which chooses the model, each behind a wrapper of one name."""
    spaces, stored = [], []
    for name in "aab":
        own = {"default_headers": {"x-model": name}}
        inner = kind(model="openai:m", api_key=KEY, base_url=f"{server.url}/v1", provider_options=own, cache=False)
        outer = kind.wrap(inner, name="v", cache=False)
        spaces.append(outer.embedder.space.fingerprint)
        stored.append(outer.embedder.as_llama_index().to_dict())
    assert spaces[0] == spaces[1] != spaces[2]
    assert stored[0] == stored[1] != stored[2]


@pytest.mark.parametrize("name", ["observers", "embeddings", "azure_ad_token_provider"])
@pytest.mark.parametrize("kind", [Embedder, BridgeEmbedding, BridgeEmbeddings])
def test_an_object_that_cannot_travel_is_named_with_what_to_do(server, kind, name):
    """C3: an error that says which option it is, as for a rate limiter."""

    class Local:
        def embed_documents(self, texts):
            raise NotImplementedError

        embed_query = embed_documents

    options = {
        "observers": {"model": "fake:8", "observers": [lambda _: None]},
        "embeddings": {"model": "langchain:v", "provider_options": {"embeddings": Local()}},
        "azure_ad_token_provider": {
            "model": "azure:m",
            "base_url": server.url,
            "provider_options": {"api_version": "2024-10-21", "azure_ad_token_provider": lambda: "t"},
        },
    }[name]
    with pytest.raises(ConfigurationError, match=f"{name}: this .* cannot go to another process"):
        pickle.dumps(kind(**options, cache=False))


def test_whose_code_computes_a_vector_is_part_of_its_identity(tmp_path):
    """The model's own code and that of transformers may give other numbers for one checkpoint."""
    for name, content in {"modules.json": [], "config.json": {"torch_dtype": "float32"}}.items():
        (tmp_path / name).write_text(json.dumps(content))
    own = {"revision": "abc", "trust_remote_code": True}
    trusted = Embedder(f"local:{tmp_path}", cache=False, provider_options=own)
    plain = Embedder(f"local:{tmp_path}", cache=False, provider_options={"revision": "abc"})
    assert trusted.space != plain.space
