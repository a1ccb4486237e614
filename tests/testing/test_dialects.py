"""The official clients get from the fault server what they get from the real services."""

import asyncio

import cohere
import httpx
import numpy as np
import ollama
import openai
import pytest
from numpy.testing import assert_allclose

SMALL, LARGE = "text-embedding-3-small", "text-embedding-3-large"


def numbers(vector: object) -> np.ndarray:
    return np.array(vector, np.float32)


class TestOpenAI:
    def test_base64_and_floats_are_the_same_vectors(self, server, client):
        packed = client.embeddings.create(model=SMALL, input=["a", "b"])
        plain = client.embeddings.create(model=SMALL, input=["a", "b"], encoding_format="float")
        for reply in (packed, plain):
            assert_allclose(numbers([entry.embedding for entry in reply.data]), server.vectors(["a", "b"]), atol=1e-7)
        assert [body["encoding_format"] for body in server.requests.bodies] == ["base64", "float"]

    def test_fewer_dimensions_are_a_cut_and_unit_long(self, server, client):
        vector = numbers(client.embeddings.create(model=SMALL, input="a", dimensions=256).data[0].embedding)
        whole = server.vector("a")[:256]
        assert_allclose(vector, whole / np.linalg.norm(whole), atol=1e-6)
        assert_allclose(np.linalg.norm(vector), 1, atol=1e-6)

    def test_token_ids_are_one_text(self, server, client):
        reply = client.embeddings.create(model=LARGE, input=[1, 2, 3])
        assert_allclose(numbers(reply.data[0].embedding), server.vector([1, 2, 3], model=LARGE), atol=1e-7)
        assert reply.usage.prompt_tokens == 3
        assert server.stats.billed == {(1, 2, 3): 1}

    @pytest.mark.parametrize(
        ("texts", "says"),
        [
            (["a", ""], "is invalid"),
            ([], "is invalid"),
            (["x"] * 2049, "2049 items"),
            (["x " * 20_000], "maximum context length is 8192"),
            (["x " * 6_000] * 110, "max 300000 tokens"),
        ],
    )
    def test_what_the_service_refuses_is_a_400_and_free(self, server, client, texts, says):
        with pytest.raises(openai.BadRequestError, match=says):
            client.embeddings.create(model=SMALL, input=texts)
        assert server.stats.statuses == {400: 1}
        assert not server.stats.billed

    @pytest.mark.parametrize(("model", "dimensions"), [(SMALL, 1537), ("text-embedding-ada-002", 256)])
    def test_dimensions_that_a_model_has_not_are_refused(self, client, model, dimensions):
        with pytest.raises(openai.BadRequestError, match="dimensions"):
            client.embeddings.create(model=model, input="a", dimensions=dimensions)

    def test_azure_is_found_by_its_path_and_needs_its_version(self, server):
        azure = {"azure_endpoint": server.url, "api_key": "sk-test", "max_retries": 0}
        with openai.AzureOpenAI(api_version="2024-10-21", azure_deployment="my-small", **azure) as client:
            reply = client.embeddings.create(model="my-small", input="a")
        assert_allclose(numbers(reply.data[0].embedding), server.vector("a", model="my-small"), atol=1e-7)
        (request,) = server.requests.to("/openai/deployments/my-small/embeddings")
        assert request.headers["api-key"] == "sk-test"
        assert request.query == {"api-version": "2024-10-21"}
        reply = httpx.post(f"{server.url}{request.path}", json=request.payload)  # no version
        assert reply.status_code == 404

    def test_many_requests_at_once_are_answered_at_once(self, server):
        async def ask() -> list:
            async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="sk-test", max_retries=0) as client:
                texts = [[f"{i}-{j}" for j in range(20)] for i in range(20)]
                return await asyncio.gather(*(client.embeddings.create(model=SMALL, input=each) for each in texts))

        replies = asyncio.run(ask())
        for i, reply in enumerate(replies):
            assert_allclose(numbers(reply.data[7].embedding), server.vector(f"{i}-7"), atol=1e-7)
        assert server.stats.max_in_flight > 1
        assert server.stats.texts == len(server.stats.billed) == 400


