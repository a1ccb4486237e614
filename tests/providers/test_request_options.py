"""What a user changes of a request: fields, roles by fields, the query, one string; and what is refused there (W5)."""

import re

import numpy as np
import pytest
from pydantic import SecretStr

from embedbridge import ConfigurationError, Embedder
from embedbridge.cache import MemoryCache
from support.cases import each

pytestmark = pytest.mark.one_flow

KEY = "sk-not-a-real-key"
TEXTS = ["one text", "another text"]
ROLES = {"query": {"input_type": "query"}, "document": {"input_type": "passage"}}
PATHS = {"openai": "/v1", "azure": "", "voyage": "/voyage/v1"}
MODELS = {"openai": "some-model", "azure": "text-embedding-3-small", "voyage": "voyage-3.5"}
APIS = list(PATHS)


def made(server, api="openai", model=None, *, options=None, **more):
    own = (options or {}) | ({"api_version": "2024-10-21"} if api == "azure" else {})
    usual = {"base_url": server.url + PATHS[api], "api_key": KEY, "cache": False, "provider_options": own}
    return Embedder(f"{api}:{model or MODELS[api]}", **usual | more)


def sent(server):
    """The one request's fields."""
    (body,) = server.requests.bodies
    return body


# What is sent.


@pytest.mark.parametrize("api", APIS)
def test_w5_body_is_in_every_request_as_it_was_given(api, caller, server):
    """W5: fields of one's own."""
    body = {"truncate": "END", "late": True, "nested": {"list": [1, 2.5, None, "ü"]}}
    report = caller.embed(made(server, api, options={"body": body}), TEXTS).report
    assert {name: sent(server)[name] for name in body} == body
    assert (report.requests, server.stats.served, report.tokens) == (1, 1, server.stats.tokens)


@pytest.mark.parametrize("api", APIS)
def test_w5_role_body_is_the_role(api, caller, server):
    """W5: a field that follows the role, and no prefix or other type beside it."""
    roles = {"query": {"task": "search"}, "document": {"task": "index"}}
    embedder = made(server, api, options={"role_body": roles})
    caller.embed_query(embedder, "q")
    caller.embed_documents(embedder, ["d"])
    query, document = server.requests.bodies
    assert (query["task"], document["task"]) == ("search", "index")
    assert "input_type" not in query
    assert (query["input"], document["input"]) == (["q"], ["d"])


def test_w5_a_role_field_replaces_the_cards_prefix_and_a_role_that_is_not_named_has_neither(caller, server):
    server.on(lambda _: True, "dims:n=384")
    embedder = made(server, model="intfloat/e5-small-v2", options={"role_body": {"query": {"task": "retrieval.query"}}})
    for role in ("query", "document", "clustering"):
        caller.embed(embedder, ["text"], input_type=role)
    query, *others = server.requests.bodies
    assert (query["task"], query["input"]) == ("retrieval.query", ["text"])
    assert [("task" in body, body["input"]) for body in others] == [(False, ["text"])] * 2


def test_w5_voyage_sends_the_fields_of_a_role_in_place_of_its_own_type(caller, server):
    embedder = made(server, "voyage", options={"role_body": {"query": {"input_type": None}}})
    caller.embed_query(embedder, "q")
    caller.embed_documents(embedder, ["d"])
    assert [body["input_type"] for body in server.requests.bodies] == [None, "document"]


def test_w5_role_fields_stand_over_those_of_every_request(caller, server):
    options = {"body": {"task": "text-matching"}, "role_body": {"query": {"task": "retrieval.query"}}}
    embedder = made(server, options=options)
    caller.embed_query(embedder, "q")
    caller.embed_documents(embedder, ["d"])
    assert [body["task"] for body in server.requests.bodies] == ["retrieval.query", "text-matching"]


@pytest.mark.parametrize(
    ("api", "usual"), [("openai", "dimensions"), ("azure", "dimensions"), ("voyage", "output_dimension")]
)
def test_w5_narrower_vectors_are_asked_for_by_another_name(api, usual, caller, server):
    server.on(lambda _: True, "dims:n=256")
    caller.embed_documents(made(server, api, options={"dimensions_field": "size"}, dimensions=256), TEXTS)
    assert sent(server)["size"] == 256
    assert usual not in sent(server)


