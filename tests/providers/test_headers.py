"""Keys, addresses and gateway headers: refused early where they cannot travel, told apart where they choose a model."""

import pickle

import numpy as np
import pytest

from embedbridge import ConfigurationError, Embedder
from embedbridge.llama_index import BridgeEmbedding
from support.cases import each

pytestmark = pytest.mark.one_flow

APIS = {
    "openai:text-embedding-3-small": "/v1",
    "voyage:voyage-4": "/voyage/v1",
    "cohere:embed-v4.0": "",
    "ollama:nomic-embed-text": "",
    "nvidia:nvidia/nv-embedqa-e5-v5": "/nvidia/v1",
    "jina:jina-embeddings-v3": "/jina/v1",
}
GATEWAYS = {
    "openai:our-model": ("/v1", "default_headers"),
    "ollama:our-model": ("", "headers"),
    "nvidia:our-model": ("/nvidia/v1", "default_headers"),
}


@pytest.fixture(params=GATEWAYS)
def gateway(request, server, tmp_path):
    """An embedder's maker: headers, and options beside them. All share one cache."""
    path, option = GATEWAYS[request.param]

    def made(headers, **own):
        options = {"base_url": server.url + path, "api_key": "sk-test", "cache": tmp_path / "cache"}
        return Embedder(request.param, provider_options={option: headers} | own, **options)

    return made


@each("model", APIS)
@each("key", ["sk-1234\n", "sk 1234", "sk-äöü", "\tsk-1234"])
def test_a_key_that_cannot_travel_is_refused_at_construction_and_not_shown(model, key):
    with pytest.raises(ConfigurationError, match="holds blanks, line breaks or letters") as caught:
        Embedder(model, api_key=key)
    assert "1234" not in str(caught.value)
    assert "äöü" not in str(caught.value)


@pytest.mark.parametrize(
    ("model", "variable"),
    [
        ("openai:text-embedding-3-small", "OPENAI_API_KEY"),
        ("voyage:voyage-4", "VOYAGE_API_KEY"),
        ("cohere:embed-v4.0", "CO_API_KEY"),
    ],
)
def test_a_blank_key_is_a_missing_key(model, variable, monkeypatch):
    with pytest.raises(ConfigurationError, match=variable):
        Embedder(model, api_key=" \n")
    monkeypatch.setenv(variable, " ")
    with pytest.raises(ConfigurationError, match=variable):
        Embedder(model)


@each("model", APIS)
@each(
    "host",
    ["\u2603.com", "a\u200bb.com", "a..com", ".com", f"{'a' * 64}.com", "a<b>", "a%.com", ".".join(["a" * 9] * 26)],
)
def test_a_host_that_cannot_be_looked_up_is_refused_at_construction(model, host):
    """It failed at the first call, with advice about certificates."""
    with pytest.raises(ConfigurationError, match=r"^base_url: no host can have this name"):
        Embedder(model, base_url=f"http://{host}/v1", api_key="sk-test")
    with pytest.raises(ConfigurationError, match="proxy: write an address"):
        Embedder(model, api_key="sk-test", provider_options={"proxy": f"http://{host}"})


@pytest.mark.filterwarnings("ignore:the key for")
@each("model", APIS)
@each("host", ["b\u00fccher.example", "\u65e5\u672c.jp", "a_b", "a.com.", "[::1]", "10.0.0.1"])
def test_a_host_in_any_letters_is_taken(model, host):
    """What names of hosts may be is what the HTTP library makes of them."""
    assert Embedder(model, base_url=f"http://{host}/v1", api_key="sk-test", cache=False).options.base_url


