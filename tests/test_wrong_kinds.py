"""Silence is a fault, and so is a foreign error: what is of a wrong kind is refused by name at every door."""

from __future__ import annotations

import asyncio
import copy
import inspect
import json
import re
import warnings
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from langchain_core.embeddings import Embeddings
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.callbacks import CallbackManager
from pydantic import BaseModel, ConfigDict, ValidationError

from embedbridge import (
    ConfigurationError,
    Embedder,
    EmbedderOptions,
    EmbeddingError,
    InvalidInputError,
    batch,
    guard,
    langchain,
    llama_index,
    migration,
)
from embedbridge._frameworks.stand_in import StandIn
from embedbridge.cache import DiskCache, RedisCache, TieredCache, open_cache
from embedbridge.catalogue import look_up
from embedbridge.collection import Collection
from embedbridge.evaluation import ndcg
from embedbridge.mteb import MTEBEncoder, role_of
from embedbridge.options import LONGEST
from embedbridge.quantization import quantize
from embedbridge.reduction import PCA
from embedbridge.similarity import top_k
from embedbridge.testing import count_tokens
from support.cases import each
from support.keys import KEYS

FACES = (langchain.BridgeEmbeddings, llama_index.BridgeEmbedding)
LONE = "\ud800"


class Evil:
    """Fails at whatever is asked of it."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("the text of a user")


@pytest.fixture(autouse=True)
def _keys(monkeypatch):
    for variable in KEYS:
        monkeypatch.setenv(variable, "sk-of-the-environment")
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "a-token")
    monkeypatch.setenv("AWS_REGION", "us-east-1")


# Options.

IMPOSSIBLE: list[dict[str, Any]] = [
    *({name: float("inf")} for name in ("cache_ttl", "requests_per_minute", "tokens_per_minute", "max_cost")),
    *({name: value} for name in ("timeout", "deadline") for value in (float("inf"), 1e12, LONGEST + 1)),
    *({name: f"x{LONE}"} for name in ("query_prefix", "document_prefix", "base_url", "reduction", "cache")),
    {"model": f"fake:{LONE}"},
    {"model": "fake: "},
    {"cache": ["memory", "a\0b"]},
    {"reduction": "a\0b"},
]


@each("options", IMPOSSIBLE)
def test_a_value_that_no_machine_can_work_with_is_refused_when_it_is_given(options):
    """N8: tokens_per_minute=inf was an OverflowError, deadline=1e12 one of a lock, a lone surrogate one of a key."""
    for made in (Embedder, *FACES):
        with pytest.raises(ConfigurationError, match=f"^{next(iter(options))}: "):
            made(**{"model": "fake:8", "cache": False, **options})


PYDANTICS = re.compile(
    r"Input should|[Ii]nput is|valid (string|integer|dict)|validation error|unable to|Value error|type="
)


def told_by(kind, **options):
    """What a class says of options; nothing where it takes them."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            kind(**options)
    except ConfigurationError as error:
        return str(error)
    return ""


def test_a_value_of_a_wrong_kind_is_told_by_its_option_its_kind_and_what_to_write():
    """Pydantic's own words came through: "Input should be a valid integer, unable to parse string as an integer"."""
    stands = (langchain.OpenAIEmbeddings, langchain.HuggingFaceEmbeddings, llama_index.OpenAIEmbedding)
    told = {
        (kind, name): told_by(kind, **{"model": "fake:8", name: {"a": 1}})
        for kind in (Embedder, *FACES, *stands)
        for name in (EmbedderOptions if kind is Embedder else kind).model_fields
    }
    assert {where: words for where, words in told.items() if PYDANTICS.search(words)} == {}
    assert {told[kind, "timeout"] for kind in (Embedder, *FACES)} == {"timeout: write a number, not a dict"}
    assert told_by(Embedder, model="fake:8", api_key=12345678) == "api_key: write a text, not an int"
    assert told_by(Embedder, model="fake:8", deadline=-1) == "deadline: write a number above 0, not -1"
    assert told_by(Embedder, model="fake:8", batch="x") == "batch: write 'pay', 'wait' or 'skip'"
    both = told_by(langchain.OpenAIEmbeddings, openai_api_key=5)
    assert both == "openai_api_key: write a text or a function, not an int"
    own = told_by(Embedder, model="fake:8", provider_options={"latency": "x"})
    assert "latency: write a number, not a str" in own
    pool = told_by(Embedder, model="openai:m", api_key="k", endpoints=[{"weight": "x"}])
    assert pool.endswith("entry 0: weight: write a number from 1e-06 to 1e+06, not a str")