def test_w5_a_field_for_dimensions_says_that_the_server_narrows_a_model_that_would_be_cut_here(caller, server):
    server.on(lambda _: True, "dims:n=256")
    options = {"dimensions_field": "size"}
    caller.embed_documents(made(server, model="Qwen/Qwen3-Embedding-0.6B", options=options, dimensions=256), TEXTS)
    assert sent(server)["size"] == 256


@pytest.mark.parametrize("api", APIS)
def test_w5_encoding_format_can_be_left_out(api, caller, server):
    vectors = caller.embed_documents(made(server, api, options={"encoding_format": None}), TEXTS)
    assert "encoding_format" not in sent(server)
    assert vectors.dtype == np.float32


@pytest.mark.parametrize("api", APIS)
def test_w5_query_is_in_every_address(api, caller, server):
    caller.embed_documents(made(server, api, options={"query": {"version": 2, "beta": True, "x": "a b&c"}}), TEXTS)
    (request,) = server.requests
    own = {"api-version": "2024-10-21"} if api == "azure" else {}
    assert request.query == {"version": "2", "beta": "true", "x": "a b&c"} | own


@pytest.mark.parametrize("api", APIS)
def test_w5_single_sends_one_string_per_request(api, caller, server):
    embedder = made(server, api, options={"single": True})
    vectors = caller.embed_documents(embedder, ["c", "a", "b"])
    assert sorted(body["input"] for body in server.requests.bodies) == ["a", "b", "c"]
    role = "document" if api == "voyage" else ""
    expected = server.vectors(["c", "a", "b"], dialect=server.requests[0].dialect, model=MODELS[api], input_type=role)
    np.testing.assert_array_equal(vectors, expected)
    assert dict(server.stats.billed) == {"a": 1, "b": 1, "c": 1}


def test_w5_request_items_holds_for_voyage_too(caller, server):
    caller.embed_documents(made(server, "voyage", options={"request_items": 2}), ["a", "b", "c"])
    assert sorted(map(len, server.requests.items)) == [1, 2]


# Identity.


VARIANTS = [
    {"body": {"normalized": True}},
    {"body": {"normalized": False}},
    {"role_body": ROLES},
    {"role_body": {"document": {"input_type": "document"}}},
    {"query": {"version": "2"}},
    {"encoding_format": None},
    {"single": True},
    {"dimensions_field": "size"},
]


def test_w5_whatever_changes_a_request_has_cache_entries_and_a_space_of_its_own(caller, server):
    """W5: all of it in the identity."""
    server.on(lambda request: "dimensions" not in request.payload, "dims:n=256")
    cache = MemoryCache()
    embedders = [made(server, options=options, dimensions=256, cache=cache) for options in [{}, *VARIANTS]]
    for embedder in embedders:
        caller.embed_documents(embedder, TEXTS)
    assert server.stats.served == len(embedders) + 1  # `single` asks twice
    assert len({embedder.space.fingerprint for embedder in embedders}) == len(embedders)
    again = [made(server, options=options, dimensions=256, cache=cache) for options in [{}, *VARIANTS]]
    assert all(caller.embed(embedder, TEXTS).report.hits == 2 for embedder in again)
    assert server.stats.served == len(embedders) + 1


def test_w5_the_order_of_fields_is_no_other_identity(server):
    first, second = ({"body": dict(pairs)} for pairs in ([("a", 1), ("b", 2)], [("b", 2), ("a", 1)]))
    assert made(server, options=first).space == made(server, options=second).space


def test_w5_roles_with_equal_fields_share_entries_and_others_do_not(caller, server):
    same = {"query": {"t": 1}, "document": {"t": 1}, "clustering": {"t": 2}}
    embedder = made(server, options={"role_body": same}, cache=MemoryCache())
    for role in ("document", "query", "clustering"):
        caller.embed(embedder, ["text"], input_type=role)
    assert [body["t"] for body in server.requests.bodies] == [1, 2]


def test_w5_a_field_that_is_changed_afterwards_changes_no_request(caller, server):
    body = {"list": [1]}
    embedder = made(server, options={"body": body})
    before = embedder.space
    body["list"].append(2)
    caller.embed_documents(embedder, TEXTS)
    assert (sent(server)["list"], embedder.space) == ([1], before)