@pytest.mark.parametrize("model", APIS)
def test_an_address_spelt_otherwise_is_the_same_address_where_requests_go_to_one_path(model, server, caller, tmp_path):
    """The HTTP libraries take `x/..` out of a path, and the second spelling was paid for again."""
    path = APIS[model]
    one, other = (
        Embedder(model, base_url=f"{server.url}{start}{path}", api_key="sk-test", cache=tmp_path)
        for start in ("", "/x/..")
    )
    assert [caller.embed(each, ["a"]).report.hits for each in (one, other)] == [0, 1]
    assert np.array_equal(caller.embed(other, ["a", "b"]).vectors, caller.embed(one, ["a", "b"]).vectors)
    assert len({request.target for request in server.requests}) == 1
    assert set(server.stats.billed.values()) == {1}
    assert one.space == other.space


@pytest.mark.parametrize("lines", ["X-A", "X-A: 1\nX-B", "X-A: 1\n: 2", "X-A=1"])
def test_a_line_of_the_environment_that_names_no_header_is_refused(lines, monkeypatch):
    """The SDK leaves it out without a word. Its value may be a secret, and is not shown."""
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", lines)
    number = lines.count("\n") + 1
    for model in ("openai:text-embedding-3-small", "azure:text-embedding-3-small"):
        with pytest.raises(ConfigurationError, match=f"^OPENAI_CUSTOM_HEADERS: line {number} is no header") as caught:
            Embedder(model, api_key="sk-test", base_url="http://127.0.0.1:9/v1")
        assert "X-" not in str(caught.value)
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "\nX-A: 1\n \n")
    assert Embedder("openai:text-embedding-3-small", api_key="sk-test", cache=False)


@each("model", APIS)
@each("spoil", [" {}", "{}\n", "{}?deployment=a", "{}#a"])
def test_an_address_that_would_not_arrive_as_it_stands_is_refused_at_construction(model, spoil, server):
    with pytest.raises(ConfigurationError, match="base_url"):
        Embedder(model, api_key="sk-test", base_url=spoil.format(server.url + APIS[model]))
    assert server.stats.connections == 0


@each("headers", [{"x-a": "b\r\nx-c: d"}, {"x-a": "ä"}, {"x a": "b"}, {"x-a": " b"}, {"": "b"}])
def test_a_header_that_cannot_travel_is_refused_at_construction(gateway, headers):
    with pytest.raises(ConfigurationError, match=r"header.* letters that HTTP cannot carry"):
        gateway(headers)


@pytest.mark.parametrize("name", ["x-model", "X-Portkey-Provider", "helicone-target-url", "x-tenant", "x-secret-route"])
def test_two_models_behind_one_gateway_share_no_vector(gateway, caller, server, name):
    caller.embed(gateway({name: "first"}), ["a"])
    caller.embed(gateway({name: "second"}), ["a"])
    caller.embed(gateway({name.lower(): "first"}), ["a"])
    assert [request.headers[name.lower()] for request in server.requests] == ["first", "second"]


def test_a_header_that_is_named_has_to_be_there(gateway):
    for option in ("routing_headers", "credential_headers"):
        with pytest.raises(ConfigurationError, match=rf"{option} names 'x-tennant'"):
            gateway({"x-tenant": "red"}, **{option: ["x-tennant"]})
    with pytest.raises(ConfigurationError, match=r"'x-tenant' stands in routing_headers and in credential_headers"):
        gateway({"x-tenant": "red"}, routing_headers=["x-tenant"], credential_headers=["X-Tenant"])
    with pytest.raises(ConfigurationError, match=r"the header 'x-tenant' is given twice"):
        gateway({"x-tenant": "red", "X-Tenant": "red"})


def test_another_credential_for_the_same_gateway_finds_the_same_vectors(gateway, caller, server):
    names = ("Cookie", "X-Api-Key", "api-key", "x-request-id")
    first, second = (
        caller.embed(gateway(dict.fromkeys(names, key), credential_headers=["X-Request-Id"]), ["a"]).vectors
        for key in ("one", "two")
    )
    np.testing.assert_array_equal(first, second)
    assert len(server.requests) == 1


def test_a_credential_that_chooses_the_model_can_be_named(gateway, caller, server):
    for key in ("one", "two"):
        caller.embed(gateway({"x-api-key": key}, routing_headers=["X-Api-Key"]), ["a"])
    assert [request.headers["x-api-key"] for request in server.requests] == ["one", "two"]


