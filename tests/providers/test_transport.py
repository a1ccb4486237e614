"""The way to a server: trust, proxies, certificates, time, and clients that are closed while others use them."""

import asyncio
import contextlib
import importlib.util
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpcore2
import numpy as np
import pytest

from embedbridge import ConfigurationError, Embedder, EmbeddingError, ProviderUnavailableError
from embedbridge._core.types import Batch, Route
from embedbridge.errors import RequestFailed
from embedbridge.providers._network import AsyncBackend, Progress, under_way
from embedbridge.testing import FaultServer, Latency
from embedbridge.testing.loopback import Certificate
from faults.apis import COHERE, OLLAMA, OPENAI, each_client
from support.cases import each
from support.proxy import ForwardProxy

SDKS = pytest.mark.parametrize("api", [OPENAI, COHERE, OLLAMA], ids=str)
TEXTS = ["one", "two"]


@pytest.fixture(scope="module")
def secure():
    with FaultServer(tls=True) as server:
        yield server


@pytest.fixture(scope="module")
def own():
    """A certificate for the client."""
    certificate = Certificate()
    yield certificate
    certificate.remove()


def embeds(caller, api, server, **options):
    embedder = api.embedder(server, provider_options=options)
    vectors = caller.embed_documents(embedder, TEXTS)
    np.testing.assert_array_equal(vectors, api.vectors(server, TEXTS))
    return embedder


def shown(embedder, error=""):
    options = embedder.options
    said = [embedder, options, options.model_dump(), options.model_dump_json(), embedder.space, error]
    return "".join(f"{each} {each!r}" for each in said) + repr(embedder._parts.provider.options)


# Trust.


@each_client
def test_w16_a_file_of_certificates_is_trusted_besides_the_usual_ones(api, caller, secure):
    embedder = embeds(caller, api, secure, verify=secure.certificate)
    with pytest.raises(ProviderUnavailableError, match="certificate"):
        caller.embed(api.embedder(secure, max_retries=0), TEXTS)
    other = api.embedder(secure, provider_options={"verify": secure.certificate})
    assert other.space == embedder.space == api.embedder(secure).space


def test_w16_what_is_trusted_is_added_and_takes_nothing_away(monkeypatch):
    from embedbridge.providers._transport import TransportOptions, _context

    def trusted(*, encrypted=True, **options):
        return _context(TransportOptions(**options), encrypted=encrypted).cert_store_stats()["x509"]

    certificate = Certificate()
    try:
        usual = trusted()
        assert trusted(verify=certificate.path) == usual + 1
        assert usual > 0
        for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
            monkeypatch.delenv(name, raising=False)
        assert trusted() > 100  # certifi's
        assert trusted(encrypted=False) == 0  # nothing is encrypted, so that they are not read
        assert trusted(encrypted=False, verify=certificate.path) == 1
    finally:
        certificate.remove()


@SDKS
def test_w16_a_folder_of_certificates_is_trusted_whatever_else_lies_there(api, caller, secure, tmp_path):
    (tmp_path / "README").write_text("no certificate")
    shutil.copy(secure.certificate, tmp_path / "ours.crt")
    embeds(caller, api, secure, verify=str(tmp_path))