def test_w5_narrower_vectors_are_still_cut_from_whole_ones_of_the_same_request(caller, server):
    cache, options = MemoryCache(), {"body": {"x": 1}}
    caller.embed_documents(made(server, model="text-embedding-3-small", options=options, cache=cache), TEXTS)
    narrow = made(server, model="text-embedding-3-small", options=options, dimensions=256, cache=cache)
    assert caller.embed(narrow, TEXTS).report.hits == 2
    other = made(server, model="text-embedding-3-small", dimensions=256, cache=cache)
    assert caller.embed(other, TEXTS).report.hits == 0


# What is refused, at construction.


@each("api", APIS)
@each(
    ("options", "told"),
    [
        ({"body": {"model": "x"}}, "body: 'model' is not set here; use the model's name after"),
        ({"body": {"input": []}}, "body: 'input' is not set here"),
        ({"body": {"encoding_format": "float"}}, "body: 'encoding_format' is not set here; use provider_options"),
        ({"body": {"size": 3}, "dimensions_field": "size"}, "body: 'size' is not set here; use dimensions="),
        ({"role_body": {"query": {"model": "x"}}}, "role_body.query: 'model' is not set here"),
        ({"role_body": {"question": {}}}, "role_body.question"),
        ({"role_body": {"query": 3}}, "role_body.query: it is a dict of fields"),
        ({"body": 3}, "body: it is a dict of fields"),
        ({"body": {"a": {"b": [1, {1}]}}}, r"a.b\[1\] is a set that JSON cannot carry"),
        ({"body": {"a": float("nan")}}, "a is a float that JSON cannot carry"),
        ({"body": {"a": "\ud800"}}, "a is a str that JSON cannot carry"),
        ({"body": {"a": {1: 2}}}, "a is a dict that JSON cannot carry"),
        ({"body": {"a": SecretStr("hidden")}}, r"body: 'a' is a credential .* pass it as api_key="),
        ({"query": {"a": [1]}}, "query: a is text or a number, and a list is neither"),
        ({"query": {"a": None}}, "query: a is text or a number"),
        ({"dimensions_field": "input"}, "dimensions_field: 'input' is another field already"),
        ({"dimensions_field": ""}, "dimensions_field"),
        ({"single": True, "request_items": 2}, "single sends one text per request"),
        ({"encoding_format": "binary"}, "encoding_format"),
    ],
)
def test_w5_what_cannot_be_sent_or_has_an_option_of_its_own_is_refused_by_name(api, options, told, server):
    with pytest.raises(ConfigurationError, match=told) as caught:
        made(server, api, options=options)
    assert "hidden" not in str(caught.value)
    assert not server.requests


def test_w5_what_only_one_api_has_as_an_option_is_refused_there(server):
    for api, name in [("openai", "user"), ("openai", "dimensions"), ("voyage", "truncation"), ("voyage", "input_type")]:
        with pytest.raises(ConfigurationError, match=f"body: '{name}' is not set here"):
            made(server, api, options={"body": {name: 1}})
    with pytest.raises(ConfigurationError, match=r"query: 'api-version' has an option of its own; use .*'api_version'"):
        made(server, "azure", options={"query": {"api-version": "1"}})


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({"body": {"auth": {"keys": [KEY]}}}, "body: 'auth.keys[0]'"),
        ({"role_body": {"query": {"k": f"Bearer {KEY}"}}}, "role_body.query: 'k'"),
        ({"query": {"key": KEY}}, "query: 'key'"),
    ],
)
def test_w5_the_key_is_refused_wherever_it_would_be_stored(api, options, where, server):
    with pytest.raises(ConfigurationError, match=re.escape(where)) as caught:
        made(server, api, options=options)
    assert KEY not in str(caught.value)


NAMES = (
    *("api_key", "API-Key", "apikey", "key", "Authorization", "token", "access_token", "bearer-token", "password"),
    *("passwd", "secret", "client_secret", "subscription-key", "Ocp-Apim-Subscription-Key", "sig", "signature"),
    *("credentials", "vertex_credentials", "aws_secret_access_key"),
)


