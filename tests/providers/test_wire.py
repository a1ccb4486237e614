"""What passes between an SDK and a server: bounds, failures and their names, and secrets that stay where they are."""

import contextlib
import logging
import socket
import sys
import threading
import time
import tracemalloc

import httpx
import pytest
from pydantic import SecretStr

from embedbridge._core.types import Batch, Route
from embedbridge.catalogue import look_up
from embedbridge.errors import ConfigurationError, RequestFailed
from embedbridge.providers._listing import tokens_of
from embedbridge.providers._transport import TransportOptions
from embedbridge.providers._wire import Exchange, exchange, make_transport
from embedbridge.providers.base import ProviderConfig
from embedbridge.providers.hosted import check_url, endpoint
from embedbridge.providers.openai import OpenAIProvider
from embedbridge.testing import FaultServer

KEY = "sk-0123456789abcdef"
MODEL = "text-embedding-3-small"
TEXTS = ("the patient is called Ada Lovelace, born 1815", "short")


def provider(url, key=KEY, **options):
    return OpenAIProvider(
        ProviderConfig(
            MODEL, look_up("openai", MODEL), SecretStr(key) if key is not None else None, url, options=options
        )
    )


def batch(*texts):
    return Batch(texts or TEXTS, tuple(range(len(texts or TEXTS))), Route("document"), 10)


def ask(caller, target, *texts, timeout=5.0):
    return caller.call(target, "ask", batch(*texts), timeout=timeout)


def failure(caller, target, *texts, timeout=5.0):
    with pytest.raises(RequestFailed) as caught:
        ask(caller, target, *texts, timeout=timeout)
    return caught.value


