"""LlamaIndex's face does what `BaseEmbedding` does, told of and counted alike, and hands over whole lists."""

from __future__ import annotations

import asyncio
import pickle
import threading

import pytest
from llama_index.core import Document, MockEmbedding, Settings, VectorStoreIndex
from llama_index.core.base.embeddings.base import SimilarityMode
from llama_index.core.callbacks import CallbackManager, CBEventType, EventPayload, TokenCountingHandler
from llama_index.core.ingestion import IngestionCache, IngestionPipeline
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.span_handlers import SimpleSpanHandler
from llama_index.core.schema import TextNode
from llama_index.core.storage.kvstore import SimpleKVStore

from embedbridge import ConfigurationError, EmbeddingError, events
from embedbridge.llama_index import BridgeEmbedding

TEXTS = [f"text {number}" for number in range(7)]


class Heard(BaseEventHandler):
    """Notes what instrumentation is told."""

    heard: list

    def handle(self, event, **_):
        self.heard.append(event)


class Callbacks(TokenCountingHandler):
    """Notes what callbacks are told; counts words as tokens."""

    def __init__(self):
        super().__init__(tokenizer=str.split)
        self.started, self.ended = [], []

    def on_event_start(self, event_type, payload=None, event_id="", **rest):
        self.started.append((event_type, payload, event_id))
        return super().on_event_start(event_type, payload, event_id, **rest)

    def on_event_end(self, event_type, payload=None, event_id="", **rest):
        self.ended.append((event_type, payload, event_id))
        super().on_event_end(event_type, payload, event_id, **rest)


@pytest.fixture
def heard():
    """What the root dispatcher is told of embeddings: (name of the event, chunks)."""
    root, handler, spans = get_dispatcher(), Heard(heard=[]), SimpleSpanHandler()
    before = root.event_handlers[:], root.span_handlers[:]
    root.add_event_handler(handler)
    root.add_span_handler(spans)
    handler.heard.append(spans)
    yield handler.heard
    root.event_handlers[:], root.span_handlers[:] = before


def told(heard):
    spans, *rest = heard
    names = [
        (event.class_name(), getattr(event, "chunks", None)) for event in rest if "Embedding" in event.class_name()
    ]
    heard[:] = [spans]
    return names


def spans(heard):
    names = [span.id_.partition("-")[0].partition(".")[2] for span in heard[0].completed_spans]
    heard[0].completed_spans.clear()
    return sorted(name for name in names if not name.startswith("_"))


def calls(model):
    """Every public method, sync and async, with seven texts or one."""
    return {
        "get_query_embedding": lambda: model.get_query_embedding("who knows?"),
        "aget_query_embedding": lambda: asyncio.run(model.aget_query_embedding("who knows?")),
        "get_text_embedding": lambda: model.get_text_embedding("a text"),
        "aget_text_embedding": lambda: asyncio.run(model.aget_text_embedding("a text")),
        "get_text_embedding_batch": lambda: model.get_text_embedding_batch(TEXTS),
        "aget_text_embedding_batch": lambda: asyncio.run(model.aget_text_embedding_batch(TEXTS)),
        "get_agg_embedding_from_queries": lambda: model.get_agg_embedding_from_queries(["a", "b"]),
        "aget_agg_embedding_from_queries": lambda: asyncio.run(model.aget_agg_embedding_from_queries(["a", "b"])),
        "__call__": lambda: model([TextNode(text=text) for text in TEXTS]),
        "acall": lambda: asyncio.run(model.acall([TextNode(text=text) for text in TEXTS])),
        "empty": lambda: model.get_text_embedding_batch([]),
        "aempty": lambda: asyncio.run(model.aget_text_embedding_batch([])),
    }


@pytest.mark.parametrize("name", calls(None))
@pytest.mark.parametrize("size", [3, 7, 100])
def test_events_callbacks_spans_and_token_counts_are_those_of_the_base_class(heard, name, size):
    seen = []
    for make in (
        lambda **own: MockEmbedding(8, **own),
        lambda **own: BridgeEmbedding(model="fake:8", cache=False, **own),
    ):
        callbacks = Callbacks()
        model = make(embed_batch_size=size, callback_manager=CallbackManager([callbacks]))
        calls(model)[name]()
        seen.append(
            {
                "events": sorted(told(heard), key=str),
                "spans": spans(heard),
                "started": [kind for kind, _, _ in callbacks.started],
                "serialized": [set(payload) for _, payload, _ in callbacks.started],
                "chunks": sorted(payload[EventPayload.CHUNKS] for _, payload, _ in callbacks.ended),
                "widths": [[len(v) for v in payload[EventPayload.EMBEDDINGS]] for _, payload, _ in callbacks.ended],
                "paired": {number for *_, number in callbacks.started} == {number for *_, number in callbacks.ended},
                "tokens": callbacks.total_embedding_token_count,
            }
        )
    assert seen[1] == seen[0]
    assert name.endswith("empty") or seen[1]["tokens"] > 0


