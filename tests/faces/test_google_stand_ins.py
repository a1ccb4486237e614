"""The stand-ins for Google's integrations: keywords of one call, titles, Vertex AI, and what travels in a pickle."""

import pickle

import numpy as np
import pytest

from embedbridge import ConfigurationError
from embedbridge.langchain import GoogleGenerativeAIEmbeddings
from embedbridge.llama_index import GoogleGenAIEmbedding

FIRST, SECOND = "gemini-embedding-001", "gemini-embedding-2"
KEY = "AIza-not-a-real-key-0123"


class Token:
    """Credentials that never end, and must stay here."""

    valid = True

    def __init__(self):
        self.secret = "a-token-of-theirs"

    def apply(self, headers):
        headers["authorization"] = f"Bearer {self.secret}"


def langchain(server, model=FIRST, **keywords):
    return GoogleGenerativeAIEmbeddings(
        **{"model": model, "api_key": KEY, "base_url": server.url, "cache": False} | keywords
    )


def test_keywords_of_a_call_are_those_of_the_request(server, caller):
    ours = langchain(server)
    caller.embed_documents(ours, ["a", "b"], titles=["A", "B"], task_type="retrieval_document", batch_size=1)
    caller.embed_documents(ours, ["a"], output_dimensionality=256, batch_size=1)
    caller.embed_query(ours, "q", task_type="question_answering")
    *both, third, fourth = (body["requests"][0] for body in server.requests.bodies)
    assert {(one["title"], one["content"]["parts"][0]["text"]) for one in both} == {("A", "a"), ("B", "b")}
    assert (third["outputDimensionality"], fourth["taskType"]) == (256, "QUESTION_ANSWERING")
    with pytest.raises(ConfigurationError, match="titles: 1 for 2 texts"):
        caller.embed_documents(ours, ["a", "b"], titles=["A"])
    with pytest.raises(ConfigurationError, match="titles of documents alone"):
        caller.embed_query(ours, "q", title="A")
    for title in ("A | text: B", "A\nB", "A" * 1001):
        with pytest.raises(ConfigurationError, match=r"titles\[1\] cannot be told apart"):
            caller.embed_documents(ours, ["a", "b"], titles=["A", title], batch_size=1)
    with pytest.raises(ConfigurationError, match="not of clustering"):
        caller.embed_documents(ours, ["a"], titles=["A"], task_type="clustering")
    with pytest.raises(ConfigurationError, match="two addresses"):
        langchain(server, client_options={"api_endpoint": "https://elsewhere.example"})
    caller.embed_documents(ours, ["title: X | text: a"], titles=[""])
    (sent,) = server.requests.bodies[-1]["requests"]
    assert (sent.get("title"), sent["content"]["parts"]) == (None, [{"text": "title: X | text: a"}])
    bounded = langchain(server, requests_per_minute=1000)
    with pytest.raises(ConfigurationError, match="requests_per_minute would not bound"):
        caller.embed_query(bounded, "q", task_type="clustering")


def titles_sent(server):
    return {one["content"]["parts"][0]["text"][:4]: one.get("title") for one in server.requests.bodies[-1]["requests"]}


def test_a_title_is_sent_where_the_original_sends_it_and_else_is_told_of(server, caller):
    ours, titles = langchain(server), ["A", "B", "C"]
    long = "word " * 5100  # more than the original has room for in a request
    with pytest.warns(UserWarning, match="leaves out the titles of texts that are sent together"):
        caller.embed_documents(ours, ["a", "b", "c"], titles=titles)
    assert titles_sent(server) == {"a": None, "b": None, "c": None}
    with pytest.warns(UserWarning, match="leaves out the titles"):
        caller.embed_documents(ours, ["d", "e", long], titles=titles)
    assert titles_sent(server) == {"d": None, "e": None, "word": "C"}
    caller.embed_documents(ours, ["f", long, "g"], titles=titles)
    assert titles_sent(server) == {"f": "A", "word": "B", "g": "C"}
    caller.embed_documents(langchain(server, document_prefix=None), ["h", "i", "j"], titles=titles)
    assert titles_sent(server) == {"h": "A", "i": "B", "j": "C"}


