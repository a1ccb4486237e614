"""Gemini: one vector for each text, roles as the model reads them, titles, and what the API does not tell."""

import base64
import json

import numpy as np
import pytest

from embedbridge import AuthenticationError, ConfigurationError, Embedder, InputTooLongError, QuotaExceededError
from embedbridge.testing import FaultServer

pytestmark = pytest.mark.one_flow

KEY = "AIza-not-a-real-key-0123"
FIRST, SECOND = "gemini-embedding-001", "gemini-embedding-2"
TASKS = {
    "query": "RETRIEVAL_QUERY",
    "document": "RETRIEVAL_DOCUMENT",
    "classification": "CLASSIFICATION",
    "clustering": "CLUSTERING",
}
PREFIXES = {
    "query": "task: search result | query: ",
    "document": "title: none | text: ",
    "classification": "task: classification | query: ",
    "clustering": "task: clustering | query: ",
}


def gemini(server, model=FIRST, **options):
    return Embedder(f"gemini:{model}", **{"base_url": server.url, "api_key": KEY, "cache": False} | options)


def truth(server, *texts, model=FIRST, role="", dims=None):
    return server.vectors(texts, dialect="gemini", model=model, input_type=role, dims=dims)


def sent(server):
    return [entry for body in server.requests.bodies for entry in body["requests"]]


def test_a_request_says_what_the_api_needs_and_nothing_else(caller, server):
    vectors = caller.embed_documents(gemini(server), ["a", "b"])
    (request,) = server.requests
    assert request.path == f"/v1beta/models/{FIRST}:batchEmbedContents"
    assert request.headers["x-goog-api-key"] == KEY
    assert request.payload == {
        "requests": [
            {
                "model": f"models/{FIRST}",
                "content": {"parts": [{"text": text}], "role": "user"},
                "taskType": "RETRIEVAL_DOCUMENT",
            }
            for text in ("a", "b")
        ]
    }
    np.testing.assert_array_equal(vectors, truth(server, "a", "b", role="RETRIEVAL_DOCUMENT"))


def test_the_first_model_is_told_roles_by_task_types_and_the_second_by_prefixes(caller, server):
    for role, task in TASKS.items():
        vectors = caller.embed(gemini(server), ["a"], input_type=role).vectors
        np.testing.assert_array_equal(vectors, truth(server, "a", role=task))
        vectors = caller.embed(gemini(server, SECOND), ["a"], input_type=role).vectors
        np.testing.assert_array_equal(vectors, truth(server, PREFIXES[role] + "a", model=SECOND))
    assert [entry.get("taskType") for entry in sent(server)] == [
        found for task in TASKS.values() for found in (task, None)
    ]


def test_a_hundred_texts_travel_together_and_each_has_a_vector_of_its_own(caller, server):
    texts = [f"text {i}" for i in range(101)]
    vectors = caller.embed_documents(gemini(server, SECOND), texts)
    assert [len(body["requests"]) for body in server.requests.bodies] in ([100, 1], [51, 50], [1, 100], [50, 51])
    np.testing.assert_array_equal(
        vectors, truth(server, *(PREFIXES["document"] + text for text in texts), model=SECOND)
    )


def test_a_title_is_written_before_its_text_and_read_by_both_models(caller, server):
    text = "title: Moby Dick | text: Call me Ishmael."
    for model, role in ((FIRST, "RETRIEVAL_DOCUMENT"), (SECOND, "")):
        vectors = caller.embed_documents(gemini(server, model), [text])
        np.testing.assert_array_equal(vectors, truth(server, text, model=model, role=role))
    first, second = sent(server)
    assert (first["title"], first["content"]["parts"]) == ("Moby Dick", [{"text": "Call me Ishmael."}])
    assert second["content"]["parts"] == [{"text": text}]


@pytest.mark.parametrize(
    "text", ["title: | text: a", "title: a\nb | text: c", "title: a | text: ", "title: a, text: b"]
)
def test_what_only_looks_like_a_title_is_text(caller, server, text):
    for model in (FIRST, SECOND):
        caller.embed_documents(gemini(server, model), [text])
    first, second = sent(server)
    assert ("title" in first, first["content"]["parts"]) == (False, [{"text": text}])
    assert second["content"]["parts"] == [{"text": PREFIXES["document"] + text}]


