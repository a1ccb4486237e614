"""Known hosts: what a user writes is the address alone, and limits, fields and prefixes follow; nothing by resemblance.

Requests travel to the host's own name: the loopback server stands in as the proxy on the way there.
"""

import re
from urllib.parse import urlsplit

import pytest

from embedbridge import ConfigurationError, Embedder
from embedbridge.catalogue import find_host, hosts, look_up
from embedbridge.cli import main

pytestmark = pytest.mark.one_flow

HOSTS = [pytest.param(host, id=host.name) for host in hosts()]
ROLES = ("query", "document", "classification", "clustering")


@pytest.fixture
def at(server, monkeypatch):
    """Makes an embedder whose server is reached by a host's own name."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)

    def made(name, model, options=None, **more):
        own = {"proxy": server.url} | (options or {})
        return Embedder(f"openai:{model}", base_url=f"http://{name}/v1", cache=False, provider_options=own, **more)

    return made


def sent(caller, server, embedder, role):
    caller.embed(embedder, ["text"], input_type=role)
    return server.requests[-1].payload


@pytest.mark.parametrize(
    ("place", "told"),
    [
        (("integrate.api.nvidia.com", "nvidia/nv-embedqa-e5-v5"), ("input_type", "query", "passage", None, None)),
        (
            ("api.jina.ai", "jina-embeddings-v3"),
            ("task", "retrieval.query", "retrieval.passage", "classification", "separation"),
        ),
        (("api.jina.ai", "jina-embeddings-v4"), ("task", "retrieval.query", "retrieval.passage", None, None)),
        (
            ("api.jina.ai", "jina-embeddings-v5-text-small"),
            ("task", "retrieval.query", "retrieval.passage", "classification", "clustering"),
        ),
    ],
)
def test_w5_a_known_host_is_told_the_role_by_its_field_and_no_prefix_is_sent(place, told, at, caller, server):
    """W5: `openai:jina-embeddings-v3` sent the card's prefix without its `task`."""
    embedder = at(*place)
    server.width = look_up("openai", place[1]).dimensions
    field, *values = told
    bodies = [sent(caller, server, embedder, role) for role in ROLES]
    assert [body.get(field) for body in bodies] == values
    assert {tuple(body["input"]) for body in bodies} == {("text",)}
    assert server.stats.served == 4


def test_gemini_embedding_2_gets_its_prefix_by_role_and_at_most_100_texts(at, caller, server):
    server.width = 3072
    embedder = at("generativelanguage.googleapis.com", "gemini-embedding-2")
    texts = [sent(caller, server, embedder, role)["input"] for role in ROLES]
    assert texts == [
        ["task: search result | query: text"],
        ["title: none | text: text"],
        ["task: classification | query: text"],
        ["task: clustering | query: text"],
    ]
    caller.embed_documents(embedder, [str(number) for number in range(201)])
    assert sorted(map(len, server.requests.items[4:])) == [1, 100, 100]


def test_mistral_is_asked_for_narrower_vectors_by_its_own_field_and_for_256_texts(at, caller, server):
    server.on(lambda _: True, "dims:n=256")  # OpenAI's wire, as the server speaks it, has another name for that
    embedder = at("api.mistral.ai", "codestral-embed", dimensions=256)
    caller.embed_documents(embedder, [str(number) for number in range(257)])
    assert sorted(map(len, server.requests.items)) == [1, 256]
    assert [("dimensions" in body, body["output_dimension"]) for body in server.requests.bodies] == [(False, 256)] * 2


@pytest.mark.parametrize("name", ["dashscope.aliyuncs.com", "dashscope-intl.aliyuncs.com"])
def test_dashscope_gets_ten_texts_and_is_asked_for_floats(name, at, caller, server):
    server.width = 1024
    caller.embed_documents(at(name, "text-embedding-v4"), [str(number) for number in range(11)])
    assert sorted(map(len, server.requests.items)) == [1, 10]
    assert {body["encoding_format"] for body in server.requests.bodies} == {"float"}


def test_what_the_user_sets_wins_over_what_is_known_of_the_host(at, caller, server):
    server.width = 512
    options = {
        "role_body": {"document": {"task": "text-matching"}},
        "encoding_format": "base64",
        "dimensions_field": "size",
        "request_items": 2,
    }
    for name in ("api.jina.ai", "dashscope.aliyuncs.com", "api.mistral.ai"):
        caller.embed_documents(at(name, "some-model", options, dimensions=512), ["a", "b", "c"])
    assert {(body["task"], body["encoding_format"], body["size"]) for body in server.requests.bodies} == {
        ("text-matching", "base64", 512)
    }
    assert sorted(map(len, server.requests.items)) == [1, 1, 1, 2, 2, 2]


def test_a_prefix_beside_a_hosts_fields_is_refused_with_the_way_out(at, caller, server):
    server.width = 1024
    with pytest.raises(ConfigurationError, match=r"pass provider_options=\{'role_body': \{\}\}"):
        at("api.jina.ai", "jina-embeddings-v3", query_prefix="Question: ")
    embedder = at("api.jina.ai", "jina-embeddings-v3", {"role_body": {}}, query_prefix="Question: ")
    body = sent(caller, server, embedder, "query")
    assert ("task" in body, body["input"]) == (False, ["Question: text"])


def test_one_line_says_what_is_recognised_and_what_follows(at):
    page = str(at("api.jina.ai", "jina-embeddings-v3").describe())
    assert re.search(r'query +text, with \{"task":"retrieval.query"\} +as this server wants it', page)
    told = "the server is Jina: at most 512 texts per request; roles by the field task (documented)"
    assert [line for line in page.splitlines() if told in line]
    assert "the server is" not in str(at("jina.example.org", "jina-embeddings-v3").describe())


@pytest.mark.parametrize("host", HOSTS)
def test_every_host_is_found_by_its_exact_name_alone(host):
    assert urlsplit(host.url).hostname in host.hosts
    for name in host.hosts:
        assert find_host(f"https://{name}/v1") == find_host(f"http://{name.upper()}:8443") == host
        for other in (f"my-{name}", f"{name}.example.org", f"eu.{name}", name.replace(".", "-")):
            assert find_host(f"https://{other}/v1") is None
    assert host.source
    assert host.sure in {"verified", "documented", "secondary"}
    assert host.title in host.told("any")


def test_the_models_command_shows_what_a_vendors_server_is_sent(capsys):
    assert main(["models", "gemini-embedding-2"]) == 0
    shown = capsys.readouterr().out
    assert "'task: search result | query: ' + text" in shown
    assert "at most 100 texts" in shown
    assert main(["models", "nvidia/nv-embedqa-e5-v5"]) == 0
    assert "text, as 'query'" in capsys.readouterr().out
