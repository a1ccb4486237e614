"""Proxies that refuse a tunnel, certificates that are pinned, credentials in addresses, TLS where none is spoken."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import ssl
import subprocess
import threading
from itertools import repeat
from pathlib import Path

import pytest

from embedbridge import ConfigurationError, InvalidResponseError, ProviderUnavailableError, RateLimitTimeoutError
from embedbridge.testing import FaultServer
from embedbridge.testing.loopback import Certificate
from faults.apis import APIS, COHERE, KEY, OLLAMA, OPENAI
from support.cases import each
from support.proxy import ForwardProxy

SDKS = pytest.mark.parametrize("api", [OPENAI, COHERE, OLLAMA], ids=str)
TEXTS = ["one", "two"]


@pytest.fixture(scope="module")
def secure():
    with FaultServer(tls=True) as server:
        yield server


def refusal(status, *headers):
    lines = [f"HTTP/1.1 {status} No", *headers, "content-length: 0", "connection: close"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


# Proxies.


@SDKS
@pytest.mark.parametrize(
    ("status", "header"), [(403, "X-Squid-Error: ERR_ACCESS_DENIED 0"), (302, "location: http://x"), (405, "a: b")]
)
def test_a_proxy_that_forbids_the_tunnel_is_told_with_its_status_after_one_request(caller, secure, api, status, header):
    """No second request changes that."""
    with ForwardProxy(refusals=repeat(refusal(status, header))) as proxy:
        options = {"proxy": proxy.url, "verify": secure.certificate}
        with pytest.raises(ConfigurationError, match=rf"the proxy refuses the connection: status {status}") as caught:
            caller.embed(api.embedder(secure, provider_options=options), TEXTS)
        assert ("ERR_ACCESS_DENIED" in str(caught.value)) == (status == 403)
        assert len(proxy.asked) == 1
        caller.close()


@SDKS
@pytest.mark.usefixtures("_short_pauses")
@pytest.mark.parametrize(
    ("status", "kind"), [(429, RateLimitTimeoutError), (502, ProviderUnavailableError), (503, ProviderUnavailableError)]
)
def test_a_proxy_that_asks_to_wait_is_waited_for(caller, secure, api, status, kind):
    """As long as its Retry-After says, and its status is told when it goes on to refuse."""
    answer = refusal(status, "Retry-After: 0.25", "X-Squid-Error: ERR_CONNECT_FAIL 111")
    before = secure.stats.calls
    with ForwardProxy(refusals=[answer]) as once, ForwardProxy(refusals=repeat(answer)) as always:
        first, second = ({"proxy": proxy.url, "verify": secure.certificate} for proxy in (once, always))
        result = caller.embed(api.embedder(secure, provider_options=first), TEXTS)
        assert result.report.retries == 1
        assert result.report.seconds >= 0.25
        assert (len(once.asked), secure.stats.calls) == (2, before + 1)
        with pytest.raises(kind, match=rf"the proxy refuses the connection: status {status} \(ERR_CONNECT_FAIL\)"):
            caller.embed(api.embedder(secure, provider_options=second, max_retries=0), TEXTS)
        assert len(always.asked) == 1
        caller.close()


@SDKS
@pytest.mark.parametrize(
    "exempt", ["127.0.0.0/8", " *", "example.com, *", "10.0.0.0/8,127.0.0.1/32", "*.other, 127.0.0.0/24"]
)
def test_no_proxy_may_hold_networks_and_stars(caller, server, api, exempt, monkeypatch):
    """As other programs read it."""
    with ForwardProxy() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", exempt)
        caller.embed(api.embedder(server), TEXTS)
        monkeypatch.setenv("NO_PROXY", "10.0.0.0/8, *.example.com")
        assert proxy.asked == []
        caller.embed(api.embedder(server), TEXTS)
        assert len(proxy.asked) == 1
        caller.close()


# Certificates.


def leaf(folder):
    """A certificate of an authority's, which is not sent along; the paths of key and certificate."""
    openssl = shutil.which("openssl")
    curve = ["-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    own = [*curve, "-subj", "/CN=authority", "-days", "2", "-keyout", folder / "ca.key", "-out", folder / "ca.pem"]
    subprocess.run([openssl, "req", "-x509", *own], check=True, capture_output=True)
    asked = [*curve, "-subj", "/CN=leaf", "-keyout", folder / "leaf.key", "-out", folder / "leaf.csr"]
    subprocess.run([openssl, "req", *asked], check=True, capture_output=True)
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")
    signed = ["-CA", folder / "ca.pem", "-CAkey", folder / "ca.key", "-CAcreateserial", "-days", "2"]
    files = ["-extfile", folder / "names", "-in", folder / "leaf.csr", "-out", folder / "leaf.pem"]
    subprocess.run([openssl, "x509", "-req", *signed, *files], check=True, capture_output=True)
    return folder / "leaf.key", folder / "leaf.pem"


@SDKS
def test_a_certificate_of_an_authoritys_may_be_pinned_without_it(caller, api, tmp_path, monkeypatch):
    """With every version of Python; a certificate of another server's is refused all the same."""
    key, certificate = leaf(tmp_path)

    def context(_):
        found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        found.load_cert_chain(certificate, key)
        return found

    monkeypatch.setattr(Certificate, "context", context)
    with FaultServer(tls=True) as server:
        caller.embed(api.embedder(server, provider_options={"verify": certificate}), TEXTS)
        with pytest.raises(ProviderUnavailableError, match="in verify"):
            caller.embed(api.embedder(server, provider_options={"verify": server.certificate}, max_retries=0), TEXTS)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_file_of_certificates_may_begin_with_a_byte_order_mark(caller, secure, tmp_path, encoding):
    """As editors of Windows write it."""
    file = tmp_path / "ca.pem"
    file.write_text(f"# Größe\n{Path(secure.certificate).read_text()}\n", encoding=encoding)
    caller.embed(OPENAI.embedder(secure, provider_options={"verify": file}), TEXTS)
    file.write_text("# none", encoding=encoding)
    with pytest.raises(ConfigurationError, match="holds no certificate"):
        OPENAI.embedder(secure, provider_options={"verify": file})


# TLS where none is spoken.


@SDKS
def test_http_at_a_port_that_speaks_tls_is_told_as_that(caller, secure, api):
    """Where the server says nothing, as a possibility."""
    address = secure.url.replace("https", "http") + api.path
    with pytest.raises(ProviderUnavailableError, match="write https:// in base_url"):
        caller.embed(api.embedder(secure, base_url=address, max_retries=0), TEXTS)


SAYS = {
    "OpenSSL": b"\x15\x03\x01\x00\x02\x02\x46",
    "nginx": b"<html><title>400 The plain HTTP request was sent to HTTPS port</title></html>",
    "Go": b"Client sent an HTTP request to an HTTPS server.\n",
    "Apache": b"<html>Reason: You're speaking plain HTTP to an SSL-enabled server port.<br /></html>",
}


@SDKS
@pytest.mark.parametrize("name", SAYS)
def test_a_server_that_says_it_wants_tls_is_understood_after_one_request(caller, server, api, name):
    """No second request changes that."""
    said, asked = SAYS[name], []
    if name != "OpenSSL":
        head = f"HTTP/1.1 400 Bad Request\r\ncontent-type: text/html\r\ncontent-length: {len(said)}\r\n\r\n"
        said = head.encode() + said

    def serve(listener):
        with listener:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                with client:
                    asked.append(client.recv(65536))
                    client.sendall(said)
                    client.shutdown(socket.SHUT_WR)
                    while client.recv(65536):
                        pass

    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=serve, args=(listener,), daemon=True).start()
    address = f"http://127.0.0.1:{listener.getsockname()[1]}{api.path}"
    with pytest.raises(ConfigurationError, match="the server speaks TLS; write https:// in base_url"):
        caller.embed(api.embedder(server, base_url=address), TEXTS)
    assert len([each for each in asked if each]) == 1
    caller.close()
    listener.shutdown(socket.SHUT_RDWR)