def test_each_piece_of_a_long_text_has_its_title(caller, server):
    title, body = "title: Moby Dick | text: ", "Call me Ishmael. " * 2000
    for model in (FIRST, SECOND):
        server.reset()
        caller.embed_documents(gemini(server, model, too_long="mean"), [title + body * 2, "Rye needs cold winters."])
        pieces = [text for text in server.stats.billed if "Ishmael" in text]
        assert len(pieces) > 1
        assert all(text.startswith(title) for text in pieces)
        assert "".join(sorted(text.removeprefix(title) for text in pieces)).count("Ishmael") >= 3900


def test_a_query_has_no_title(caller, server):
    caller.embed_query(gemini(server), "title: a | text: b")
    (entry,) = sent(server)
    assert ("title" in entry, entry["content"]["parts"]) == (False, [{"text": "title: a | text: b"}])


def test_other_task_types_and_tasks_can_be_had(caller, server):
    own = {"task_types": {"query": "CODE_RETRIEVAL_QUERY"}}
    coder = gemini(server, provider_options=own)
    caller.embed_query(coder, "sort a list")
    caller.embed_documents(coder, ["sorted(items)"])
    caller.embed_query(gemini(server, SECOND, provider_options={"task": "code retrieval"}), "sort a list")
    caller.embed_query(
        gemini(server, "another", query_prefix="q: ", provider_options={"task_types": {}}), "sort a list"
    )
    query, document, prefixed, unknown = sent(server)
    assert (query["taskType"], document["taskType"]) == ("CODE_RETRIEVAL_QUERY", "RETRIEVAL_DOCUMENT")
    assert prefixed["content"]["parts"] == [{"text": "task: code retrieval | query: sort a list"}]
    assert ("taskType" in unknown, unknown["content"]["parts"]) == (False, [{"text": "q: sort a list"}])
    assert coder.space != gemini(server).space
    with pytest.raises(ConfigurationError, match="ignores task types"):
        gemini(server, SECOND, provider_options=own)


def test_of_a_model_that_nobody_has_described_it_is_said_how_roles_are_sent(server):
    described = gemini(server, "gemini-embedding-9").describe()
    assert "roles are sent as task types, which some models ignore" in str(described)


def test_narrowed_vectors_have_unit_length_unless_they_are_wanted_as_they_come(caller, server):
    usual = caller.embed_documents(gemini(server, dimensions=256), ["a"])
    np.testing.assert_allclose(usual, truth(server, "a", role="RETRIEVAL_DOCUMENT", dims=256), rtol=1e-6)
    raw = caller.embed_documents(gemini(server, dimensions=256, normalize=False), ["a"])
    np.testing.assert_allclose(np.linalg.norm(raw), 0.5, rtol=1e-6)
    assert [entry["outputDimensionality"] for entry in sent(server)] == [256, 256]
    with pytest.raises(ConfigurationError, match="it can be cut to 128 … 3072"):
        gemini(server, dimensions=64)


def test_narrowed_vectors_are_cut_from_whole_ones_that_are_there(caller, server):
    whole, narrow = gemini(server, cache="memory"), None
    vectors = caller.embed_documents(whole, ["a"])
    narrow = gemini(server, cache=whole._parts.cache, dimensions=256)
    found = caller.embed_documents(narrow, ["a"])
    np.testing.assert_allclose(found[0], vectors[0, :256] / np.linalg.norm(vectors[0, :256]), rtol=1e-6)
    assert server.stats.calls == 1


def test_what_the_api_cuts_without_a_word_is_told_or_prevented(caller, server):
    texts = ["short", "word " * 1700, "word " * 4000]  # 2125 and 5000 tokens at four bytes each
    report = caller.embed(gemini(server), texts).report
    assert [(cut.index, cut.kept) for cut in report.cut] == [(1, -1), (2, 2048)]
    with pytest.raises(InputTooLongError) as caught:
        caller.embed(gemini(server, too_long="error"), texts)
    assert (caught.value.index, caught.value.limit) == (1, 2048)
    server.reset()
    caller.embed(gemini(server, too_long="mean"), texts)
    assert all(len(text) <= 4 * 2048 for text in server.stats.billed)


def test_tokens_are_those_that_the_answer_tells_where_it_does(caller, server):
    told = {"embeddings": [{"values": [0.6, 0.8]}], "usageMetadata": {"promptTokenCount": 7}}
    spec = "body:json=" + base64.urlsafe_b64encode(json.dumps(told).encode()).decode().rstrip("=")
    server.script(spec + "=" * (-len(spec.partition("json=")[2]) % 4))
    report = caller.embed(gemini(server, "a-narrow-model"), ["a"]).report
    assert (report.tokens, report.tokens_from) == (7, "provider")
    report = caller.embed(gemini(server), ["a"]).report
    assert report.tokens_from == "estimate"