def test_what_a_header_holds_stands_in_no_identity(gateway):
    embedder = gateway({"x-portkey-config": '{"api_key":"sk-secret"}'})
    assert any(detail.startswith("x-portkey-config=") for detail in embedder.space.details)
    assert "sk-secret" not in repr(embedder.space)


# What OpenAI's SDK takes from the environment.


def openai(server, tmp_path, **own):
    options = {"base_url": f"{server.url}/v1", "api_key": "sk-test", "cache": tmp_path / "cache"}
    return Embedder("openai:our-model", provider_options=own, **options)


AMBIENT = {
    "OPENAI_CUSTOM_HEADERS": ("x-model: one", "x-model: two", "x-model"),
    "OPENAI_ORG_ID": ("one", "two", "openai-organization"),
    "OPENAI_PROJECT_ID": ("one", "two", "openai-project"),
}


@pytest.mark.parametrize("variable", AMBIENT)
def test_a_variable_that_the_sdk_sends_is_as_good_as_an_option(variable, caller, server, tmp_path, monkeypatch):
    """C4: OPENAI_CUSTOM_HEADERS="x-model: one", then two: the second model was never asked."""
    one, two, header = AMBIENT[variable]
    for value in (one, two, one):
        monkeypatch.setenv(variable, value)
        caller.embed(openai(server, tmp_path), ["a"])
    monkeypatch.delenv(variable)
    caller.embed(openai(server, tmp_path), ["a"])
    assert [request.headers.get(header) for request in server.requests] == ["one", "two", None]


@pytest.mark.parametrize("variable", AMBIENT)
def test_what_is_sent_is_what_was_there_when_the_embedder_was_made(variable, caller, server, tmp_path, monkeypatch):
    one, two, header = AMBIENT[variable]
    before = openai(server, tmp_path)
    monkeypatch.setenv(variable, one)
    embedder = openai(server, tmp_path)
    monkeypatch.setenv(variable, two)
    for made in (before, embedder):
        caller.embed(made, ["a"])
    assert [request.headers.get(header) for request in server.requests] == [None, "one"]