@SDKS
def test_w16_verify_false_trusts_anybody_and_warns_once(api, caller, secure):
    with pytest.warns(UserWarning, match="verify=False") as warned:
        embedder = api.embedder(secure, provider_options={"verify": False}, dimensions=None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(caller.embed_documents(embedder, TEXTS)) == 2
    assert len(warned) == 1


def test_w16_verify_false_warns_once_where_narrower_vectors_are_asked_for(secure):
    with pytest.warns(UserWarning, match="verify=False") as warned:
        OPENAI.embedder(secure, provider_options={"verify": False}, dimensions=256)
    assert len(warned) == 1


@SDKS
def test_w16_a_client_certificate_is_shown_to_a_server_that_wants_one(api, caller, own, tmp_path, monkeypatch):
    make = Certificate.context

    def demanding(self):
        context = make(self)
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(own.path)
        return context

    monkeypatch.setattr(Certificate, "context", demanding)
    both, locked = tmp_path / "both.pem", tmp_path / "locked.pem"
    both.write_bytes(Path(own.path).read_bytes() + Path(own._key).read_bytes())
    command = ["openssl", "ec", "-aes256", "-passout", "pass:hunter2", "-in", own._key, "-out", str(locked)]
    subprocess.run(command, check=True, capture_output=True)
    with FaultServer(tls=True) as server:
        for cert in (str(both), (own.path, own._key), (own.path, str(locked), "hunter2")):
            embedder = embeds(caller, api, server, verify=server.certificate, cert=cert)
            assert "hunter2" not in shown(embedder)
        bare = api.embedder(server, provider_options={"verify": server.certificate}, max_retries=0)
        with pytest.raises(ProviderUnavailableError):
            caller.embed(bare, TEXTS)


@each_client
@each(
    ("options", "told"),
    [
        ({"verify": "/nowhere/ca.pem"}, "verify: '/nowhere/ca.pem' does not exist"),
        ({"verify": __file__}, "verify: .*holds no certificate"),
        ({"verify": 1}, "verify: write True, False, or the path"),
        ({"verify": ssl.create_default_context()}, "verify: write True, False, or the path"),
        ({"cert": ("a", "b", "c", "d")}, "cert: write a path"),
        ({"cert": "/nowhere/client.pem"}, "cert: there is no file '/nowhere/client.pem'"),
        ({"cert": __file__}, "cert: .*cannot be read"),
        ({"proxy": "user:hunter2@host:3128"}, "proxy: write an address as http://user:password@host:port"),
        ({"proxy": "ftp://user:hunter2@host"}, "proxy: write an address as"),
        ({"proxy": "http://user:hunter2@[::1"}, "proxy: write an address as"),
        ({"proxy": "socks5://user:hunter2@host:1"}, r"proxy: a SOCKS proxy needs the package 'socksio'"),
    ],
)
def test_w16_what_cannot_work_is_refused_at_construction_by_name(api, server, options, told):
    with pytest.raises(ConfigurationError, match=told) as caught:
        api.embedder(server, provider_options=options)
    assert "hunter2" not in str(caught.value)


def test_w16_a_key_that_is_locked_asks_nobody_for_its_password(own, server, tmp_path):
    locked = tmp_path / "locked.pem"
    command = ["openssl", "ec", "-aes256", "-passout", "pass:hunter2", "-in", own._key, "-out", str(locked)]
    subprocess.run(command, check=True, capture_output=True)
    for cert in ((own.path, str(locked)), (own.path, str(locked), "wrong")):
        with pytest.raises(ConfigurationError, match="cert: "):
            OPENAI.embedder(server, provider_options={"cert": cert})


# Proxies.


@each_client
@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_w16_requests_go_through_a_proxy_with_credentials_that_nobody_sees(api, tls, caller):
    with FaultServer(tls=tls) as server, ForwardProxy("some one:hunter2%21".replace(" ", "%20")) as proxy:
        proxy._credentials = "some one:hunter2!"
        options = {"proxy": proxy.url} | ({"verify": server.certificate} if tls else {})
        embedder = embeds(caller, api, server, **options)
        assert "hunter2" not in shown(embedder)
        verb, target, _ = proxy.asked[0].split()
        assert (verb == "CONNECT") == tls
        assert str(server.port) in target
        caller.close()  # so that nothing is left in the proxy's hands


@SDKS
@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_w16_a_proxy_that_refuses_the_credentials_is_named_after_one_request(api, tls, caller):
    with FaultServer(tls=tls) as server, ForwardProxy("someone:else") as proxy:
        wrong = {"proxy": f"http://someone:hunter2@{proxy.address}"}
        embedder = api.embedder(server, provider_options=wrong)
        with pytest.raises(EmbeddingError) as caught:
            caller.embed(embedder, TEXTS)
        assert "proxy" in str(caught.value)
        assert "hunter2" not in shown(embedder, caught.value)
        assert (len(proxy.asked), server.stats.calls) == (1, 0)


@SDKS
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "ALL_PROXY", "all_proxy"])
def test_w16_the_proxy_of_the_environment_is_used_and_no_proxy_too(api, variable, caller, server, monkeypatch):
    with ForwardProxy("someone:hunter2") as proxy:
        monkeypatch.setenv(variable, proxy.url)
        embeds(caller, api, server)
        assert len(proxy.asked) == 1
        for exempt in ("127.0.0.1", "example.com, 127.0.0.1", "*", f"127.0.0.1:{server.port}"):
            monkeypatch.setenv("NO_PROXY", exempt)
            embeds(caller, api, server)
        monkeypatch.setenv("NO_PROXY", "example.com")
        embeds(caller, api, server)
        assert len(proxy.asked) == 2
        embeds(caller, api, server, proxy=False)
        assert len(proxy.asked) == 2
        caller.close()