class TestVoyage:
    @pytest.mark.parametrize("path", ["/v1", "/voyage/v1"])
    def test_a_role_is_part_of_the_vector(self, server, path):
        about = {"model": "voyage-3.5", "input_type": "document"}
        reply = httpx.post(f"{server.url}{path}/embeddings", json={"input": ["a"], **about}).json()
        assert_allclose(reply["data"][0]["embedding"], server.vector("a", dialect="voyage", **about), atol=1e-7)
        assert reply["usage"] == {"total_tokens": 1}
        assert server.requests[0].dialect == "voyage"

    def test_errors_are_a_detail(self, server):
        body = {"input": ["a"] * 1001, "model": "voyage-3.5"}
        reply = httpx.post(f"{server.url}/v1/embeddings", json=body)
        assert reply.status_code == 400
        assert "1001" in reply.json()["detail"]

    def test_a_chunk_knows_its_document(self, server):
        documents = [["a", "b"], ["b"]]
        about = {"model": "voyage-context-3", "input_type": "document"}
        body = {"inputs": documents, **about}
        reply = httpx.post(f"{server.url}/voyage/v1/contextualizedembeddings", json=body).json()
        got = [[chunk["embedding"] for chunk in document["data"]] for document in reply["data"]]
        assert [len(chunks) for chunks in got] == [2, 1]
        for chunks, vectors in zip(documents, got, strict=True):
            assert_allclose(vectors, server.vectors(chunks, dialect="voyage", context=chunks, **about), atol=1e-7)
        assert not np.allclose(got[0][1], got[1][0])


class TestCohere:
    @pytest.fixture
    def client(self, server):
        with httpx.Client() as line:
            yield cohere.ClientV2(api_key="sk-test", base_url=server.url, httpx_client=line)

    def test_vectors_depend_on_the_input_type(self, server, client):
        for role in ("search_document", "search_query"):
            reply = client.embed(model="embed-v4.0", texts=["a", "b"], input_type=role, embedding_types=["float"])
            truth = server.vectors(["a", "b"], dialect="cohere", model="embed-v4.0", input_type=role)
            assert_allclose(numbers(reply.embeddings.float_), truth, atol=1e-7)
            assert reply.meta.billed_units.input_tokens == 2

    @pytest.mark.parametrize(("model", "width"), [("embed-v4.0", 1536), ("embed-multilingual-light-v3.0", 384)])
    def test_each_model_has_its_own_width(self, server, client, model, width):
        about = {"model": model, "input_type": "search_query"}
        reply = client.embed(texts=["a"], embedding_types=["float"], **about)
        assert len(reply.embeddings.float_[0]) == len(server.vector("a", dialect="cohere", **about)) == width

    def test_the_first_version_answers_with_bare_lists(self, server):
        about = {"model": "embed-english-v3.0", "input_type": "clustering"}
        reply = httpx.post(f"{server.url}/v1/embed", json={"texts": ["a"], **about}).json()
        assert_allclose(reply["embeddings"], server.vectors(["a"], dialect="cohere", **about), atol=1e-7)

    @pytest.mark.parametrize(
        ("texts", "role", "says"), [(["x"] * 97, "search_query", "at most 96"), (["x"], "document", "input_type")]
    )
    def test_what_the_service_refuses_is_a_400(self, client, texts, role, says):
        with pytest.raises(cohere.BadRequestError, match=says):
            client.embed(model="embed-v4.0", texts=texts, input_type=role, embedding_types=["float"])


class TestOllama:
    def test_texts_are_embedded_in_order(self, server, ollama_client):
        reply = ollama_client.embed("nomic-embed-text", ["a", "b"])
        truth = server.vectors(["a", "b"], dialect="ollama", model="nomic-embed-text")
        assert_allclose(numbers(reply.embeddings), truth, atol=1e-7)

    def test_a_long_text_is_cut_without_a_word(self, server, ollama_client):
        text = "word " * 10_000
        reply = ollama_client.embed("nomic-embed-text", text)
        truth = server.vector(text[: 2048 * 4], dialect="ollama", model="nomic-embed-text")
        assert_allclose(numbers(reply.embeddings[0]), truth, atol=1e-7)
        assert reply.prompt_eval_count == 2048
        assert ollama_client.embed("nomic-embed-text", text, options={"num_ctx": 100}).prompt_eval_count == 100

    def test_a_long_text_is_refused_when_it_may_not_be_cut(self, ollama_client):
        with pytest.raises(ollama.ResponseError, match="exceeds the context length") as caught:
            ollama_client.embed("nomic-embed-text", "word " * 10_000, truncate=False)
        assert caught.value.status_code == 400

    def test_nothing_in_is_nothing_out(self, ollama_client):
        assert ollama_client.embed("nomic-embed-text", []).embeddings == []

    def test_pages_beside_embeddings_are_logged_but_not_counted(self, server, ollama_client):
        assert ollama_client.show("nomic-embed-text").modelinfo["bert.context_length"] == 2048
        assert server.requests.counts == {"/api/show": 1}
        assert server.stats.calls == 0


def test_no_other_path_is_known(server, client):
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="m", messages=[])
    assert server.stats.statuses == {404: 1}
