"""Texts and credentials go to the one server that was named, and to it alone."""

import base64
import itertools
import socket
import sys

import pytest

from embedbridge import AuthenticationError, ConfigurationError, InvalidResponseError, ProviderUnavailableError, events
from embedbridge.testing import FaultServer
from support.cases import each

from . import case
from .apis import APIS, BEDROCK, KEY, OLLAMA, each_client
from .client import Client, chain, corpus

GATEWAY = {"x-gateway-key": "gateway-key-nobody-may-see"}
HEADERS_OPTION = {"openai": "default_headers", "azure": "default_headers", "ollama": "headers"}


def always(_):
    return True


@pytest.fixture
def secure(api, caller, tmp_path):
    """A client of a server with a certificate that nobody has signed."""
    with FaultServer(tls=True) as server:
        yield Client(api, server, caller, tmp_path)


@case(17)
@each_client
def test_no_redirect_is_followed_and_the_other_host_hears_nothing(client, server, api):
    gateway = {HEADERS_OPTION[api.name]: GATEWAY} if api.name in HEADERS_OPTION else {}
    embedder = client.open(provider_options=gateway)
    with FaultServer() as other:
        for status in (301, 302, 303, 307, 308):
            server.reset()
            server.on(always, f"redirect:status={status};to={other.url}/v1/embeddings")
            error = client.fails(InvalidResponseError, corpus(2), embedder=embedder)
            assert error.kind == "redirect"
            assert server.stats.calls == 1
            assert bool(gateway) == ("x-gateway-key" in server.requests[0].headers)
        assert other.stats.connections == 0
    client.resume(corpus(2), error)


@case(18)
@each_client
def test_a_certificate_that_nobody_has_signed_is_refused_at_once(secure):
    error = secure.fails(ProviderUnavailableError, corpus(2))
    assert "certificate" in str(error)
    assert not [event for event in secure.events if isinstance(event, events.RequestRetried)]
    assert secure.server.stats.log == []