# Time.


@SDKS
def test_c18_every_connection_is_one_of_ours_that_keeps_the_deadline(api, caller, server):
    """And a server that sends a byte now and then holds no call longer than its timeout."""
    embedder = embeds(caller, api, server)
    provider = embedder._parts.provider
    (shared,) = provider._clients._shared.values()
    _, transport = shared.made.result()
    (connection,) = transport._pool.connections
    stream = connection._connection._network_stream
    assert type(stream).__module__ == "embedbridge.providers._network"
    server.on(lambda _: True, "drip:bytes=1;s=0.05")
    begun = time.monotonic()
    with pytest.raises(EmbeddingError, match="receiving the answer"):
        caller.embed(api.embedder(server, timeout=0.5, max_retries=0), ["three"])
    assert time.monotonic() - begun < 5


@SDKS
def test_c18_a_connection_that_is_not_ours_is_no_answer(api, caller, server, monkeypatch):
    """Where an HTTP library stops asking our backend, calls fail; they do not go on without a deadline."""
    import httpcore
    import httpcore2

    core = httpcore2 if api is OPENAI else httpcore
    plain = core.SyncBackend() if caller.mode == "sync" else core.AnyIOBackend()
    monkeypatch.setattr(f"embedbridge.providers._network.{'' if caller.mode == 'sync' else 'Async'}Backend", None)
    kind = "BlockingTransport" if caller.mode == "sync" else "AsyncTransport"
    monkeypatch.setattr(f"embedbridge.providers._wire.{kind}._backend", staticmethod(lambda _: plain))
    with pytest.raises(ConfigurationError, match="no timeout would hold"):
        caller.embed(api.embedder(server), TEXTS)


def slow_reader(listener):
    """Takes a connection and reads it by the kilobyte."""
    try:
        connection, _ = listener.accept()
        with connection:
            while connection.recv(1024):
                time.sleep(0.01)
    except OSError:
        pass


@SDKS
def test_c14_a_request_does_not_outlive_its_timeout_while_it_is_sent(api, caller):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        threading.Thread(target=slow_reader, args=(listener,), daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}{api.path}"
        provider = api.embedder(FaultServer(), base_url=url)._parts.provider
        batch = Batch(("x" * 10_000_000,), (0,), Route("document"), 1)
        begun = time.monotonic()
        with pytest.raises(RequestFailed, match="sending the request; raise timeout=") as caught:
            caller.call(provider, "ask", batch, timeout=1.0)
        spent = time.monotonic() - begun
        assert (caught.value.kind, caught.value.billed) == ("timeout", False)
        assert caught.value.doing == "sending the request"
    assert spent < 2.5, spent


@SDKS
def test_w12_a_server_that_loads_its_model_too_long_is_told_to_need_more_timeout(api, caller, server):
    server.script("hang")
    with pytest.raises(ProviderUnavailableError, match=r"waiting for the first byte.*raise timeout=.*loads its model"):
        caller.embed(api.embedder(server, timeout=0.4, max_retries=0), TEXTS)