def test_pydantics_own_error_has_our_words_where_a_framework_expects_one():
    class App(BaseModel):
        model_config = ConfigDict(hide_input_in_errors=True)
        embeddings: langchain.BridgeEmbeddings

    for face, given, told in (
        (App, {"embeddings": {"model": "fake:8", "timeout": "x"}}, "timeout: write a number, not a str"),
        (App, {"embeddings": 5}, "write a dict of options or a BridgeEmbeddings, not an int"),
        (llama_index.BridgeEmbedding, 5, "write a dict of options or a BridgeEmbedding, not an int"),
        (llama_index.BridgeEmbedding, {"model": 5}, "model: write a text, not an int"),
    ):
        with pytest.raises(ValidationError) as refused:
            face.model_validate(given)
        (fault,) = refused.value.errors()
        assert fault["msg"] == told
        assert json.loads(refused.value.json())[0]["msg"] == told
    assert App(embeddings={"model": "fake:8"}).embeddings.model == "fake:8"


def test_the_longest_timeout_and_deadline_are_taken_by_sockets_and_locks(server):
    embedder = Embedder("openai:a-model", base_url=server.url + "/v1", api_key="k", cache=False, timeout=LONGEST)
    for made in (embedder, Embedder.from_options(embedder.options.model_copy(update={"deadline": LONGEST}))):
        with made:
            assert made.embed(["a"]).vectors.shape == asyncio.run(made.aembed(["b"])).vectors.shape


@pytest.mark.parametrize("model", ["-1", "['x']", "a b", "a/b/c", "a--b", "x" * 300, "a\0b", "~nobody-of-this-name/x"])
def test_what_can_be_no_models_name_is_refused_by_it(model):
    """N8: HFValidationError, OSError and RuntimeError came through."""
    with pytest.raises(ConfigurationError, match="is no"):
        Embedder(f"local:{model}", cache=False).estimate(["a"])


@pytest.mark.parametrize("face", FACES)
def test_an_attribute_that_is_no_option_is_not_set(face):
    """N8: pydantic's own ValueError."""
    with pytest.raises(ConfigurationError, match="chunk_size"):
        face(model="fake:8", cache=False).chunk_size = 3


# Objects of the frameworks.


class Panic(BaseException):
    """As extensions in Rust raise it, which no `except Exception` catches."""


def raising(error: BaseException) -> Any:
    def method(*_: Any) -> Any:
        raise error

    return method


class Theirs(Embeddings):
    """An object of LangChain's whose methods are all one function."""

    def __init__(self, method: Any) -> None:
        self.method = method

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return self.method(texts)

    def embed_query(self, text: str) -> list[float]:
        return self.method(text)


class Native(Theirs):
    """With coroutines of its own."""

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        await asyncio.sleep(0)
        return self.method(texts)

    async def aembed_query(self, text: str) -> list[float]:
        return self.method(text)


class Slow(Theirs):
    """Never ready."""

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        await asyncio.sleep(60)
        return self.method(texts)


class Odd(Theirs):
    """Some of its attributes raise an error."""

    model = property(raising(RuntimeError("a text")))
    embedder = property(raising(RuntimeError("a text")))


FAILURES = [Panic("the text of a user"), asyncio.CancelledError(), MemoryError(), KeyError("a text")]


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("error", FAILURES, ids=lambda error: type(error).__name__)
def test_whatever_a_wrapped_object_raises_is_our_error_without_its_words(error, native):
    """N6: a BaseException came through, a panic's words with it; a cancelled task inside cancelled the caller."""
    wrapped = langchain.BridgeEmbeddings.wrap(
        (Native if native else Theirs)(raising(error)), name="n", cache=False, max_retries=0
    )
    for call in (
        lambda: wrapped.embed_documents(["a", "b"]),
        lambda: asyncio.run(wrapped.aembed_documents(["a", "b"])),
    ):
        with pytest.raises(EmbeddingError) as caught:
            call()
        assert type(error).__name__ in str(caught.value)
        assert "text of a user" not in str(caught.value)
        assert caught.value.failed_indices == (0, 1)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_the_end_of_the_program_goes_through_a_wrapped_object(error):
    with pytest.raises(error):
        langchain.BridgeEmbeddings.wrap(Theirs(raising(error())), name="n", cache=False).embed_documents(["a"])


