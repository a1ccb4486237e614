"""A thousand documents, broken off in the middle and run again: nothing lost, nothing paid twice."""

from __future__ import annotations

import pytest
from langchain_core.documents import Document as LangChainDocument
from langchain_core.indexing import InMemoryRecordManager, aindex, index
from langchain_core.vectorstores import InMemoryVectorStore
from llama_index.core import Document
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.vector_stores import SimpleVectorStore

from embedbridge import AuthenticationError
from embedbridge.langchain import BridgeEmbeddings
from embedbridge.llama_index import BridgeEmbedding

TEXTS = [f"Document {number} of a thousand." for number in range(1000)]


@pytest.fixture
def breaking(server):
    """A server that refuses its key from the 25th request on, until it is mended."""
    state = {"broken": True}
    server.on(lambda _: state["broken"] and server.stats.served >= 25, "401")
    server.mend = lambda: state.update(broken=False)
    return server


def options(server, cache):
    return {
        "model": "openai:text-embedding-3-small",
        "base_url": f"{server.url}/v1",
        "api_key": "sk-test",
        "dimensions": 8,
        "cache": cache,
        "batch_size": 20,
    }


async def run_index(mode, documents, records, store):
    told = {"cleanup": "incremental", "source_id_key": "source", "key_encoder": "blake2b"}
    if mode == "sync":
        return index(documents, records, store, **told)
    return await aindex(documents, records, store, **told)


async def test_langchains_index_goes_on_where_it_was_broken_off(breaking, cache, mode):
    documents = [LangChainDocument(text, metadata={"source": str(at)}) for at, text in enumerate(TEXTS)]
    records = InMemoryRecordManager("here")
    records.create_schema()
    embeddings = BridgeEmbeddings(**options(breaking, cache))
    store = InMemoryVectorStore(embeddings)
    with pytest.raises(AuthenticationError):
        await run_index(mode, documents, records, store)
    assert 0 < len(store.store) < 1000
    breaking.mend()
    done = await run_index(mode, documents, records, store)
    assert done["num_added"] + done["num_skipped"] == 1000
    assert sorted(entry["text"] for entry in store.store.values()) == sorted(TEXTS)
    assert all(len(entry["vector"]) == 8 for entry in store.store.values())
    assert {text: breaking.stats.billed[text] for text in TEXTS} == dict.fromkeys(TEXTS, 1)
    await embeddings.embedder.aclose()


async def test_llama_indexs_pipeline_goes_on_where_it_was_broken_off(breaking, cache, mode):
    documents = [Document(text=text, id_=str(at)) for at, text in enumerate(TEXTS)]
    kept = {"docstore": SimpleDocumentStore(), "vector_store": SimpleVectorStore()}
    model = BridgeEmbedding(**options(breaking, cache))

    async def run():
        pipeline = IngestionPipeline(transformations=[model], **kept)
        return pipeline.run(documents=documents) if mode == "sync" else await pipeline.arun(documents=documents)

    with pytest.raises(AuthenticationError):
        await run()
    breaking.mend()
    nodes = await run()
    assert [node.get_content() for node in nodes] == TEXTS
    assert all(len(node.embedding) == 8 for node in nodes)
    assert len(kept["vector_store"].data.embedding_dict) == 1000
    assert {text: breaking.stats.billed[text] for text in TEXTS} == dict.fromkeys(TEXTS, 1)
    assert await run() == []
    await model.embedder.aclose()