def test_c1_names_are_looked_up_whatever_fills_the_loops_own_executor(server):
    """C1's kind: an event loop looks names up in the executor that applications fill."""
    release = threading.Event()

    async def run():
        executor = ThreadPoolExecutor(1)
        loop = asyncio.get_running_loop()
        loop.set_default_executor(executor)
        blocked = loop.run_in_executor(None, release.wait)
        provider = OPENAI.embedder(server, base_url=f"http://localhost:{server.port}/v1")._parts.provider
        try:
            reply = await asyncio.wait_for(provider.aask(Batch(("a",), (0,), Route("document"), 1), timeout=20), 20)
        finally:
            release.set()
            await blocked
            await provider.aclose()
        return reply

    assert len(asyncio.run(run()).items) == 1


# What one request brings.


@SDKS
@pytest.mark.parametrize("coding", ["utf-8", "aws-chunked", "none", "binary", "UTF-8, identity"])
def test_a_content_encoding_that_names_no_coding_is_none(api, coding, caller, server):
    server.on(lambda _: True, f"header:content-encoding={coding}")
    embeds(caller, api, server)


# Clients that are closed while others use them.


def use_and_close(embedder_of, calls, *, threads=8):
    """Calls in threads, while one thread closes every 10 ms; what went wrong, and how long the slowest took."""
    over, wrong = threading.Event(), []

    def work(number):
        try:
            for turn in range(calls):
                embedder_of().embed_documents([f"text {number}/{turn}"])
        except Exception as error:  # the test shows it
            wrong.append(error)

    def close():
        while not over.wait(0.01):
            embedder_of().close()

    closing = threading.Thread(target=close)
    workers = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(threads)]
    for thread in (closing, *workers):
        thread.start()
    for thread in workers:
        thread.join(30)
    over.set()
    closing.join()
    return wrong, [thread for thread in workers if thread.is_alive()]


@SDKS
def test_u1_calls_under_way_end_on_the_client_that_another_thread_closes(api, server):
    server.latency = Latency(base=0.005)
    embedder = api.embedder(server)
    wrong, hung = use_and_close(lambda: embedder, 12)
    assert (wrong, hung) == ([], [])
    assert server.stats.billed == Counter(api.sent(f"text {n}/{turn}") for n in range(8) for turn in range(12))
    embedder.close()


@SDKS
def test_u1_the_same_for_event_loops_in_threads(api, server):
    server.latency = Latency(base=0.005)
    embedder, wrong = api.embedder(server), []

    async def work(number):
        async def close():
            while True:
                await asyncio.sleep(0.01)
                await embedder.aclose()

        closing = asyncio.ensure_future(close())
        for turn in range(5):
            texts = [f"text {number}/{turn}/{part}" for part in range(3)]
            await asyncio.gather(*(embedder.aembed_documents([text]) for text in texts))
        closing.cancel()

    def run(number):
        try:
            asyncio.run(work(number))
        except BaseException as error:  # the test shows it
            wrong.append(error)

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert wrong == []
    assert not any(thread.is_alive() for thread in threads)
    expected = (api.sent(f"text {n}/{turn}/{part}") for n in range(4) for turn in range(5) for part in range(3))
    assert server.stats.billed == Counter(expected)


U9 = """
import asyncio, gc, sys, warnings
import nest_asyncio
from embedbridge import Embedder
nest_asyncio.apply()
embedders = [Embedder(model, base_url=url, api_key="sk-1", cache=False) for model, url in eval(sys.argv[1])]

async def main(embedder):
    return (await embedder.aembed_documents(["a"])).shape

for embedder in embedders:
    print(asyncio.run(main(embedder)), asyncio.run(main(embedder)))
"""


def test_u9_a_good_program_under_nest_asyncio_ends_in_silence(server):
    pytest.importorskip("nest_asyncio")
    models = [(f"{api.name}:{api.model}", server.url + api.path) for api in (OPENAI, COHERE, OLLAMA)]
    command = [sys.executable, "-c", U9, repr(models)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr, done.stdout.count("\n")) == (0, "", len(models))


class StepTimes(asyncio.SelectorEventLoop):
    """Knows the longest step of its own thread, in seconds of processor time."""

    longest = 0.0

    def _run_once(self):
        begun = time.thread_time()
        super()._run_once()
        self.longest = max(self.longest, time.thread_time() - begun)


