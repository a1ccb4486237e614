"""One identity: what decides a vector is in its key, space, stored data, copies and pickles, or refused."""

from __future__ import annotations

import copy
import json
import pickle

import pytest

from embedbridge import ConfigurationError, Embedder
from embedbridge.cache import MemoryCache
from embedbridge.langchain import BridgeEmbeddings
from embedbridge.llama_index import BridgeEmbedding

KEY = "sk-test"
VARIABLES = ("OPENAI_CUSTOM_HEADERS", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID")


# Doors: each copy asks as its original does, or says why it cannot.


def embedder_of(server, kind=Embedder, **own):
    """An embedder, or a face, of a model behind a gateway."""
    options = {"model": "openai:our-model", "base_url": f"{server.url}/v1", "api_key": KEY, "cache": False} | own
    return kind(**options)


KINDS = {"embedder": Embedder, "langchain": BridgeEmbeddings, "llama-index": BridgeEmbedding}
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def ask(made):
    """One text through whatever it is."""
    core = made if isinstance(made, Embedder) else made.embedder
    core.embed(["a"])


def thawed(made):
    return pickle.loads(pickle.dumps(made))  # noqa: S301 - our own


@every_kind
@pytest.mark.parametrize("clone", [copy.copy, copy.deepcopy])
def test_a_copy_sends_the_same_headers(server, kind, clone):
    made = embedder_of(server, kind, provider_options={"default_headers": {"x-model": "a", "x-secret": "s"}})
    for each in (made, clone(made)):
        ask(each)
    assert [(request.headers["x-model"], request.headers["x-secret"]) for request in server.requests] == [
        ("a", "s")
    ] * 2


@every_kind
def test_headers_that_are_no_secrets_travel(server, kind, monkeypatch):
    """C3: the server saw ['a', None]."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    own = {"default_headers": {"x-model": "a"}, "routing_headers": ["X-Model"]}
    made = embedder_of(server, kind, provider_options=own)
    for each in (made, thawed(made)):
        ask(each)
    assert [request.headers["x-model"] for request in server.requests] == ["a", "a"]


@every_kind
@pytest.mark.parametrize(
    "own",
    [
        {"default_headers": {"x-model": "secret-a"}},
        {"default_headers": {"Authorization": "Bearer secret-a"}},
        {"default_headers": {"x-asks": "secret-a"}, "credential_headers": ["x-asks"]},
        {"proxy": "http://me:secret-a@127.0.0.1:9"},
    ],
    ids=["header", "credential", "named credential", "proxy"],
)
def test_secrets_that_cannot_travel_are_refused_with_a_reason(server, kind, own):
    """C3: pickles lose gateway headers silently."""
    made = embedder_of(server, kind, provider_options=own)
    with pytest.raises(
        ConfigurationError, match=r"cannot go to another process.*(environment|OPENAI_CUSTOM_HEADERS)"
    ) as caught:
        pickle.dumps(made)
    assert "secret-a" not in str(caught.value)
    assert "secret-a" not in f"{made!r}"


@every_kind
@pytest.mark.parametrize("variable", VARIABLES)
def test_a_copy_in_another_environment_says_that_it_would_ask_otherwise(server, kind, variable, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv(variable, "x-model: a")
    made = embedder_of(server, kind, api_key=None)
    pickled = pickle.dumps(made)
    ask(pickle.loads(pickled))  # noqa: S301 - our own
    monkeypatch.setenv(variable, "x-model: b")
    for again in (lambda: pickle.loads(pickled), lambda: copy.deepcopy(made)):  # noqa: S301
        with pytest.raises(ConfigurationError, match=r"would not ask as its original.*details is .* here and .* there"):
            ask(again())


def test_an_ingestion_cache_tells_models_behind_a_gateway_apart(server):
    """C2: model b's documents got model a's vectors."""
    from llama_index.core.ingestion import IngestionCache, IngestionPipeline
    from llama_index.core.schema import TextNode

    kept = IngestionCache()
    for name in ("a", "b", "a"):
        model = embedder_of(server, BridgeEmbedding, provider_options={"default_headers": {"x-secret-key": name}})
        IngestionPipeline(transformations=[model], cache=kept).run(nodes=[TextNode(text="t", id_="1")])
    assert [request.headers["x-secret-key"] for request in server.requests] == ["a", "b"]


SAME = [
    ({}, {"timeout": 5, "concurrency": 2, "show_progress": True, "max_retries": 1, "batch_size": 3, "cache": "memory"}),
    ({}, {"provider_options": {"request_items": 2, "verify": False}}),
    ({}, {"document_prefix": ""}),
    ({"provider_options": {"default_headers": {"X-A": "1"}}}, {"provider_options": {"default_headers": {"x-a": "1"}}}),
    ({}, {"provider_options": {"default_headers": {"Cookie": "1"}}}),
]


@pytest.mark.filterwarnings("ignore:verify=False")
@pytest.mark.parametrize(("one", "other"), SAME, ids=range(len(SAME)))
def test_equal_requests_have_one_place_in_an_ingestion_cache(server, one, other):
    """U13: also within a splitter, whose own dump holds its model's."""
    from llama_index.core.node_parser import SemanticSplitterNodeParser

    models = [embedder_of(server, BridgeEmbedding, **own) for own in (one, other)]
    assert models[0].to_dict() == models[1].to_dict()
    splitters = [SemanticSplitterNodeParser(embed_model=model, id_func=str).to_dict() for model in models]
    assert splitters[0] == splitters[1]
    assert splitters[0]["embed_model"] == models[0].to_dict()


def test_a_stand_ins_keywords_are_stored_in_one_order_in_each_process():
    """LlamaIndex hashes the text of `to_dict`: in the order of a set it was another one in the next process."""
    from embedbridge.llama_index import AzureOpenAIEmbedding

    own = {"azure_endpoint": "http://127.0.0.1:9", "azure_deployment": "d", "api_version": "2024-10-21"}
    own |= {"dimensions": 8, "default_headers": {"x-a": "1"}, "model": "text-embedding-3-small"}
    stored = AzureOpenAIEmbedding(api_key=KEY, cache=False, **own).to_dict()
    fields = [name for name in AzureOpenAIEmbedding.model_fields if name in stored]
    assert len(fields) == 6
    assert [name for name in stored if name in fields] == fields


def test_stored_data_makes_the_same_embedder_or_says_why_not(server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    own = {"default_headers": {"x-model": "a"}, "routing_headers": ["x-model"], "user": "u"}
    model = embedder_of(server, BridgeEmbedding, provider_options=own)
    assert BridgeEmbedding.from_dict(json.loads(model.to_json())).to_dict() == model.to_dict()
    hidden = embedder_of(server, BridgeEmbedding, provider_options={"default_headers": {"x-model": "a"}})
    assert "x-model" not in hidden.to_json()
    with pytest.raises(ConfigurationError, match="does not make the same embedder again"):
        BridgeEmbedding.from_dict(hidden.to_dict())
    given_again = {"default_headers": {"x-model": "a"}}
    assert BridgeEmbedding.from_dict(hidden.to_dict(), provider_options=given_again).to_dict() == hidden.to_dict()


def test_a_dump_holds_secrets_that_do_not_show_and_a_masked_one_is_refused(server):
    for kind in (BridgeEmbeddings, BridgeEmbedding):
        made = embedder_of(server, kind, provider_options={"default_headers": {"x-model": "secret-a"}})
        dump = made.model_dump()
        assert "secret-a" not in f"{dump} {made.model_dump_json()}"
        assert kind(**dump | {"api_key": KEY}).embedder.space == made.embedder.space
        with pytest.raises(ConfigurationError, match="comes from a dump that masks secrets"):
            kind(**json.loads(made.model_dump_json()) | {"api_key": KEY})


def test_short_texts_are_paid_once_over_policies_and_stand_ins(server, caller):
    """C8: Short texts are paid again under another too_long, and when the limit is corrected."""
    cache = MemoryCache()
    for model in ("openai:text-embedding-3-small", "openai:text-embedding-3-small"):
        for policy in ("truncate", "error", "mean"):
            caller.embed(embedder_of(server, model=model, too_long=policy, cache=cache), ["a short text"])
    assert len(server.requests) == 1
    long = "word " * 4000  # may be longer than what the model reads: each policy has a vector of its own
    for policy in ("truncate", "mean"):
        caller.embed(embedder_of(server, model="openai:text-embedding-3-small", too_long=policy, cache=cache), [long])
    assert server.stats.served > 2


def test_ollama_reads_a_short_text_the_same_in_any_context(server, caller):
    """C8: Ollama's num_ctx likewise."""
    cache = MemoryCache()
    for size in (512, 2048, None):
        own = {"num_ctx": size} if size else {}
        made = Embedder("ollama:our-model", base_url=server.url, cache=cache, provider_options=own)
        caller.embed(made, ["short"])
    assert len(server.requests) == 1


def test_a_wrapped_object_of_the_wrong_kind_fails_at_once():
    """U13: wrap() takes objects of the wrong framework, functions and classes and fails at the first call."""
    from langchain_core.embeddings import DeterministicFakeEmbedding
    from llama_index.core import MockEmbedding

    theirs, others = DeterministicFakeEmbedding(size=8), MockEmbedding(8)
    for kind, wrong in {
        BridgeEmbeddings: (others, print, DeterministicFakeEmbedding, "m"),
        BridgeEmbedding: (theirs, print, MockEmbedding, 3),
    }.items():
        for one in wrong:
            with pytest.raises(ConfigurationError, match="takes an embedding object of that framework"):
                kind.wrap(one, name="v1", cache=False)


@pytest.mark.parametrize("word", ["none", "disk", "Memory", "False", "redis", " off"])
def test_a_word_that_is_no_folder_is_answered_with_what_to_write(word, tmp_path, monkeypatch):
    """U13: cache="none" is a folder of that name."""
    monkeypatch.chdir(tmp_path)
    for cache in (word, ["memory", word]):
        with pytest.raises(ConfigurationError, match=r"cache=.* write .*'\./"):
            Embedder("fake:8", cache=cache)
    Embedder("fake:8", cache=f"./{word.strip()}").embed(["a"])
    assert [path.name for path in tmp_path.iterdir()] == [word.strip()]


def test_an_address_for_what_asks_no_server_is_refused():
    with pytest.raises(ConfigurationError, match="base_url: 'fake' asks no server"):
        Embedder("fake:8", base_url="http://localhost:1")


@pytest.mark.parametrize("kind", [Embedder, BridgeEmbeddings, BridgeEmbedding])
def test_a_key_for_what_asks_no_server_is_warned_of(kind):
    """N8: what is taken is obeyed, refused or warned of."""
    with pytest.warns(UserWarning, match="api_key has no effect: 'fake' asks no server") as told:
        kind(model="fake:8", api_key="secret-a")
    assert "secret-a" not in str(told[0].message)


KEPT = {"openai": "/v1", "azure": "", "voyage": "/voyage/v1", "cohere": "", "ollama": "", "nvidia": "/nvidia/v1"}
KEPT |= {"jina": "/jina/v1", "tei": "/tei"}
LISTED = {"cohere": "embed-v4.0", "jina": "jina-embeddings-v3", "tei": "BAAI/bge-small-en-v1.5"}
"""Models of providers that warn of one that they do not know, or that their server has not."""


@pytest.mark.parametrize("provider", KEPT)
def test_a_cookie_that_a_server_sets_is_not_sent_back(server, caller, provider):
    """Later requests are those of the identity."""
    own = {"provider_options": {"api_version": "2024-10-21"}} if provider == "azure" else {}
    model = f"{provider}:{LISTED.get(provider, 'our-model')}"
    server.script("header:set-cookie=model=b; Path=/")
    made = Embedder(model, api_key=KEY, base_url=server.url + KEPT[provider], cache=False, **own)
    for text in ("a", "b"):
        caller.embed(made, [text])
    posted = [request for request in server.requests if request.method == "POST"]
    assert len(posted) == 2
    assert "cookie" not in posted[1].headers