@pytest.mark.parametrize("api", APIS)
def test_w5_what_is_named_like_a_credential_or_looks_like_one_is_refused_with_where_it_goes(api, server):
    """W5: it would be stored and shown; and not even the error shows it."""
    bad = [{name: "hidden"} for name in NAMES]
    bad += [{"auth": [{"inner": part}]} for part in ("Bearer hidden", "basic hidden", SecretStr("hidden"))]
    found = [{"body": each} for each in bad] + [{"body": {"deep": [{"deeper": each}]}} for each in bad[-4:]]
    found += [{"role_body": {"query": each}} for each in bad[-4:]] + [{"query": bad[0]}]
    found += [{"query": {"code": "hidden"}}, {"query": {"q": "Bearer hidden"}}]
    for options in found:
        with pytest.raises(ConfigurationError, match=r"is a credential .* pass it as api_key=") as caught:
            made(server, api, options=options)
        assert "hidden" not in f"{caught.value!r}{caught.value.__cause__!r}{caught.value.__context__!r}"
        assert ("default_headers" in str(caught.value)) == (api != "voyage")
    assert not server.requests


def test_w5_a_credential_among_the_options_of_ollama_is_refused_too():
    with pytest.raises(ConfigurationError, match=r"options: 'a.token' .* provider_options={'headers'"):
        Embedder("ollama:m", cache=False, provider_options={"options": {"a": {"token": "hidden"}}})


def test_w5_names_that_only_resemble_a_credentials_are_fields(caller, server):
    """W5: no part of a name is judged; and `code` is one in a query alone."""
    body = {"max_tokens": 5, "keys": ["a"], "code": "x", "key_phrase": "b", "token_type": "c", "secret_santa": False}
    caller.embed(made(server, options={"body": body}), TEXTS)
    assert {name: sent(server)[name] for name in body} == body


@pytest.mark.parametrize("api", ["openai", "voyage"])
def test_w5_a_prefix_beside_a_roles_fields_is_refused(api, server):
    with pytest.raises(ConfigurationError, match="query_prefix"):
        made(server, api, options={"role_body": {"query": {"input_type": "query"}}}, query_prefix="Question: ")


def test_w5_a_prefix_of_a_role_that_is_not_named_is_sent(caller, server):
    embedder = made(server, options={"role_body": {"query": {"t": 1}}}, document_prefix="passage: ", query_prefix="")
    caller.embed_documents(embedder, ["d"])
    assert sent(server)["input"] == ["passage: d"]


def test_w5_a_task_beside_a_roles_fields_is_refused(server):
    options = {"role_body": {"query": {"t": 1}}, "task": "Find the law that applies"}
    with pytest.raises(ConfigurationError, match="task would say it twice"):
        made(server, model="Qwen/Qwen3-Embedding-0.6B", options=options)


# What is shown.


def test_w5_the_description_shows_the_fields_of_each_role(server):
    page = str(made(server, options={"role_body": ROLES}).describe())
    assert re.search(r'query +text, with \{"input_type":"query"\} +your option', page)
    assert re.search(r"clustering +text +your option", page)


def test_an_address_with_a_query_is_told_where_it_belongs(server):
    with pytest.raises(ConfigurationError, match=r"provider_options=\{'query'"):
        made(server, base_url=f"{server.url}/v1?api-version=1")


# A real engine.


def test_w5_a_field_of_the_body_does_at_llama_cpp_what_its_documentation_says(caller, llama_server):
    """`embd_normalize` is llama.cpp's own: -1 leaves vectors as the model gives them."""
    cache, place = MemoryCache(), f"openai:{llama_server.model}"
    options = {"body": {"embd_normalize": -1}, "single": True, "encoding_format": None}
    usual = Embedder(place, base_url=llama_server.base_url, cache=cache)
    plain = Embedder(place, base_url=llama_server.base_url, cache=cache, provider_options=options)
    unit, raw = (caller.embed(embedder, TEXTS) for embedder in (usual, plain))
    assert (raw.report.hits, raw.report.requests) == (0, 2)
    lengths = np.linalg.norm(raw.vectors, axis=1, keepdims=True)
    assert (abs(lengths - 1) > 0.1).all()
    np.testing.assert_allclose(raw.vectors / lengths, unit.vectors, atol=1e-5)
