"""SciFact with real models: published quality, through both frameworks. Its vectors take minutes once, then seconds."""

from __future__ import annotations

import pytest

from embedbridge.langchain import BridgeEmbeddings
from embedbridge.llama_index import BridgeEmbedding
from support.retrieval import VECTORS, asked, judge, retrieve

pytestmark = [pytest.mark.slow, pytest.mark.long]

MINILM = "local:all-MiniLM-L6-v2"


@pytest.mark.usefixtures("minilm_path")
def test_minilm_through_a_langchain_vector_store_reaches_what_is_published(scifact):
    from langchain_core.documents import Document
    from langchain_core.vectorstores import InMemoryVectorStore

    embeddings = BridgeEmbeddings(model=MINILM, cache=VECTORS)
    documents = [Document(text, id=name) for name, text in scifact.documents.items()]
    store = InMemoryVectorStore.from_documents(documents, embeddings)
    ranked = [[found.id for found in store.similarity_search(scifact.queries[name], k=10)] for name in asked(scifact)]
    assert judge(scifact, ranked).mean() == pytest.approx(0.645, abs=0.002)


@pytest.mark.usefixtures("minilm_path")
def test_so_it_does_through_a_llama_index_retriever(scifact):
    from llama_index.core import VectorStoreIndex
    from llama_index.core.schema import TextNode

    embed_model = BridgeEmbedding(model=MINILM, cache=VECTORS)
    nodes = [TextNode(text=text, id_=name) for name, text in scifact.documents.items()]
    retriever = VectorStoreIndex(nodes, embed_model=embed_model).as_retriever(similarity_top_k=10)
    ranked = [[found.node_id for found in retriever.retrieve(scifact.queries[name])] for name in asked(scifact)]
    assert judge(scifact, ranked).mean() == pytest.approx(0.645, abs=0.002)


def test_an_asymmetric_model_reaches_its_quality_with_the_prefixes_that_it_gets_here(scifact, e5_path):
    right = retrieve(scifact, e5_path, document=None, query=None)
    assert right.mean() == pytest.approx(0.6587, abs=0.003)
    by_hand = retrieve(scifact, e5_path, document="passage: ", query="query: ")
    assert by_hand.tolist() == right.tolist()