async def test_a_call_that_is_cancelled_inside_a_wrapped_coroutine_is_cancelled():
    wrapped = langchain.BridgeEmbeddings.wrap(Slow(list), name="n", cache=False)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(wrapped.aembed_documents(["a"]), 0.1)


def test_an_object_whose_attributes_raise_is_refused_or_wrapped_without_their_words():
    with pytest.raises(ConfigurationError, match="has no embed_documents"):
        langchain.BridgeEmbeddings.wrap(Evil(), name="n")
    assert langchain.BridgeEmbeddings.wrap(Odd(lambda _: [1.0, 2.0]), name="n", cache=False).embed_query("a") == [
        1.0,
        2.0,
    ]


@pytest.mark.parametrize(
    ("options", "named"),
    [({"name": None}, "name"), ({"name": 3}, "name"), ({"name": ""}, "model"), ({"model": "x"}, "name")]
    + [({"provider_options": value}, "provider_options") for value in (None, [1], 3)],
)
def test_wrap_refuses_what_it_cannot_use_by_name(options, named):
    """N8: name=None was the model "None"."""
    theirs = Theirs(lambda texts: [[1.0]] * len(texts))
    with pytest.raises(ConfigurationError, match=named):
        langchain.BridgeEmbeddings.wrap(theirs, **{"name": "n", **options})


@pytest.mark.parametrize("queries", ["abc", None, 3, {"a": 1}, ["a", 3], [], iter(())])
def test_a_mean_of_queries_is_made_of_a_list_of_texts_alone(queries):
    """N8: the mean of "abc" was that of its letters."""
    made = llama_index.BridgeEmbedding(model="fake:8", cache=False)
    for call in (
        made.get_agg_embedding_from_queries,
        lambda given: asyncio.run(made.aget_agg_embedding_from_queries(given)),
    ):
        with pytest.raises(InvalidInputError):
            call(queries)


def test_a_mean_of_queries_is_that_of_llama_index():
    made = llama_index.BridgeEmbedding(model="fake:8", cache=False)
    ours = made.get_agg_embedding_from_queries(["a", "b"])
    assert ours == BaseEmbedding.get_agg_embedding_from_queries(made, ["a", "b"])
    assert ours == asyncio.run(made.aget_agg_embedding_from_queries(["a", "b"]))


# Stand-ins.

STAND_INS = [
    kind
    for module in (langchain, llama_index)
    for name in module.__all__
    if isinstance(kind := getattr(module, name), type) and issubclass(kind, StandIn)
]
NAMES = {
    "bedrock": "cohere.embed-v4:0",
    "cohere": "embed-v4.0",
    "voyage": "voyage-4",
    "sentence-transformers": "all-MiniLM-L6-v2",
}
NO_VALUES: list[Any] = [3, "x", b"x", ["x"], {"x": 1}, {1: 2}, True, float("nan"), print]


def with_model(kind: Any, **given: Any) -> dict[str, Any]:
    provider = kind.provider
    named = "model" if "model" in inspect.signature(kind).parameters else "model_name"
    options: dict[str, Any] = {"cache": False, named: NAMES.get(provider, "a-model")}
    if provider == "azure":
        options |= {"azure_endpoint": "https://name.openai.azure.com", "api_version": "2024-10-21"}
    if given.keys() & {"model", "model_name"}:
        del options[named]
    if given.keys() & {"base_url", "openai_api_base"}:
        options.pop("azure_endpoint", None)
    if any("api_version" in name for name in given):
        options.pop("api_version", None)
    return options | given


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", STAND_INS, ids=lambda kind: f"{kind.__module__.split('.')[1]}.{kind.__name__}")
def test_a_stand_in_refuses_values_of_another_kind_as_we_do_and_never_with_a_foreign_error(kind):
    """N8: model_kwargs=3 was a TypeError, client_kwargs="x" an AttributeError, model={} the model "{}"."""
    for name in inspect.signature(kind).parameters:
        told = {name, kind.synonyms.get(name, name)}
        for value in NO_VALUES:
            try:
                kind(**with_model(kind, **{name: value}))
            except ConfigurationError as error:
                assert any(word in str(error) for word in told), (name, value, str(error))  # noqa: PT017