def test_refusals_mean_what_google_means_by_them(caller):
    with FaultServer(api_keys=["another"]) as server, pytest.raises(AuthenticationError, match="API key not valid"):
        caller.embed_query(gemini(server), "a")
    with FaultServer() as server:
        server.script("quota")
        with pytest.raises(QuotaExceededError):
            caller.embed_query(gemini(server), "a")
        assert server.stats.calls == 1
        server.script("429:retry-after=0.3", "ok")
        report = caller.embed(gemini(server), ["a"]).report
        assert (report.requests, server.stats.billed["a"]) == (2, 1)
        assert report.waited >= 0.3
        server.script("404:message=models/a-model is not found for API version v1beta, or is not supported")
        with pytest.raises(ConfigurationError, match="model"):
            caller.embed_query(gemini(server, "a-model"), "a")


def test_the_key_is_the_one_that_googles_own_sdk_would_take(server, monkeypatch):
    with pytest.raises(ConfigurationError, match="set the environment variable GOOGLE_API_KEY or GEMINI_API_KEY"):
        gemini(server, api_key=None)
    monkeypatch.setenv("GEMINI_API_KEY", "gemini-key")
    assert key_of(gemini(server, api_key=None)) == "gemini-key"
    monkeypatch.setenv("GOOGLE_API_KEY", "google-key")
    with pytest.warns(UserWarning, match="GOOGLE_API_KEY and GEMINI_API_KEY are both set and differ"):
        assert key_of(gemini(server, api_key=None)) == "google-key"
    assert key_of(gemini(server)) == KEY


def key_of(embedder):
    return embedder._parts.provider.secret()


def test_the_address_is_what_googles_own_sdk_would_take(caller, server, monkeypatch):
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", server.url)
    embedders = [gemini(server, base_url=url) for url in (None, f"{server.url}/", f"{server.url}/v1beta")]
    for embedder in embedders:
        caller.embed_query(embedder, "a")
    caller.embed_query(gemini(server, base_url=f"{server.url}/v1"), "a")
    assert [request.path.split("/")[1] for request in server.requests] == ["v1beta", "v1beta", "v1beta", "v1"]
    assert len({embedder.space.fingerprint for embedder in embedders}) == 1
    official = "https://generativelanguage.googleapis.com"
    monkeypatch.delenv("GOOGLE_GEMINI_BASE_URL")
    assert gemini(server, base_url=f"{official}/v1beta/").space == gemini(server, base_url=None).space
    with pytest.raises(ConfigurationError, match="speaks OpenAI's API"):
        gemini(server, base_url=f"{official}/v1beta/openai/")


def test_a_model_has_one_space_under_both_of_its_names_and_none_that_is_no_name(server):
    assert gemini(server, f"models/{FIRST}").space == gemini(server).space
    for name in ("models/", "a?key=b", "../a"):
        with pytest.raises(ConfigurationError, match="cannot be a model"):
            gemini(server, name)


def test_a_gateways_headers_travel(caller, server):
    own = {"default_headers": {"X-Team": "search"}, "routing_headers": ["x-team"]}
    caller.embed_query(gemini(server, provider_options=own), "a")
    assert server.requests[0].headers["x-team"] == "search"
    with pytest.raises(ConfigurationError, match="x-goog-api-key"):
        gemini(server, provider_options={"default_headers": {"x-goog-api-key": "another"}})


@pytest.mark.parametrize("model", [f"gemini:{FIRST}", f"gemini:{SECOND}", f"vertex:{FIRST}", f"vertex:{SECOND}"])
def test_both_frameworks_give_the_same_numbers(server, model):
    embedder = Embedder(model, base_url=server.url, api_key=KEY, cache=False)
    langchain, llama_index = embedder.as_langchain(), embedder.as_llama_index()
    texts = ["a", "title: B | text: b"]
    assert langchain.embed_documents(texts) == llama_index.get_text_embedding_batch(texts)
    assert langchain.embed_query("q") == llama_index.get_query_embedding("q")


def test_on_openais_path_too_titles_are_read_and_narrowed_vectors_have_unit_length(caller):
    with FaultServer(width=3072) as server:

        def embedder(model, **options):
            return Embedder(f"openai:{model}", base_url=f"{server.url}/v1", api_key=KEY, cache=False, **options)

        caller.embed_documents(embedder(SECOND), ["title: A | text: a", "b"])
        assert server.requests.bodies[0]["input"] == ["title: A | text: a", "title: none | text: b"]
        assert embedder(FIRST, dimensions=256).describe().normalized
        assert not embedder(FIRST, dimensions=256, normalize=False).describe().normalized