def test_a_header_that_is_given_replaces_the_environments(caller, server, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Model: one\nx-tenant: red")
    caller.embed(openai(server, tmp_path, default_headers={"x-model": "two"}), ["a"])
    (request,) = server.requests
    assert (request.headers["x-model"], request.headers["x-tenant"]) == ("two", "red")


def test_the_vendor_is_told_who_asks_and_gives_everyone_the_same_vectors(monkeypatch):
    def space(**own):
        return Embedder("openai:text-embedding-3-small", api_key="sk-test", provider_options=own).space

    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    assert space(user="me", project="p").fingerprint == space().fingerprint


# What arrives.

NAMES = (
    *("accept", "accept-charset", "accept-encoding", "accept-language", "api-key"),
    *("authorization", "baggage", "cache-control", "connection", "content-digest"),
    *("content-disposition", "content-encoding", "content-language", "content-length", "content-type"),
    *("cookie", "date", "dnt", "expect", "forwarded"),
    *("from", "host", "http2-settings", "idempotency-key", "if-none-match"),
    *("keep-alive", "openai-beta", "openai-organization", "openai-project", "origin"),
    *("pragma", "prefer", "priority", "proxy-authorization", "proxy-connection"),
    *("range", "referer", "te", "traceparent", "trailer"),
    *("transfer-encoding", "upgrade", "user-agent", "via", "x-api-key"),
    *("x-forwarded-for", "x-http-method-override", "x-model", "x-request-id", "x-stainless-arch"),
    *(
        "x-stainless-async",
        "x-stainless-lang",
        "x-stainless-os",
        "x-stainless-raw-response",
        "x-stainless-read-timeout",
    ),
    *("x-stainless-retry-count", "x-stainless-runtime"),
)
NEVER = {"accept-encoding", "content-encoding", "content-length", "content-type", "expect", "te", "transfer-encoding"}


def of(name, server, names, monkeypatch):
    """An embedder that sends these headers: of each API that takes headers, with each kind of credential."""
    option, own, options = "default_headers", {}, {"base_url": f"{server.url}/v1", "api_key": "sk-test"}
    api, _, kind = name.partition(" ")
    if api == "azure":
        option, own = "default_headers", {"azure_endpoint": server.url, "api_version": "2024-10-21"}
        own |= {"azure_ad_token": "token"} if kind == "token" else {}
        own |= {"azure_ad_token_provider": lambda: "token"} if kind == "function" else {}
        options = {} if kind else {"api_key": "sk-test"}
    elif api == "ollama":
        option, options = "headers", {"base_url": server.url, "api_key": "sk-test" if kind == "key" else None}
    if kind == "address":
        options = {"base_url": options["base_url"].replace("://", "://user:password@")}
    if kind == "variable":
        monkeypatch.setenv("OLLAMA_API_KEY", "sk-of-the-environment")
    own |= {option: {name.title(): f"given for {name}" for name in names}}
    return Embedder(f"{api}:our-model", provider_options=own, cache=False, max_retries=0, query_prefix="", **options)


@pytest.mark.parametrize(
    "api",
    [
        *("openai", "openai address", "azure", "azure token", "azure function"),
        *("ollama", "ollama key", "ollama address", "ollama variable"),
    ],
)
def test_a_header_arrives_as_it_is_given_or_is_refused(api, caller, server, monkeypatch):
    """Accept-Encoding was never sent as given, Content-Length failed at the first call, a token replaced another."""
    monkeypatch.delenv("AZURE_OPENAI_API_KEY", raising=False)
    refused = set()
    for name in NAMES:
        try:
            of(api, server, [name], monkeypatch)
        except ConfigurationError as error:
            assert f"the header {name.title()!r} tells" in str(error)  # noqa: PT017 - either answer will do
            assert "given for" not in str(error)  # noqa: PT017
            refused.add(name)
    assert refused >= NEVER
    assert not refused & {"x-model", "cookie", "host", "x-request-id", "accept-language", "x-api-key"}
    taken = sorted({*NAMES} - refused)
    caller.embed(of(api, server, taken, monkeypatch), ["a"])
    (request,) = server.requests
    assert {name: request.headers.get(name) for name in taken} == {name: f"given for {name}" for name in taken}


@pytest.mark.parametrize("model", ["voyage:voyage-4", "cohere:embed-v4.0"])
@pytest.mark.parametrize("option", ["default_headers", "headers"])
def test_an_api_that_takes_no_headers_refuses_them(model, option):
    with pytest.raises(ConfigurationError, match=option):
        Embedder(model, api_key="sk-test", provider_options={option: {"x-model": "a"}})


def test_a_credential_never_travels_whatever_it_is_named(server):
    """`routing_headers=["authorization"]` put the secret into pickles and stored data as plain text."""
    for name in ("Authorization", "X-Api-Key"):
        own = {
            "default_headers": {name: "Bearer a-secret", "x-model": "a"},
            "routing_headers": [name.lower(), "x-model"],
        }
        made = Embedder("openai:our-model", base_url=f"{server.url}/v1", api_key="k", provider_options=own, cache=False)
        with pytest.raises(ConfigurationError, match=name):
            pickle.dumps(made)
        data = made.as_llama_index().to_dict()
        assert "a-secret" not in repr(data) + repr(made.space) + repr(made.options)
        assert data["provider_options"]["default_headers"] == {"x-model": "a"}
        with pytest.raises(ConfigurationError, match=name.lower()):
            BridgeEmbedding.from_dict(data, api_key="k", cache=False)
        again = BridgeEmbedding.from_dict(data, api_key="k", cache=False, provider_options=own)
        assert again.embedder.space == made.space
