"""A chain and a query engine over a real model, before the swap and after it: alike, and no question is paid twice."""

from __future__ import annotations

import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.language_models import SimpleChatModel
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnablePassthrough
from langchain_core.vectorstores import InMemoryVectorStore
from llama_index.core import MockEmbedding, VectorStoreIndex
from llama_index.core.llms import MockLLM
from llama_index.core.schema import TextNode

from embedbridge.langchain import BridgeEmbeddings
from embedbridge.llama_index import BridgeEmbedding

FACTS = [
    "Ravens plan ahead and hide food for later days.",
    "Rye needs cold winters to flower in spring.",
    "The Danube flows into the Black Sea.",
    "A fugue begins with its subject alone.",
]
QUESTIONS = {"Which birds think about tomorrow?": FACTS[0], "Where does the river end?": FACTS[2]}


class Echo(SimpleChatModel):
    """Answers with what it is asked."""

    @property
    def _llm_type(self):
        return "echo"

    def _call(self, messages, **_):
        return messages[-1].content


class Before(Embeddings):
    """As langchain-huggingface does it."""

    def __init__(self, model):
        self.model = model

    def embed_documents(self, texts):
        return self.model.encode(texts).tolist()

    def embed_query(self, text):
        return self.model.encode([text])[0].tolist()


class BeforeIndex(MockEmbedding):
    """As llama-index-embeddings-huggingface does it."""

    model: object

    def _get_query_embedding(self, query):
        return self.model.encode([query], normalize_embeddings=True)[0].tolist()

    def _get_text_embedding(self, text):
        return self._get_query_embedding(text)


@pytest.fixture(scope="module")
def encoder(minilm_path):
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(minilm_path), device="cpu")


def chain(embeddings):
    store = InMemoryVectorStore.from_documents([Document(fact) for fact in FACTS], embeddings)
    retriever = store.as_retriever(search_kwargs={"k": 1})
    prompt = ChatPromptTemplate.from_template("{context}\n\n{question}")
    context = retriever | (lambda found: "\n".join(document.page_content for document in found))
    return {"context": context, "question": RunnablePassthrough()} | prompt | Echo() | StrOutputParser()


async def test_a_rag_chain_answers_alike_before_and_after_the_swap(encoder, minilm_path, cache):
    after = BridgeEmbeddings(model=f"local:{minilm_path}", cache=cache)
    old, new = chain(Before(encoder)), chain(after)
    for question, fact in QUESTIONS.items():
        assert new.invoke(question) == old.invoke(question) == f"{fact}\n\n{question}"
    asked = after.embedder.usage.requests
    for question in QUESTIONS:
        assert await new.ainvoke(question) == new.invoke(question) == "".join(new.stream(question))
    assert after.embedder.usage.requests == asked


async def test_a_query_engine_answers_alike_before_and_after_the_swap(encoder, minilm_path, cache):
    def engine(model):
        index = VectorStoreIndex([TextNode(text=fact) for fact in FACTS], embed_model=model)
        return index.as_query_engine(llm=MockLLM(), similarity_top_k=1)

    after = BridgeEmbedding(model=f"local:{minilm_path}", cache=cache)
    old, new = engine(BeforeIndex(embed_dim=384, model=encoder)), engine(after)
    for question, fact in QUESTIONS.items():
        answer = new.query(question)
        assert str(answer) == str(old.query(question))
        assert [node.text for node in answer.source_nodes] == [fact]
    asked = after.embedder.usage.requests
    for question in QUESTIONS:
        assert str(await new.aquery(question)) == str(new.query(question))
    assert after.embedder.usage.requests == asked


def test_a_store_that_probes_the_width_at_every_start_pays_once(server, cache):
    for _ in range(3):  # as after restarts of an app
        options = {"base_url": f"{server.url}/v1", "api_key": "sk-test", "cache": cache}
        embeddings = BridgeEmbeddings(model="openai:text-embedding-3-small", **options)
        assert len(embeddings.embed_query("test")) == 1536
        embeddings.embedder.close()
    assert len(server.requests) == 1