def test_the_whole_list_is_packed_at_once_whatever_the_size_of_an_event(caller):
    requests = []
    model = BridgeEmbedding(
        model="fake:8",
        cache=False,
        embed_batch_size=10,
        observers=[lambda event: requests.append(event.texts) if isinstance(event, events.BatchFinished) else None],
    )
    caller.call(model, "get_text_embedding_batch", [str(number) for number in range(1000)])
    assert sorted(requests) == [232, 256, 256, 256]


@pytest.mark.parametrize("method", ["get_text_embedding_batch", "get_query_embedding"])
def test_a_failing_call_ends_its_events(caller, method):
    callbacks = Callbacks()
    model = BridgeEmbedding(
        model="fake:8", cache=False, embed_batch_size=2, callback_manager=CallbackManager([callbacks])
    )
    with pytest.raises(EmbeddingError):
        caller.call(model, method, ["a", "", "b"] if "batch" in method else "")
    assert [number for *_, number in callbacks.started] == [number for *_, number in callbacks.ended]
    assert all(isinstance(payload[EventPayload.EXCEPTION], EmbeddingError) for _, payload, _ in callbacks.ended)


def test_the_payload_names_the_model_and_no_address_or_key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    model = BridgeEmbedding(model="openai:text-embedding-3-small", base_url="http://127.0.0.1:9/v1", dimensions=256)
    assert model.to_payload() == {
        "class_name": "BridgeEmbedding",
        "model_name": "openai:text-embedding-3-small",
        "embed_batch_size": 1_000_000,
        "dimensions": 256,
    }


def test_progress_is_drawn_for_the_call_that_asks_for_it_and_moves(caller, screen):
    model = BridgeEmbedding(
        model="fake:8", cache=False, batch_size=5, concurrency=1, provider_options={"latency": 0.06}
    )
    caller.call(model, "get_text_embedding_batch", [str(number) for number in range(20)], show_progress=True)
    drawn = screen.readouterr().err
    assert "20/20" in drawn
    assert any(f"{part}/20" in drawn for part in (5, 10, 15))
    caller.call(model, "get_text_embedding_batch", ["a"])
    assert screen.readouterr().err == ""


async def test_the_event_loop_is_never_blocked():
    model = BridgeEmbedding(model="fake:8", cache=False, provider_options={"latency": 0.2})
    ticks = 0

    async def tick():
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    ticking = asyncio.create_task(tick())
    for call in (
        model.aget_query_embedding("a"),
        model.aget_text_embedding("b"),
        model.aget_text_embedding_batch(["c"]),
    ):
        before = ticks
        await call
        assert ticks - before >= 2
    ticking.cancel()


async def test_several_queries_are_asked_for_at_once():
    most, now, lock = 0, 0, threading.Lock()

    def count(event):
        nonlocal most, now
        with lock:
            now += isinstance(event, events.CallStarted)
            now -= isinstance(event, events.CallFinished)
            most = max(most, now)

    model = BridgeEmbedding(model="fake:8", cache=False, provider_options={"latency": 0.05}, observers=[count])
    mean = await model.aget_agg_embedding_from_queries(["a", "b", "c"])
    assert most == 3
    assert mean == model.get_agg_embedding_from_queries(["a", "b", "c"])
    assert await model.aget_agg_embedding_from_queries(["a", "b"], agg_fn=max) == max(
        model.get_query_embedding("a"), model.get_query_embedding("b")
    )


def test_num_workers_is_another_name_for_concurrency():
    assert BridgeEmbedding(model="fake:8", num_workers=3).embedder.options.concurrency == 3
    with pytest.raises(ConfigurationError, match="num_workers=3: it is another name for concurrency, which is 5"):
        BridgeEmbedding(model="fake:8", num_workers=3, concurrency=5)


def test_llama_indexs_own_cache_is_refused_and_the_reason_given():
    with pytest.raises(ConfigurationError, match="under the bare text"):
        BridgeEmbedding(model="fake:8", embeddings_cache=SimpleKVStore())
    with pytest.raises(ConfigurationError, match="embeddings_cache is fixed here"):
        BridgeEmbedding(model="fake:8").embeddings_cache = SimpleKVStore()