# What is taken and not obeyed.

OWN_HEADER = {"azure", "bedrock", "gemini", "vertex"}
"""Providers whose key has another header than an address's user and password."""


@pytest.mark.parametrize("api", [each for each in APIS if each.name not in OWN_HEADER], ids=str)
def test_a_key_and_credentials_in_the_address_are_one_too_many(caller, server, api):
    """Both have the same header; without a key, the address's are sent."""
    address = f"http://somebody:hunter2@127.0.0.1:{server.port}{api.path}"
    with pytest.raises(ConfigurationError, match="leave out them or api_key") as caught:
        api.embedder(server, base_url=address)
    assert "hunter2" not in str(caught.value)
    assert KEY not in str(caught.value)
    caller.embed(api.embedder(server, base_url=address, api_key=None), TEXTS)
    assert server.requests[0].headers["authorization"].startswith("Basic ")


@each("field", ["inputs", "texts", "prompt", "messages", "stream"])
@each("group", ["body", "role_body"])
@each("api", [OPENAI, APIS[2]])
def test_fields_that_would_replace_the_texts_or_the_answer_are_refused(server, api, group, field):
    """At construction, by name."""
    fields = {field: True} if field == "stream" else {field: ["x"]}
    options = {group: fields if group == "body" else {"query": fields}}
    with pytest.raises(ConfigurationError, match=rf"'{field}' is not set here"):
        api.embedder(server, provider_options=options)


@pytest.mark.parametrize("number", [0, -1, 7])
def test_where_each_entry_has_the_same_number_it_is_said_what_helps(caller, server, number):
    """And then it is read."""
    row = OPENAI.vectors(server, TEXTS[:1])[0].tolist()

    def answers(count):
        listed = json.dumps({"data": [{"index": number, "embedding": row}] * count})
        return f"body:json={base64.urlsafe_b64encode(listed.encode()).decode()}"

    server.on(lambda _: True, answers(2))
    with pytest.raises(InvalidResponseError, match=r"but -?\d for each - set batch_size=1, or .*'single': True"):
        caller.embed(OPENAI.embedder(server), TEXTS)
    for options in ({"batch_size": 1}, {"provider_options": {"single": True}}):
        with FaultServer() as other:
            other.on(lambda _: True, answers(1))
            assert caller.embed(OPENAI.embedder(other, **options), TEXTS).vectors.shape == (2, 1536)