@case(18)
@each_client
def test_a_certificate_that_the_machine_trusts_is_enough(secure, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", secure.server.certificate)
    secure.embed(corpus(2))


@case(18)
@each_client
@pytest.mark.skipif(sys.platform != "linux", reason="other systems have one loopback address")
def test_a_certificate_for_another_host_is_refused_at_once(api, caller, tmp_path, monkeypatch):
    monkeypatch.setattr("embedbridge.testing.loopback.HOST", "127.0.0.2")
    with FaultServer(tls=True) as server:
        monkeypatch.setenv("SSL_CERT_FILE", server.certificate)
        client = Client(api, server, caller, tmp_path)
        error = client.fails(ProviderUnavailableError, corpus(2))
        assert "mismatch" in str(error)
        assert not [event for event in client.events if isinstance(event, events.RequestRetried)]
        assert server.stats.log == []


@case(18)
@each_client
def test_a_port_that_nobody_listens_on_is_unavailable_and_named(client):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    embedder = client.open(base_url=f"http://127.0.0.1:{port}{client.api.path}", max_retries=1)
    error = client.fails(ProviderUnavailableError, corpus(2), embedder=embedder)
    assert f"127.0.0.1:{port}" in str(error)


@case(18)
@each_client
@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_an_address_may_be_one_of_ipv6(api, caller, tmp_path, monkeypatch):
    monkeypatch.setattr("embedbridge.testing.loopback.HOST", "::1")
    with FaultServer() as server:
        client = Client(api, server, caller, tmp_path)
        embedder = client.open(base_url=f"http://[::1]:{server.port}{api.path}")
        client.embed(corpus(2), embedder=embedder)
        assert server.requests[0].headers["host"] == f"[::1]:{server.port}"
        server.on(always, "401")
        assert f"http://[::1]:{server.port}" in str(client.fails(AuthenticationError, corpus(4), embedder=embedder))


@case(73)
@each_client
def test_no_cookie_is_kept(client, server):
    server.on(always, "header:set-cookie=session=somebody; Path=/")
    client.embed(corpus(3), batch_size=1, concurrency=1)
    assert server.stats.connections == 1
    assert [request for request in server.requests if "cookie" in request.headers] == []


@case(74)
@each_client
@each(
    ("variable", "value"),
    [
        ("HTTP_PROXY", "gopher://somebody:hunter2@127.0.0.1:1"),
        ("ALL_PROXY", "http://somebody:hunter2@[::1"),
        ("SSL_CERT_FILE", "/nowhere/hunter2.pem"),
    ],
)
def test_an_environment_in_which_no_client_can_be_made_is_named(client, server, variable, value):
    embedder, texts = client.open(batch_size=1), corpus(3, variable)
    server.reset()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(variable, value)
        error = client.fails(ConfigurationError, texts, embedder=embedder)
    assert variable in str(error)
    assert "hunter2" not in "".join(map(repr, chain(error)))
    assert server.stats.connections == 0
    client.embed(texts[:1], embedder=embedder)


@case(68)
def test_the_machines_netrc_is_not_sent(client, server, tmp_path, monkeypatch):
    file = tmp_path / ".netrc"
    file.write_text("machine 127.0.0.1 login somebody password hunter2\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(file))
    client.embed(corpus(1))
    headers = server.requests[0].headers
    assert KEY in (headers.get("api-key"), headers.get("x-goog-api-key"), headers.get("authorization", "")[7:])
    assert "basic" not in str(headers).lower()


@case(68)
@pytest.mark.parametrize("api", [OLLAMA], ids=str)
def test_without_a_key_no_credentials_are_sent_at_all(client, server, tmp_path, monkeypatch):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login somebody password hunter2\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    client.embed(corpus(1), api_key=None)
    assert "authorization" not in server.requests[0].headers


@case(68)
@pytest.mark.parametrize("api", [api for api in APIS if api is not BEDROCK], ids=str)  # which refuses them
def test_credentials_in_an_address_are_sent_to_it_and_shown_nowhere(client, server, api, caplog):
    caplog.set_level("DEBUG")
    address = f"http://somebody:hunter2@127.0.0.1:{server.port}{api.path}"
    embedder = client.open(base_url=address, max_retries=0, api_key=KEY if api.name in {"azure", "gemini"} else None)
    client.embed(corpus(2), embedder=embedder)
    sent = server.requests[0].headers["authorization"].split()
    assert sent == ["Basic", base64.b64encode(b"somebody:hunter2").decode()]
    server.on(always, "500")
    error = client.fails(ProviderUnavailableError, corpus(3), embedder=embedder)
    shown = [error, embedder, embedder.options, embedder.options.model_dump_json(), embedder.space, client.events]
    told = caplog.text + "".join(f"{each} {each!r}" for each in shown)
    assert "hunter2" not in told
    assert sent[1] not in told
    kept = b"".join(path.read_bytes() for path in client.folder.rglob("*") if path.is_file())
    assert b"hunter2" not in kept


@case(68)
@each(
    ("api", "address"),
    itertools.product(APIS, ["http://embeddings.example.com/api", "http://169.254.169.254/api"]),
)
def test_a_key_that_would_travel_unencrypted_is_warned_of(api, server, address):
    with pytest.warns(UserWarning, match="unencrypted") as warned:
        api.embedder(server, base_url=address)
    assert KEY not in str(warned[0].message)


@case(68)
@each(
    ("api", "address"),
    itertools.product(APIS, ["file:///etc/passwd", "ftp://somebody:hunter2@host/", "//host", "gopher://host"]),
)
def test_only_http_addresses_are_taken(api, server, address):
    with pytest.raises(ConfigurationError, match="http") as caught:
        api.embedder(server, base_url=address)
    assert "hunter2" not in str(caught.value)