def test_settings_take_it_and_give_it_their_callbacks():
    callbacks, before = Callbacks(), (Settings._embed_model, Settings._callback_manager)
    model = BridgeEmbedding(model="fake:8", cache=False)
    try:
        Settings.callback_manager = CallbackManager([callbacks])
        Settings.embed_model = model
        assert Settings.embed_model is model
        index = VectorStoreIndex([TextNode(text=text) for text in TEXTS])
        index.as_retriever().retrieve("text 3")
        embeddings = [payload for kind, payload, _ in callbacks.ended if kind is CBEventType.EMBEDDING]
        assert [payload[EventPayload.CHUNKS] for payload in embeddings] == [TEXTS, ["text 3"]]
    finally:
        Settings._embed_model, Settings._callback_manager = before


def test_similarity_is_the_base_class_own():
    model, base = BridgeEmbedding(model="fake:8", cache=False), MockEmbedding(8)
    for mode in SimilarityMode:
        assert model.similarity([1.0, 2.0], [2.0, 1.0], mode) == base.similarity([1.0, 2.0], [2.0, 1.0], mode)


# What LlamaIndex stores.


@pytest.mark.parametrize(
    "setting",
    [
        {"cache": False},
        {"batch_size": 3},
        {"embed_batch_size": 5},
        {"num_workers": 2},
        {"max_retries": 1},
        {"timeout": 3},
        {"show_progress": True},
    ],
    ids=lambda setting: next(iter(setting)),
)
def test_settings_that_decide_no_vector_do_not_change_what_an_ingestion_cache_files_it_under(setting):
    plain = BridgeEmbedding(model="fake:8").to_dict()
    assert set(plain) == {"model", "fingerprint", "class_name"}
    assert BridgeEmbedding(model="fake:8", **setting).to_dict() == plain


@pytest.mark.parametrize(
    "setting",
    [
        {"dimensions": 4},
        {"normalize": True},
        {"query_prefix": "q: "},
        {"document_prefix": "p: "},
        {"too_long": "mean"},
        {"empty": "zero"},
    ],
    ids=lambda setting: next(iter(setting)),
)
def test_settings_that_decide_a_vector_do_and_come_back(setting):
    model = BridgeEmbedding(model="fake:8", **setting)
    assert model.to_dict() == {"model": "fake:8", "class_name": "BridgeEmbedding"} | setting | {
        "fingerprint": model.embedder.space.fingerprint
    }
    for again in (BridgeEmbedding.from_dict(model.to_dict()), BridgeEmbedding.from_json(model.to_json())):
        assert again.embedder.space == model.embedder.space
        assert again.to_dict() == model.to_dict()


def test_a_pickle_keeps_what_is_llama_indexs_own():
    model = BridgeEmbedding(model="fake:8", cache=False, embed_batch_size=5, num_workers=2)
    again = pickle.loads(pickle.dumps(model))  # noqa: S301 - our own
    assert (again.embed_batch_size, again.num_workers, again.model_name) == (5, 2, "fake:8")
    assert again.get_text_embedding_batch(TEXTS) == model.get_text_embedding_batch(TEXTS)


# Pipelines.


def pipeline(model, **options):
    # No SentenceSplitter: in LlamaIndex's pool of processes it hangs by itself, without us.
    return IngestionPipeline(transformations=[model], **options)


DOCUMENTS = [Document(text=f"Document {number}") for number in range(20)]


def test_a_pipelines_own_cache_answers_a_model_with_other_speed_settings():
    kept = IngestionCache()
    first = pipeline(BridgeEmbedding(model="fake:8", cache=False), cache=kept).run(documents=DOCUMENTS)
    faster = BridgeEmbedding(model="fake:8", cache=False, batch_size=2, num_workers=4)
    second = pipeline(faster, cache=kept).run(documents=DOCUMENTS)
    assert faster.embedder.usage.texts == 0
    assert [node.embedding for node in second] == [node.embedding for node in first]


@pytest.mark.slow
@pytest.mark.parametrize("run", ["run", "arun"])
def test_a_pipeline_in_two_processes_gives_every_node_its_vector_and_fills_one_cache(cache, run):
    model = BridgeEmbedding(model="fake:8", cache=cache, dimensions=4)
    processes = getattr(pipeline(model, disable_cache=True), run)(documents=DOCUMENTS, num_workers=2)
    nodes = asyncio.run(processes) if run == "arun" else processes
    assert [node.embedding for node in nodes] == model.get_text_embedding_batch(
        [node.get_content("embed") for node in nodes]
    )
    assert model.embedder.usage.requests == 0


@pytest.mark.slow
def test_a_key_that_the_other_processes_do_not_have_is_an_error_and_no_hang():
    model = BridgeEmbedding(model="openai:text-embedding-3-small", api_key="sk-test")
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY"):
        pipeline(model).run(documents=DOCUMENTS, num_workers=2)
