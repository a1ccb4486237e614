"""The fault server's life, its limits, and what it remembers."""

import http.client
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time

import httpx
import httpx2
import openai
import pytest

from embedbridge.testing import FAULTS, FaultServer, Latency, Limits, RateLimit, count_tokens, vector_for
from support.waiting import until

MODEL = "text-embedding-3-small"


def ask(client: openai.OpenAI, *texts: str) -> openai.types.CreateEmbeddingResponse:
    return client.embeddings.create(model=MODEL, input=list(texts))


def client_of(server: FaultServer, **options: object) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.url}/v1", **{"api_key": "sk-test", "max_retries": 0, **options})


class TestLife:
    def test_it_stops_while_a_client_hangs(self, server, client):
        server.script("hang")
        failures = []

        def call() -> None:
            try:
                ask(client, "a")
            except openai.APIConnectionError as error:
                failures.append(error)

        caller = threading.Thread(target=call)
        caller.start()
        until(lambda: server.stats.in_flight)
        server.stop()
        caller.join(5)
        assert len(failures) == 1

    def test_it_starts_again_on_its_port_and_remembers(self, server, client):
        ask(client, "a")
        port = server.port
        server.stop()
        with pytest.raises(openai.APIConnectionError):
            ask(client, "a")
        server.start()
        ask(client, "a")
        assert server.port == port
        assert server.stats.billed == {"a": 2}

    def test_it_is_on_the_loopback_interface_only(self, server):
        assert server.url == f"http://127.0.0.1:{server.port}"

    def test_a_taken_port_is_an_error_at_start(self, server):
        with pytest.raises(OSError, match="address already in use"):
            FaultServer(port=server.port).start()

    def test_it_cannot_be_started_twice(self, server):
        with pytest.raises(RuntimeError, match="running already"):
            server.start()

    def test_what_breaks_inside_is_raised_at_the_end(self):
        server = FaultServer().start()
        server.on(lambda request: request.nonsense, "500")
        with client_of(server) as client, pytest.raises(openai.APIConnectionError):
            ask(client, "a")
        with pytest.raises(AttributeError, match="nonsense"):
            server.stop()

    def test_a_request_whose_client_has_gone_is_over(self, server, client):
        server.script("hang")
        with pytest.raises(openai.APITimeoutError):
            ask(client.with_options(timeout=0.1), "a")
        until(lambda: not server.stats.in_flight)
        ask(client, "a")
        assert server.stats.max_in_flight == 1

    def test_tls_is_refused_unless_the_certificate_is_trusted(self):
        with FaultServer(tls=True) as server:
            with client_of(server) as stranger, pytest.raises(openai.APIConnectionError):
                ask(stranger, "a")
            trusting = httpx2.Client(verify=ssl.create_default_context(cafile=server.certificate))
            with client_of(server, http_client=trusting) as friend:
                assert len(ask(friend, "a").data) == 1
            assert server.stats.calls == 1

    def test_it_runs_from_a_shell(self):
        command = [sys.executable, "-m", "embedbridge.testing", "--port", "0", "--width", "8"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            url = process.stdout.readline().split()[-1]
            assert httpx.post(f"{url}/_control/script", json=["429"]).status_code == 200
            with openai.OpenAI(base_url=f"{url}/v1", api_key="x", max_retries=0) as client:
                with pytest.raises(openai.RateLimitError):
                    ask(client, "a")
                assert len(ask(client, "a").data[0].embedding) == 8
            counts = httpx.get(f"{url}/_control/stats").json()
            assert (counts["calls"], counts["statuses"]) == (2, {"429": 1, "200": 1})
        finally:
            process.kill()
            process.communicate()

    def test_a_port_that_is_taken_is_one_line(self, server):
        port = server.url.rpartition(":")[2]
        command = [sys.executable, "-m", "embedbridge.testing", "--port", port]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(f"port {port} cannot be served on")
        assert done.stderr.count("\n") == 1

    def test_its_help_fits_a_terminal_and_names_every_fault(self):
        command = [sys.executable, "-m", "embedbridge.testing", "--help"]
        lines = subprocess.check_output(command, text=True, env=os.environ | {"COLUMNS": "80"}).splitlines()
        assert max(map(len, lines)) <= 80
        assert set(FAULTS) <= {line.split()[0] for line in lines if line.startswith("  ")}

    def test_importing_it_imports_no_framework(self):
        heavy = {"langchain_core", "llama_index", "torch", "sentence_transformers", "openai", "cohere", "ollama"}
        command = [sys.executable, "-c", f"import embedbridge.testing, sys; print({heavy!r} & sys.modules.keys())"]
        assert subprocess.check_output(command) == b"set()\n"


class TestLimits:
    def test_keys(self, server, client):
        server.api_keys = frozenset({"sk-real"})
        with pytest.raises(openai.AuthenticationError):
            ask(client, "a")
        assert ask(client.with_options(api_key="sk-real"), "a").data

    def test_limits_can_be_set(self, server, client):
        server.limits["openai"] = Limits(items=2, tokens_per_item=None, tokens_per_request=None, body_bytes=200)
        with pytest.raises(openai.BadRequestError, match="at most 2"):
            ask(client, "a", "b", "c")
        with pytest.raises(openai.APIStatusError, match="413"):
            ask(client, "a" * 200)

    def test_a_rate_limit_says_how_long_to_wait_and_then_lets_in(self, server, client):
        server.rate = RateLimit(requests=2, tokens=1000, window=1)
        first = client.embeddings.with_raw_response.create(model=MODEL, input="a")
        assert (first.headers["x-ratelimit-limit-requests"], first.headers["x-ratelimit-remaining-requests"]) == (
            "2",
            "1",
        )
        ask(client, "a")
        with pytest.raises(openai.RateLimitError) as caught:
            ask(client, "a")
        wait = int(caught.value.response.headers["retry-after-ms"]) / 1000
        assert 0 < wait <= 0.5
        time.sleep(wait)
        ask(client, "a")

    def test_a_request_larger_than_the_bucket_never_gets_in(self, server, client):
        server.rate = RateLimit(tokens=10)
        with pytest.raises(openai.RateLimitError):
            ask(client, "word " * 40)
        assert not server.stats.billed

    def test_more_at_once_than_allowed_is_a_503(self, server, client):
        server.max_concurrent, server.latency = 1, Latency(base=0.3)
        slow = threading.Thread(target=ask, args=(client, "a"))
        slow.start()
        until(lambda: server.stats.in_flight)
        with pytest.raises(openai.InternalServerError, match="overloaded"):
            ask(client, "b")
        slow.join()
        assert server.stats.billed == {"a": 1}

    def test_a_slow_answer_is_billed_though_the_client_has_gone(self, server, client):
        server.latency = Latency(per_item=0.1)
        with pytest.raises(openai.APITimeoutError):
            ask(client.with_options(timeout=0.05), "a")
        until(lambda: server.stats.served)
        assert server.stats.billed == {"a": 1}


class TestMemory:
    def test_requests_can_be_asked_for_by_where_they_went(self, server, client, ollama_client):
        ask(client, "a", "b")
        ollama_client.embed("m", "c")
        assert server.requests.counts == {"/v1/embeddings": 1, "/api/embed": 1}
        assert server.requests.to("openai").items == [["a", "b"]]
        assert server.requests.to("/api/embed").bodies == [{"model": "m", "input": "c"}]
        assert server.requests[0].headers["authorization"] == "Bearer sk-test"
        assert [request.status for request in server.requests[:1]] == [200]

    def test_what_is_paid_twice_is_known_by_its_text(self, server, client):
        ask(client, "a", "b")
        ask(client, "b")
        assert server.stats.again() == {"b": 2}
        assert (server.stats.calls, server.stats.texts, server.stats.tokens) == (2, 3, 3)

    def test_a_reset_forgets_everything(self, server, client):
        ask(client, "a")
        server.on(lambda _: True, "500")
        server.script("500")
        server.reset()
        ask(client, "a")
        assert (server.stats.statuses, len(server.requests)) == ({200: 1}, 1)

    def test_bodies_may_come_in_chunks_or_squeezed(self, server):
        body = json.dumps({"model": MODEL, "input": ["a"]}).encode()
        line = http.client.HTTPConnection("127.0.0.1", server.port)
        line.request("POST", "/v1/embeddings", iter([body[:10], body[10:]]), encode_chunked=True)
        assert len(json.load(line.getresponse())["data"]) == 1
        line.close()

    def test_nonsense_on_the_line_is_survived(self, server, client):
        with socket.create_connection(("127.0.0.1", server.port)) as line:
            line.sendall(b"\x16\x03\x01 nonsense")
        ask(client, "a")


def test_vectors_are_a_pure_function_of_model_role_and_text():
    truth = vector_for("a", model="m", input_type="query", dims=16)
    assert truth.tolist() == vector_for("a", model="m", input_type="query", dims=16).tolist()
    others = [{"model": "n"}, {"input_type": "document"}, {"context": ["a", "b"]}]
    for other in others:
        assert truth.tolist() != vector_for("a", **{"model": "m", "input_type": "query", "dims": 16, **other}).tolist()
    assert vector_for("a", dims=4).tobytes().hex() == "de7a203f2ab7d3be1fac89bdc72a28bf"


def test_a_token_is_four_bytes():
    assert [count_tokens(text) for text in ("", "a", "four", "fünf", "\ud800", [7, 8])] == [1, 1, 1, 2, 1, 2]