@contextlib.contextmanager
def raw_server(converse):
    """A server that is a function of a connection; it runs until its client has gone."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)  # a client that is late on a busy machine never comes

        def serve():
            with contextlib.suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    converse(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    thread.join()


@pytest.mark.one_flow
@pytest.mark.parametrize(
    ("fault", "kind", "billed"),
    [
        ("html:status=200", "not_json", False),
        ("truncate", "not_json", True),
        ("badutf8", "not_json", True),
        ("error200", "error", False),
        ("nodata", "no_data", True),
        ("badgzip", "encoding", True),
        ("header:content-encoding=br", "encoding", False),
        ("gzipbomb:mb=64", "too_large", True),
        ("huge:mb=64", "too_large", True),
        ("redirect", "redirect", False),
        ("reset", "connection", True),
        ("reset:at=headers", "connection", True),
        ("close:at=mid", "connection", True),
        ("chunked:cut=1", "connection", True),
    ],
)
def test_every_unsound_answer_has_a_name(caller, server, fault, kind, billed):
    server.script(fault)
    told = failure(caller, provider(f"{server.url}/v1"))
    assert (told.kind, told.billed, told.status) == (kind, billed, 307 if fault == "redirect" else None)
    assert server.stats.calls == 1


@pytest.mark.one_flow
@pytest.mark.parametrize("fault", ["gzip", "chunked", "nolength", "ctype", "forcefloat"])
def test_odd_but_sound_answers_are_read(caller, server, fault):
    server.script(fault)
    assert len(ask(caller, provider(f"{server.url}/v1")).items) == 2


def test_a_connection_that_died_while_idle_is_one_lost_request(caller, server):
    server.script("stale")
    asked = provider(f"{server.url}/v1")
    ask(caller, asked)
    assert failure(caller, asked).kind == "connection"
    assert len(ask(caller, asked).items) == 2


@pytest.mark.parametrize("fault", ["hang", "stall", "drip:bytes=1;s=0.05"])
def test_a_timeout_bounds_the_whole_request(caller, server, fault):
    server.script(fault)
    told = failure(caller, provider(f"{server.url}/v1"), timeout=0.3)
    assert (told.kind, told.billed) == ("timeout", True)


def test_headers_that_drip_for_ever_end_with_the_timeout_too(caller):
    def converse(connection):
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:
            connection.sendall(b"x: y\r\n")
            time.sleep(0.02)

    with raw_server(converse) as url:
        assert failure(caller, provider(url), timeout=0.3).kind == "timeout"


def test_a_name_server_that_hangs_holds_no_blocking_call_longer_than_its_timeout(monkeypatch):
    resolve, closed = socket.getaddrinfo, threading.Event()

    def slowly(*args, **kwargs):  # no real name server here can be made to hang
        time.sleep(2 if args[0] == "localhost" else 0)
        return resolve(*args, **kwargs)

    def converse(connection):
        assert connection.recv(1) == b""
        closed.set()

    monkeypatch.setattr(socket, "getaddrinfo", slowly)
    with raw_server(converse) as url:
        begun = time.monotonic()
        with pytest.raises(RequestFailed) as caught:
            provider(url.replace("127.0.0.1", "localhost")).ask(batch(), timeout=0.2)
        assert time.monotonic() - begun < 1.5
        assert (caught.value.kind, caught.value.billed) == ("timeout", False)
        assert closed.wait(5)  # what was connected too late is closed again


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have one loopback address")
def test_where_a_hosts_first_address_is_dead_the_next_one_is_tried(caller, server, monkeypatch):
    """A name with an IPv6 address that leads nowhere: what is sent there is never answered, not even by a refusal."""
    port, resolve = int(server.url.rpartition(":")[2]), socket.getaddrinfo

    def two(host, *args, **kwargs):
        found = ["127.0.0.2", "127.0.0.1"] if host == "two.test" else []
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in found] or resolve(
            host, *args, **kwargs
        )

    monkeypatch.setattr(socket, "getaddrinfo", two)
    monkeypatch.setattr("embedbridge.providers._network.HEDGE", 0.1)
    with contextlib.ExitStack() as stack:
        stack.enter_context(socket.create_server(("127.0.0.2", port), backlog=0))
        for _ in range(4):  # more than its queue has room for: the next one's first packet is dropped
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0)
            waiting.connect_ex(("127.0.0.2", port))
        asked = provider(f"http://two.test:{port}/v1", key="")
        assert len(ask(caller, asked, timeout=20.0).items) == 2


def test_a_server_that_reads_nothing_was_not_sent_the_request(caller):
    def converse(connection):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        time.sleep(1.0)

    with raw_server(converse) as url:
        told = failure(caller, provider(url), "x" * 30_000_000, timeout=0.5)
    assert (told.kind, told.billed) == ("timeout", False)


def test_a_closed_port_is_a_connection_error_that_cost_nothing(caller):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    told = failure(caller, provider(f"http://127.0.0.1:{port}/v1"))
    assert (told.kind, told.billed) == ("connection", False)


@pytest.mark.parametrize("fault", ["gzipbomb:mb=512", "huge:mb=256"])
def test_an_answer_without_end_takes_no_memory(caller, server, fault):
    asked = provider(f"{server.url}/v1")
    ask(caller, asked)
    server.script(fault)
    tracemalloc.start()
    try:
        assert failure(caller, asked, timeout=60.0).kind == "too_large"
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()


def test_a_redirect_is_named_and_nobody_else_hears_of_it(caller, server):
    with FaultServer() as other:
        server.script(f"redirect:status=308;to={other.url}/v1/embeddings")
        told = failure(caller, provider(f"{server.url}/v1"))
        assert "redirect" in str(told)
        assert other.stats.connections == 0


def test_an_untrusted_certificate_is_named(caller):
    with FaultServer(tls=True) as server:
        told = failure(caller, provider(f"{server.url}/v1"))
        assert told.kind == "tls"
        assert "certificate" in str(told)
        assert server.stats.calls == 0


def test_a_certificate_named_by_the_environment_is_trusted(caller, monkeypatch):
    with FaultServer(tls=True) as server:
        monkeypatch.setenv("SSL_CERT_FILE", server.certificate)
        assert len(ask(caller, provider(f"{server.url}/v1")).items) == 2


def test_https_to_a_server_that_speaks_http_is_named(caller):
    def converse(connection):
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")

    with raw_server(converse) as url:
        assert failure(caller, provider(url.replace("http:", "https:"))).kind == "tls"


def test_a_proxy_of_the_environment_is_used(caller, server, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", server.url)
    ask(caller, provider("http://embeddings.test/v1", key=""))  # a host that no name server knows
    assert [request.headers["host"] for request in server.requests] == ["embeddings.test"]


def test_a_proxy_that_refuses_is_told_of_without_its_password(caller, server, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", server.url.replace("//", "//someone:proxy-password@"))
    told = failure(caller, provider("https://embeddings.test/v1"))
    assert (told.kind, told.billed) == ("configuration", False)
    assert "proxy-password" not in str(told)


def test_credentials_of_the_machine_are_not_sent(caller, server, monkeypatch, tmp_path):
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login someone password machine-password\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HOME", str(tmp_path))
    ask(caller, provider(f"{server.url}/v1"))
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"


def test_credentials_in_an_address_are_sent_and_never_shown(caller, server, caplog):
    asked = provider(f"http://someone:url-password@127.0.0.1:{server.port}/v1", key=None)
    with caplog.at_level(logging.INFO):
        server.script("ok", "500:message=no url-password for you")
        ask(caller, asked)
        told = failure(caller, asked)
    assert server.requests[0].headers["authorization"] == httpx.BasicAuth("someone", "url-password")._auth_header
    assert asked.identity.endpoint == f"{server.url}/v1"
    assert "url-password" not in caplog.text
    assert str(told) == "status 500 (server_error): no <key> for you"


def test_an_error_shows_no_key_however_it_was_sent(caller, server):
    server.script(f"401:message=no access with {KEY} or gateway-secret")
    asked = provider(f"{server.url}/v1", default_headers={"x-gateway-key": "gateway-secret"})
    told = failure(caller, asked)
    assert server.requests[0].headers["x-gateway-key"] == "gateway-secret"
    assert str(told) == "status 401 (invalid_api_key, invalid_request_error): no access with <key> or <key>"
    assert "gateway-secret" not in repr(asked.options)


@pytest.mark.parametrize(
    "said",
    [
        "cannot read 'the patient is called Ada Lovelace, born 1815'",
        "near Ada Lovelace, born 1815",
        "the patient is called Ada Lov…",
        "bad token after is called Ada Lovelace",
        "cannot read 'short'",
        "no piece for THE PATIENT IS CALLED ADA LOVELACE",
    ],
)
def test_an_error_quotes_no_text(caller, server, said):
    server.script(f"400:message={said}")
    told = str(failure(caller, provider(f"{server.url}/v1")))
    assert told.startswith("status 400 (invalid_request_error): ")
    assert not any(word in told.lower() for word in ("ada", "patient", "short", "1815"))


def test_a_validators_error_is_told_without_the_input_that_it_repeats(caller):
    body = b'{"detail": [{"msg": "field required", "input": {"input": "something else entirely"}}]}'

    def converse(connection):
        connection.recv(65536)
        head = b"HTTP/1.1 422 Unprocessable\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        connection.sendall(head % len(body) + body)

    with raw_server(converse) as url:
        assert str(failure(caller, provider(url))) == "status 422: field required"


@pytest.mark.parametrize("encoding", ["br", "identity"])
def test_an_error_is_judged_by_its_status_however_its_page_is_packed(caller, server, encoding):
    server.script(f"html:status=503+header:content-encoding={encoding}")
    told = failure(caller, provider(f"{server.url}/v1"))
    assert (told.status, told.kind) == (503, "")
    assert str(told) == "status 503: no words that can be shown (text/html)"


def test_an_error_says_little_of_a_long_page(caller, server):
    server.script("503:message=" + "overloaded " * 20_000)
    told = failure(caller, provider(f"{server.url}/v1"))
    assert told.status == 503
    assert len(str(told)) <= 300


def test_too_long_is_understood_even_where_the_text_says_the_same(caller, server):
    text = "This model's maximum context length is 8192 tokens"
    server.script(f"500:message={text}, however you requested 9000 tokens (9000 in your prompt; 0 for the completion)")
    told = failure(caller, provider(f"{server.url}/v1"), text)
    assert told.kind == "too_long"


def test_the_sdks_errors_are_not_chained_because_they_hold_the_request(caller, server):
    server.script("500", "reset", "badgzip", "html:status=200")
    asked = provider(f"{server.url}/v1")
    for _ in range(4):
        told = failure(caller, asked)
        assert told.__cause__ is told.__context__ is None


def test_a_key_that_is_no_header_is_refused_and_not_shown(server):
    with pytest.raises(ConfigurationError, match="the key for 'openai'") as caught:
        provider(f"{server.url}/v1", key="sk-two\nlines")
    assert "lines" not in str(caught.value).replace("line breaks", "")


@pytest.mark.parametrize("fault", ["429:retry-after=2", "429:retry-after-ms=2000"])
def test_the_wait_that_a_server_asks_for_is_handed_on(caller, server, fault):
    server.script(fault)
    told = failure(caller, provider(f"{server.url}/v1"))
    assert (told.status, told.retry_after) == (429, 2.0)


def test_limits_in_headers_are_handed_on(caller, server):
    server.script("header:x-ratelimit-limit-requests=60")
    assert ask(caller, provider(f"{server.url}/v1")).headers["x-ratelimit-limit-requests"] == "60"


def test_closing_lets_go_of_connections_and_a_later_request_opens_new_ones(caller, server):
    asked = provider(f"{server.url}/v1")
    ask(caller, asked)
    ask(caller, asked)
    assert server.stats.connections == 1
    caller.call(asked, "close")
    ask(caller, asked)
    assert server.stats.connections == 2


def test_what_an_sdk_makes_of_an_answer_does_not_matter(server):
    transport = make_transport("httpx", TransportOptions(), server.url, blocking=True)
    with exchange(Exchange(5.0, max_bytes=1 << 20)) as held, httpx.Client(transport=transport) as client:
        client.post(f"{server.url}/v1/embeddings", json={"model": MODEL, "input": ["a"]})
        raise TypeError("an SDK that does not understand its own API")
    assert len(held.payload()["data"]) == 1


def test_a_request_that_was_never_made_says_why():
    with exchange(Exchange(5.0)) as held:
        raise TypeError(f"a message that may hold {KEY}")
    with pytest.raises(RequestFailed, match=r"^the request could not be made \(TypeError\)$"):
        held.payload()


@pytest.mark.parametrize(
    "url", ["localhost:8080", "file:///etc/passwd", "ftp://host/v1", "http://", "http://[::1", "http://host:99999/v1"]
)
def test_only_addresses_of_the_web_are_taken(url):
    with pytest.raises(ConfigurationError, match="base_url"):
        check_url(url)


def test_an_endpoint_is_written_as_requests_go_there():
    """Two spellings of one path had entries of their own in the cache."""
    assert endpoint("http://a/x/../v1") == endpoint("http://a/./v1/") == endpoint("http://a/v1")
    assert endpoint("http://a//v1") == "http://a//v1"
    assert endpoint("http://a/..//v1") != endpoint("http://a/v1")
    assert endpoint("http://a/x%2F..%2Fv1") != endpoint("http://a/v1")


def test_an_endpoint_holds_no_credentials():
    assert endpoint("https://someone:password@Host.test:8443/v1/?token=1#x") == "https://host.test:8443/v1"
    assert endpoint("http://[::1]:80/v1") == "http://[::1]/v1"


def test_a_key_that_would_travel_unencrypted_is_warned_of():
    with pytest.warns(UserWarning, match=r"unencrypted to http://embeddings\.test/v1"):
        provider("http://someone:password@embeddings.test/v1", key=None)


@pytest.mark.parametrize("usage", [None, "many", True, -1, float("nan"), float("inf"), {}, [], 1e300, 10**18])
def test_usage_that_is_no_number_is_no_usage(usage):
    assert tokens_of({"usage": {"total_tokens": usage}}, "usage", "total_tokens") is None