@pytest.mark.parametrize("kind", STAND_INS, ids=lambda kind: f"{kind.__module__.split('.')[1]}.{kind.__name__}")
def test_every_way_to_make_a_stand_in_takes_the_originals_keywords(kind):
    """N8: model_construct took ours alone."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        given = with_model(kind)
        made = kind(**given)
        ways = [
            kind.model_construct(**given),
            kind.model_validate(given),
            kind.model_validate(made),
            copy.deepcopy(made),
        ]
        dumped = made.model_dump()
        ways += [kind(**dumped), kind.model_validate(dumped), kind(**made.model_dump(exclude_defaults=True))]
        ways += [kind.model_validate_json(made.model_dump_json(exclude_defaults=True))]
    for again in ways:
        assert type(again) is kind
        assert again.embedder.space == made.embedder.space


# The package mteb.


def test_an_encoder_is_of_an_embedder():
    for other in (None, "fake:8", Embedder, Embedder("fake:8", cache=False).as_langchain()):
        with pytest.raises(ConfigurationError, match="embedder"):
            MTEBEncoder(other)


NO_INPUTS = [None, 3, "abc", b"x", {"text": ["a"]}, [3], [None], [["a"]], [b"x"], [{"image": [1]}]]
NO_INPUTS += [[{"text": text}] for text in (None, 3, "abc", {"a": 1}, [None], [["turn"]])]


@each("inputs", NO_INPUTS)
def test_an_encoder_takes_batches_of_texts_alone(inputs):
    """N8: "abc" was three texts, and a batch of images a KeyError."""
    with pytest.raises(InvalidInputError):
        MTEBEncoder(Embedder("fake:8", cache=False)).encode(inputs)


@pytest.mark.parametrize("side", ["x", "QUERY", 3, [], {}, SimpleNamespace(value="Query")], ids=repr)
def test_a_side_of_a_search_that_is_not_known_is_refused(side):
    """N8: it was a document."""
    with pytest.raises(InvalidInputError, match="prompt_type"):
        role_of(side, None)


def test_an_encoders_keywords_that_it_does_not_obey_are_warned_of():
    """N8."""
    encoder = MTEBEncoder(Embedder("fake:8", cache=False))
    mteb = {"hf_split": "test", "hf_subset": "en", "batch_size": 8, "show_progress_bar": True}
    encoder.encode(["a"], **mteb, precision="float32", convert_to_numpy=True, prompt_name=None)
    for name, value in {
        "precision": "int8",
        "normalize_embeddings": True,
        "prompt": "q: ",
        "prompt_name": "query",
    }.items():
        with pytest.warns(UserWarning, match=f"{name} has no effect"):
            encoder.encode(["a"], **{name: value})


def test_numbers_and_arrays_that_are_texts_are_taken():
    encoder = MTEBEncoder(Embedder("fake:8", cache=False))
    assert encoder.encode([{"text": np.array(["a", "b"])}, {"text": ("c",)}, "d"]).shape == (4, 8)


def test_a_callback_manager_of_another_kind_is_refused_when_it_is_given():
    """It was an AttributeError of the first call."""
    for make in (llama_index.BridgeEmbedding, llama_index.OpenAIEmbedding):
        options = {"model": "fake:8"} if make is llama_index.BridgeEmbedding else {}
        with pytest.raises(ConfigurationError, match=r"^callback_manager: it is a CallbackManager"):
            make(**options, callback_manager=7)
        assert make(**options, callback_manager=None).callback_manager.handlers == []
    kept = CallbackManager([])
    assert llama_index.BridgeEmbedding(model="fake:8", callback_manager=kept).callback_manager is kept


@pytest.mark.parametrize("model", ["fake:8", "openai:text-embedding-3-small", "cohere:embed-v4.0", "ollama:all-minilm"])
def test_an_unknown_option_of_a_provider_is_answered_with_all_that_there_are(model):
    """Those that hold for every provider were left out; and a dump shows them, for they are no secrets."""
    with pytest.raises(ConfigurationError, match=r"accept_model, accept_zeros, force_dimensions, task$"):
        Embedder(model, provider_options={"accept_modle": "x"})
    told = {"accept_model": ["x"], "accept_zeros": True, "force_dimensions": True}
    assert (
        langchain.BridgeEmbeddings(model=model, provider_options=told).model_dump(mode="json")["provider_options"]
        == told
    )


# Every door, and what is no text, no list of texts, no path, no number and no object of ours.

KINDS: dict[str, Any] = {
    "array of numbers": lambda: np.array([1.0, 2.0]),
    "table": lambda: np.array([["a"], ["b"]]),
    "scalar": lambda: np.array("a"),
    "bytes": lambda: b"ab",
    "list of bytes": lambda: [b"a"],
    "dict": lambda: {"a": 1},
    "list of dicts": lambda: [{"text": "a"}],
    "list with None": lambda: ["a", None],
    "generator with None": lambda: (each for each in ["a", None]),
    "column with a gap": lambda: pd.Series(["a", float("nan")]),
    "data frame": lambda: pd.DataFrame({"a": ["x"]}),
    "set": lambda: {"a"},
    "keys": {"a": 1}.keys,
    "nested list": lambda: [["a"]],
    "list of arrays": lambda: [np.array(["a"])],
    "list of NaN": lambda: [float("nan")],
    "class": lambda: list,
    "object": object,
}
"""What no door takes."""
NO_LISTS: dict[str, Any] = {"text": lambda: "ab", "number": lambda: 3}
LISTS: dict[str, Any] = {
    "array": lambda: np.array(["a", "b"]),
    "array of objects": lambda: np.array(["a", "b"], dtype=object),
    "column": lambda: pd.Series(["a", "b"]),
    "generator": lambda: (each for each in "ab"),
    "tuple": lambda: ("a", np.str_("b")),
    "values": {1: "a", 2: "b"}.values,
}
"""What is as good as a list of texts."""
TEXT_DOORS: dict[str, Any] = {
    "embed": lambda made, given: made["ours"].embed(given),
    "aembed": lambda made, given: asyncio.run(made["ours"].aembed(given)),
    "embed_documents": lambda made, given: made["ours"].embed_documents(given),
    "aembed_documents": lambda made, given: asyncio.run(made["ours"].aembed_documents(given)),
    "stream": lambda made, given: list(made["ours"].stream(given)),
    "astream": lambda made, given: asyncio.run(_all_of(made["ours"].astream(given))),
    "estimate": lambda made, given: made["ours"].estimate(given),
    "aestimate": lambda made, given: asyncio.run(made["ours"].aestimate(given)),
    "batch.submit": lambda made, given: batch.submit(made["night"], given),
    "batch.asubmit": lambda made, given: asyncio.run(batch.asubmit(made["night"], given)),
    "batch.collect": lambda made, given: batch.collect(made["night"], again=given),
    "LangChain": lambda made, given: made["langchain"].embed_documents(given),
    "LangChain, async": lambda made, given: asyncio.run(made["langchain"].aembed_documents(given)),
    "LlamaIndex": lambda made, given: made["llama"].get_text_embedding_batch(given),
    "LlamaIndex, async": lambda made, given: asyncio.run(made["llama"].aget_text_embedding_batch(given)),
    "queries": lambda made, given: made["llama"].get_agg_embedding_from_queries(given),
    "mteb": lambda made, given: MTEBEncoder(made["ours"]).encode(given),
    "reduction": lambda made, given: PCA(n_components=1).fit_embedder(made["ours"], given),
    "testing": lambda made, given: made["server"].vectors(given),
}
OTHER_DOORS: dict[str, Any] = {
    "embed_query": lambda made, given: made["ours"].embed_query(given),
    "aembed_query": lambda made, given: asyncio.run(made["ours"].aembed_query(given)),
    "input_type": lambda made, given: made["ours"].embed(["a"], input_type=given),
    "route": lambda made, given: made["ours"].route(given),
    "stream.input_type": lambda made, given: list(made["ours"].stream(["a"], input_type=given)),
    "stream.chunk_size": lambda made, given: list(made["ours"].stream(["a"], chunk_size=given)),
    "from_options": lambda _, given: Embedder.from_options(given),
    "space.save": lambda made, given: made["ours"].space.save(given),
    "space.check": lambda made, given: made["ours"].space.check(given),
    "guard": lambda made, given: guard(given, made["ours"]),
    "guard.using": lambda _, given: guard("g", given),
    "guard.canary": lambda made, given: guard("g", made["ours"], canary=given),
    "guard.today": lambda made, given: guard("g", made["ours"], today=given),
    "batch.submit.embedder": lambda _, given: batch.submit(given, ["a"]),
    "batch.submit.input_type": lambda made, given: batch.submit(made["night"], ["a"], input_type=given),
    "batch.submit.queue_tokens": lambda made, given: batch.submit(made["night"], ["a"], queue_tokens=given),
    "batch.status": lambda made, given: batch.status(made["night"], given),
    "batch.collect.wait": lambda made, given: batch.collect(made["night"], wait=given),
    "batch.collect.timeout": lambda made, given: batch.collect(made["night"], timeout=given),
    "batch.cancel": lambda made, given: batch.cancel(made["night"], given),
    "batch.forget": lambda made, given: batch.forget(made["night"], given),
    "batch.list": lambda _, given: batch.list(given),
    "migration.plan": lambda made, given: migration.plan(given, made["ours"]),
    "migration.plan.embedder": lambda _, given: migration.plan("i.jsonl", given),
    "migration.run.batch": lambda made, given: migration.run("i.jsonl", made["ours"], batch=given),
    "migration.run.queue_tokens": lambda made, given: migration.run("i.jsonl", made["ours"], queue_tokens=given),
    "migration.switch": lambda _, given: migration.switch(given),
    "migration.bench": lambda made, given: migration.bench(made["ours"], made["ours"], data=given),
    "migration.bench.sample": lambda made, given: migration.bench(
        made["ours"], made["ours"], index="i.jsonl", queries=["a"], sample=given
    ),
    "LangChain.of": lambda _, given: langchain.BridgeEmbeddings.of(given),
    "LangChain.query": lambda made, given: made["langchain"].embed_query(given),
    "LangChain.init": lambda _, given: langchain.init_embeddings(given),
    "LlamaIndex.query": lambda made, given: made["llama"].get_query_embedding(given),
    "LlamaIndex.text": lambda made, given: made["llama"].get_text_embedding(given),
    "LlamaIndex.nodes": lambda made, given: made["llama"](given),
    "LlamaIndex.nodes, async": lambda made, given: asyncio.run(made["llama"].acall(given)),
    "LlamaIndex.show_progress": lambda made, given: made["llama"].get_text_embedding_batch(["a"], show_progress=given),
    "similarity.metric": lambda _, given: top_k(np.eye(2), np.eye(2), metric=given),
    "quantize": lambda _, given: quantize(np.eye(2), given),
    "PCA.load": lambda _, given: PCA.load(given),
    "evaluation.k": lambda _, given: ndcg([["a"]], [{"a": 1}], given),
    "evaluation.grades": lambda _, given: ndcg([["a"]], given),
    "Collection": lambda _, given: Collection.load(given),
    "open_cache": lambda _, given: open_cache(given),
    "DiskCache": lambda _, given: DiskCache(given),
    "RedisCache": lambda _, given: RedisCache(given),
    "TieredCache": lambda _, given: TieredCache(given),
    "catalogue": lambda _, given: look_up("openai", given),
    "testing.vector": lambda made, given: made["server"].vector(given),
    "testing.count_tokens": lambda _, given: count_tokens(given),
    "testing.script": lambda made, given: made["server"].script(given),
}


TAKEN = {("open_cache", "nested list"), ("open_cache", "list with None")}
"""A list of directories; None is none."""


async def _all_of(results):
    return [each async for each in results]


@pytest.fixture
def made(server, tmp_path, monkeypatch):
    """What has the doors."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "i.jsonl").write_text("")
    night = {"base_url": f"{server.url}/v1", "api_key": "k", "cache": tmp_path / "cache", "dimensions": 16}
    with Embedder("fake:8", cache=False) as ours, Embedder("openai:text-embedding-3-small", **night) as night:
        yield {
            "server": server,
            "ours": ours,
            "night": night,
            "langchain": ours.as_langchain(),
            "llama": ours.as_llama_index(),
        }


def outcome_at(door, made, given):
    """`taken`, `refused`, or the foreign error that came through."""
    try:
        door(made, given)
    except EmbeddingError:
        return "refused"
    except ValueError as error:
        return "refused" if "a spec of faults is a text" in str(error) else repr(error)
    except Exception as error:
        return repr(error)
    return "taken"


def test_what_is_of_a_wrong_kind_is_refused_at_every_door(made):
    """N8: an array as a role was "the truth value is ambiguous", and others an AttributeError of somewhere inside."""
    found = {
        (name, kind): outcome_at(door, made, make())
        for name, door in (TEXT_DOORS | OTHER_DOORS).items()
        for kind, make in (KINDS | (NO_LISTS if name in TEXT_DOORS else {})).items()
        if (name, kind) not in TAKEN
    }
    assert {where: told for where, told in found.items() if told != "refused"} == {}


def test_what_is_as_good_as_a_list_of_texts_is_taken_at_every_door(made):
    found = {
        (name, kind): outcome_at(door, made, make())
        for name, door in TEXT_DOORS.items()
        for kind, make in LISTS.items()
    }
    assert {where: told for where, told in found.items() if told != "taken"} == {}