@pytest.mark.parametrize("shape", ["base64", "forcefloat"])
def test_c12_the_largest_answer_is_read_beside_the_event_loop(shape):
    """C12: megabytes of base64, and 15 MB of the numbers as text, in no step of more than 20 ms of its thread."""
    texts = [f"text {number}" for number in range(512)]
    with FaultServer() as server:
        embedder = OPENAI.embedder(
            server, base_url=f"{server.url}/v1", cache=False, provider_options={"request_items": 512}
        )
        loop = StepTimes()
        provider = embedder._parts.provider
        batch = Batch(tuple(texts), tuple(range(len(texts))), Route("document"), 10)
        try:
            loop.run_until_complete(provider.aask(Batch(("warm",), (0,), Route("document"), 1), timeout=60))
            server.on(lambda _: True, "ok" if shape == "base64" else shape)
            loop.longest = 0.0
            reply = loop.run_until_complete(provider.aask(batch, timeout=60))
            assert len(reply.items) == 512
            assert loop.longest < 0.02
            loop.run_until_complete(embedder.aembed_documents(texts))
            assert loop.longest < 0.02
            loop.run_until_complete(embedder.aclose())
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()


def speak_http2(listener, context, answer):
    """A server of HTTP/2 that gives one answer to every request of one connection."""
    import h2.config
    import h2.connection
    import h2.events

    with contextlib.suppress(OSError):
        plain, _ = listener.accept()
        with context.wrap_socket(plain, server_side=True) as connection:
            line = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
            line.initiate_connection()
            connection.sendall(line.data_to_send())
            while data := connection.recv(65536):
                for event in line.receive_data(data):
                    if isinstance(event, h2.events.StreamEnded):
                        line.send_headers(event.stream_id, [(":status", "200"), ("content-type", "application/json")])
                        line.send_data(event.stream_id, answer, end_stream=True)
                    if isinstance(event, h2.events.DataReceived):
                        line.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                connection.sendall(line.data_to_send())


@SDKS
def test_http2_is_spoken_where_it_is_asked_for(api, caller, own):
    pytest.importorskip("h2")
    answer = {
        "openai": b'{"data": [{"index": 0, "embedding": [1.0, 2.0]}]}',
        "cohere": b'{"embeddings": {"float": [[1.0, 2.0]]}}',
        "ollama": b'{"embeddings": [[1.0, 2.0]]}',
    }[api.name]
    context = own.context()
    context.set_alpn_protocols(["h2"])
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=speak_http2, args=(listener, context, answer), daemon=True).start()
        embedder = Embedder(
            f"{api.name}:a-model-of-ours",
            api_key="sk-1",
            base_url=f"https://127.0.0.1:{listener.getsockname()[1]}{api.path}",
            cache=False,
            max_retries=0,
            timeout=20,
            provider_options={"verify": own.path, "http2": True},
        )
        for text in ("one", "two"):
            assert caller.embed_query(embedder, text).tolist() == [1.0, 2.0]
        caller.close()


def test_an_async_step_after_the_end_is_not_what_fails():
    """Its cancellation is: over HTTP/2 an error in a step would end the other requests that share the connection."""

    async def read_late(port):
        stream = await AsyncBackend(httpcore2).connect_tcp("127.0.0.1", port)
        under_way.set(Progress(timeout=0.0))
        await stream.write(b"late")
        found = await stream.read(100)
        await stream.aclose()
        return found

    with socket.create_server(("127.0.0.1", 0)) as listener:

        def echo():
            connection, _ = listener.accept()
            with connection:
                connection.sendall(connection.recv(100))

        threading.Thread(target=echo, daemon=True).start()
        assert asyncio.run(read_late(listener.getsockname()[1])) == b"late"


def test_http2_without_its_package_names_the_extra(server, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr("embedbridge.providers.base.find_spec", lambda name: None if name == "h2" else find(name))
    with pytest.raises(ConfigurationError, match=r'pip install "embedbridge\[http2\]"'):
        OPENAI.embedder(server, provider_options={"http2": True})