@pytest.mark.parametrize("framework", ["langchain", "llama-index"])
def test_a_text_that_begins_like_a_title_is_sent_as_it_is(framework, server, caller):
    text = "title: X | text: a"
    if framework == "langchain":
        caller.embed_documents(langchain(server), [text, "b"])
    else:
        ours = GoogleGenAIEmbedding(FIRST, api_key=KEY, http_options={"base_url": server.url}, cache=False)
        caller.call(ours, "get_text_embedding_batch", [text, "b"])
    (body,) = server.requests.bodies
    assert [(one.get("title"), one["content"]["parts"][0]["text"]) for one in body["requests"]] == [
        (None, text),
        (None, "b"),
    ]


def test_the_second_model_gets_what_the_original_sends_it_with_a_warning(server, caller):
    with pytest.warns(UserWarning, match="does not send that; nor does its stand-in"):
        ours = langchain(server, SECOND)
    vector = caller.embed_query(ours, "q")
    assert vector == pytest.approx(server.vector("q", dialect="gemini", model=SECOND))
    right = langchain(server, SECOND, query_prefix=None, document_prefix=None)
    vector = caller.embed_query(right, "q")
    prefixed = "task: search result | query: q"
    assert vector == pytest.approx(server.vector(prefixed, dialect="gemini", model=SECOND))


def test_titles_stand_before_texts_of_the_second_model_where_its_own_prefixes_are_sent(server, caller):
    with pytest.warns(UserWarning, match="with document_prefix=None they are put there"):
        caller.embed_documents(langchain(server, SECOND, query_prefix=None, document_prefix=""), ["a"], titles=["A"])
    caller.embed_documents(langchain(server, SECOND, query_prefix=None, document_prefix=None), ["a"], titles=["A"])
    assert server.requests.items == [["a"], ["title: A | text: a"]]


def test_narrowed_vectors_are_as_the_original_gives_them_unless_unit_length_is_asked_for(server, caller):
    raw = caller.embed_query(langchain(server, output_dimensionality=256), "q")
    unit = caller.embed_query(langchain(server, output_dimensionality=256, normalize=True), "q")
    assert np.linalg.norm(raw) == pytest.approx(0.5, rel=1e-5)
    assert np.linalg.norm(unit) == pytest.approx(1.0, rel=1e-5)


@pytest.mark.parametrize("framework", ["langchain", "llama-index"])
def test_credentials_mean_vertex_ai_and_stay_in_the_process(server, framework):
    place = {"project": "p", "location": "us", "credentials": Token()}
    if framework == "langchain":
        ours = langchain(server, api_key=None, **place)
        ours.embed_query("q")
    else:
        http = {"base_url": server.url, "headers": {"x-secret": "a-token-of-theirs"}}
        ours = GoogleGenAIEmbedding(FIRST, vertexai_config=place, http_options=http, cache=False)
        ours.get_query_embedding("q")
    (request,) = server.requests
    assert request.path == f"/v1beta1/projects/p/locations/us/publishers/google/models/{FIRST}:predict"
    assert request.headers["authorization"] == "Bearer a-token-of-theirs"
    told = f"{ours!r} {ours.model_dump_json()}"
    assert "a-token-of-theirs" not in told
    if framework == "langchain":
        assert b"a-token-of-theirs" not in pickle.dumps(ours)
    else:
        with pytest.raises(ConfigurationError, match="x-secret"):
            pickle.dumps(ours)


def test_llama_indexs_configurations_are_objects_or_dictionaries(server):
    types = pytest.importorskip("google.genai.types")
    for config, http in (
        ({"output_dimensionality": 256}, {"base_url": server.url}),
        (types.EmbedContentConfig(output_dimensionality=256), types.HttpOptions(base_url=server.url)),
    ):
        ours = GoogleGenAIEmbedding(FIRST, api_key=KEY, embedding_config=config, http_options=http, cache=False)
        assert len(ours.get_text_embedding("a")) == 256
        again = GoogleGenAIEmbedding.from_dict(ours.to_dict(), api_key=KEY, http_options=http, cache=False)
        assert again.embedder.space == ours.embedder.space
    with pytest.raises(ConfigurationError, match="embedding_config: title is not accepted"):
        GoogleGenAIEmbedding(FIRST, api_key=KEY, embedding_config={"title": "one for all"})
