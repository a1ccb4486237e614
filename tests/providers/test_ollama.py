"""Ollama through its own SDK: what is asked, what becomes of long texts, what goes wrong, and a real engine."""

import base64
import json
from contextlib import closing

import numpy as np
import pytest
from pydantic import SecretStr

from embedbridge import (
    ConfigurationError,
    Embedder,
    InputTooLongError,
    InvalidInputError,
    InvalidResponseError,
    ProviderUnavailableError,
)
from embedbridge._core.types import Batch, Route
from embedbridge.catalogue import look_up
from embedbridge.errors import RequestFailed
from embedbridge.providers._servers import OllamaServer
from embedbridge.providers.base import ProviderConfig
from embedbridge.providers.ollama import OllamaProvider, address
from embedbridge.testing import FaultServer, Limits, contains, count_tokens

NOMIC, UNKNOWN = "nomic-embed-text", "our-own-model"
TOO_LONG = "400:message=the input length exceeds the context length"


def ollama(server, model=NOMIC, **options):
    return Embedder(f"ollama:{model}", **{"base_url": server.url, "cache": False} | options)


def provider(url=None, model=NOMIC, api_key=None, **options):
    config = ProviderConfig(model, look_up("ollama", model), api_key, url, options=options)
    return OllamaProvider(config)


def batch(*texts):
    return Batch(texts, tuple(range(len(texts))), Route("document"), 10)


def truth(server, *texts, model=NOMIC, dims=None):
    return server.vectors(texts, dialect="ollama", model=model, dims=dims)


def words(count, word="word"):
    return " ".join(f"{word}{i % 10}" for i in range(count))


def test_a_request_says_what_the_server_needs_and_carries_the_models_prefix(caller, server):
    vectors = caller.embed_documents(ollama(server), ["a", "b"])
    (request,) = server.requests
    assert request.path == "/api/embed"
    assert "authorization" not in request.headers
    assert request.payload == {
        "model": NOMIC,
        "input": ["search_document: a", "search_document: b"],
        "truncate": False,
    }
    np.testing.assert_array_equal(vectors, truth(server, "search_document: a", "search_document: b"))


def test_sixty_five_texts_are_two_requests_and_keep_their_order(caller, server):
    texts = [f"text {i}" for i in range(65)]
    vectors = caller.embed_documents(ollama(server, UNKNOWN), texts)
    assert sorted(map(len, server.requests.items)) == [1, 64]
    np.testing.assert_array_equal(vectors, truth(server, *texts, model=UNKNOWN))


def test_long_texts_travel_in_smaller_requests_so_that_a_slow_machine_answers_in_time(caller, server):
    caller.embed_documents(ollama(server, UNKNOWN), [f"{i} " + "x" * 1900 for i in range(20)])
    assert [len("".join(items)) <= 16_384 for items in server.requests.items] == [True, True, True]


def test_tokens_are_what_the_server_counted(caller, server):
    report = caller.embed(ollama(server), ["four", "eight bytes and more"]).report
    assert (report.tokens, report.tokens_from) == (server.stats.tokens, "provider")


# Texts that are too long.


def asked(server):
    """Requests for vectors; no other ever may be cut by the server."""
    requests = server.requests.to("/api/embed")
    assert not any(request.payload["truncate"] for request in requests)
    return requests


def refused(server):
    return sum(request.status != 200 for request in asked(server))


@pytest.mark.parametrize("model", [NOMIC, UNKNOWN])
def test_a_text_that_the_server_refuses_is_cut_and_the_next_ones_are_right_at_once(caller, server, model):
    """W4: what the server counted is told, each text is billed once, and a second call meets no refusal."""
    embedder = ollama(server, model, document_prefix="")
    for letter, allowed in (("x", 1), ("y", 0)):
        texts = [f"text {i} {letter}" for i in range(7)] + [letter * 12_000]  # 3,000 tokens, of which 2,048 are read
        server.reset()
        result = caller.embed(embedder, texts)
        ((index, tokens, kept),) = [(cut.index, cut.tokens, cut.kept) for cut in result.report.cut]
        assert (index, tokens) == (7, 3000)
        assert 2048 * 0.9 < kept <= 2048
        (sent,) = (text for text in server.stats.billed if text.startswith(letter))
        assert count_tokens(sent) == kept
        assert server.stats.billed == dict.fromkeys([*texts[:7], sent], 1)
        assert refused(server) == allowed
        np.testing.assert_array_equal(result.vectors, truth(server, *texts[:7], sent, model=model))
        assert result.report.tokens == server.stats.tokens


def test_what_a_model_reads_is_asked_for_once_when_a_text_is_refused(caller, server):
    """W9: whoever sends short texts alone asks for nothing; 2,048 tokens are what the server publishes."""
    embedder = ollama(server, UNKNOWN)
    caller.embed(embedder, ["short"])
    assert [request.path for request in server.requests] == ["/api/embed"]
    for letter in "xyz":
        caller.embed(embedder, [letter * 30_000])
    (shown,) = server.requests.to("/api/show")
    assert json.loads(shown.body) == {"model": UNKNOWN}
    assert refused(server) == 1


BERT = {"general.architecture": "bert", "bert.context_length": 512}


@pytest.mark.parametrize(
    ("shown", "num_ctx", "limit"),
    [
        ({"model_info": BERT}, None, 512),
        ({"model_info": BERT, "parameters": 'stop  "x"\nnum_ctx                        256'}, None, 256),
        ({"model_info": BERT, "parameters": "num_ctx 256"}, 8192, 512),
        ({"parameters": "num_ctx 256\n"}, None, 256),
        ({"model_info": [], "parameters": 7}, None, None),
        (None, 300, 300),
    ],
)
def test_what_a_model_reads_is_the_least_of_what_is_said(shown, num_ctx, limit):
    assert OllamaServer("http://127.0.0.1:11434", UNKNOWN, num_ctx).read_facts([shown]).text_tokens == limit


class Reticent(FaultServer):
    """It publishes nothing of its models."""

    async def answer(self, connection, request):
        """Answer requests for vectors alone."""
        if request.path == "/api/show":
            await connection.send(404, {}, b"404 page not found")
            return True
        return await super().answer(connection, request)


def test_a_server_that_publishes_nothing_gets_shorter_texts_until_it_takes_them(caller):
    """W4: afterwards it is known what fits."""
    with Reticent(limits={"ollama": Limits(None, 1250, None)}) as server:
        embedder = ollama(server, UNKNOWN)
        (cut,) = caller.embed(embedder, ["short", "x" * 8000]).report.cut
        assert (cut.index, 1250 * 0.7 < cut.kept <= 1250) == (1, True)
        before = refused(server)
        given = ["y" * 8000, "z" * 7000, "short too", "w" * 3600]
        assert [cut.index for cut in caller.embed(embedder, given).report.cut] == [0, 1]
        assert refused(server) == before


def test_what_one_context_teaches_is_not_taken_for_another(caller, server):
    """L1: an embedder that asks for 512 tokens is told of them; one that asks for 2,048 has its text read whole."""
    text = "x" * 6000
    small = caller.embed(ollama(server, UNKNOWN, provider_options={"num_ctx": 512}), [text]).report.cut
    assert [cut.kept <= 512 for cut in small] == [True]
    assert caller.embed(ollama(server, UNKNOWN, provider_options={"num_ctx": 2048}), [text]).report.cut == ()


def test_a_server_that_cuts_all_the_same_is_no_error(caller, server):
    """As one does that is older than `truncate`."""
    server.on(lambda request: request.payload.pop("truncate", None) is False, "ok")
    assert caller.embed_documents(ollama(server, UNKNOWN), ["x" * 9000]).shape == (1, 768)
    assert server.stats.calls == 1


def test_texts_that_the_server_may_still_read_are_left_whole_and_not_reported(caller, server):
    result = caller.embed(ollama(server, document_prefix=""), ["x" * 8192])
    assert server.requests.items == [["x" * 8192]]
    assert result.report.cut == ()


def test_under_error_the_text_that_is_refused_is_named_and_the_others_are_asked_for_once(caller, server):
    texts = [f"text {i}" for i in range(7)] + ["x" * 9000]
    with pytest.raises(InputTooLongError) as caught:
        caller.embed(ollama(server, UNKNOWN, too_long="error"), texts)
    assert caught.value.index == 7
    assert server.stats.billed == dict.fromkeys(texts[:7], 1)
    assert asked(server)


@pytest.mark.parametrize("model", [NOMIC, UNKNOWN])
@pytest.mark.parametrize("reads", [2048, 700])
def test_a_mean_is_made_of_pieces_that_the_server_takes(caller, server, model, reads):
    """W4: a piece that is refused is split again; each is billed once."""
    server.limits["ollama"] = Limits(None, reads, None)
    text = "".join(f"{i:05d}" for i in range(3000))
    result = caller.embed(ollama(server, model, too_long="mean", document_prefix=""), [text])
    pieces = sorted(server.stats.billed, key=text.find)
    assert "".join(pieces) == text
    assert max(map(count_tokens, pieces)) <= reads
    assert set(server.stats.billed.values()) == {1}
    assert [cut.index for cut in result.report.cut] == [0]
    mean = np.average(truth(server, *pieces, model=model), axis=0, weights=[*map(count_tokens, pieces)])
    np.testing.assert_allclose(result.vectors[0], mean / np.linalg.norm(mean), atol=1e-3)
    before = refused(server)
    caller.embed(ollama(server, model, too_long="mean", document_prefix=""), [text[::-1]])
    assert refused(server) == before


def test_a_text_that_is_refused_however_short_ends_in_an_error(caller, server):
    server.on(contains("x"), TOO_LONG)
    with pytest.raises(InputTooLongError):
        caller.embed(ollama(server, UNKNOWN), ["x" * 100])
    assert [len(request.items[0]) for request in asked(server)] == [100, 69, 46]


# The server's parameters.


def test_options_reach_the_server(caller, server):
    own = {"keep_alive": "5m", "num_ctx": 1024, "options": {"num_thread": 2}, "headers": {"X-Team": "search"}}
    caller.embed(ollama(server, provider_options=own), ["a"])
    (request,) = server.requests
    assert request.payload["keep_alive"] == "5m"
    assert request.payload["options"] == {"num_thread": 2, "num_ctx": 1024, "num_batch": 1024}
    assert request.headers["x-team"] == "search"


@pytest.mark.parametrize(
    ("model", "options", "sent", "limit"),
    [
        ("nomic-embed-text", {}, None, 2048),
        ("bge-m3", {}, {"num_ctx": 2048, "num_batch": 2048}, 2048),
        ("bge-m3", {"num_ctx": 8192}, {"num_ctx": 8192, "num_batch": 8192}, 8192),
        ("bge-m3", {"num_ctx": 32_768}, {"num_ctx": 32_768, "num_batch": 32_768}, 8192),
        ("bge-m3", {"num_ctx": 8192, "num_batch": 512}, {"num_ctx": 8192, "num_batch": 512}, 8192),
        ("bge-m3", {"options": {"num_ctx": 4096}}, {"num_ctx": 4096, "num_batch": 4096}, 4096),
        (UNKNOWN, {}, None, None),
        (UNKNOWN, {"num_ctx": 512}, {"num_ctx": 512, "num_batch": 512}, 512),
    ],
)
def test_a_long_context_is_read_only_when_it_is_asked_for(server, model, options, sent, limit):
    with closing(provider(server.url, model, **options)) as own:
        own.ask(batch("a"), timeout=5)
        assert server.requests.bodies[0].get("options") == sent
        assert own.limits.text_tokens == limit


def test_vectors_of_another_context_are_kept_apart():
    assert provider(model="bge-m3").identity != provider(model="bge-m3", num_ctx=8192).identity


@pytest.mark.parametrize(
    "wrong", [{"keep_alive": "five minutes"}, {"keep_alive": "5 m"}, {"num_ctx": 0}, {"num_ctxt": 512}]
)
def test_wrong_options_are_refused_at_construction(wrong):
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        Embedder(f"ollama:{NOMIC}", cache=False, provider_options=wrong)


@pytest.mark.parametrize("right", [300, -1, 0, "5m", "1h30m", "-1m", "1.5h"])
def test_keep_alive_takes_what_the_server_takes(right):
    assert provider(keep_alive=right).options.keep_alive == right


# Dimensions.


def test_a_model_that_is_trained_for_it_is_cut_here_to_what_the_server_would_give(caller, server):
    vectors = caller.embed_documents(ollama(server, dimensions=256, document_prefix=""), ["a"])
    assert "dimensions" not in server.requests.bodies[0]
    np.testing.assert_allclose(vectors, truth(server, "a", dims=256), atol=1e-7)


def test_a_model_that_is_not_trained_for_it_is_refused_before_anything_is_sent(server):
    with pytest.raises(ConfigurationError, match="not trained to be cut"):
        ollama(server, "bge-m3", dimensions=256)


def test_a_model_that_nobody_has_described_is_asked_for_fewer_dimensions(caller, server):
    vectors = caller.embed_documents(ollama(server, UNKNOWN, dimensions=64), ["a"])
    assert server.requests.bodies[0]["dimensions"] == 64
    np.testing.assert_array_equal(vectors, truth(server, "a", model=UNKNOWN, dims=64))


def test_a_server_that_ignores_the_dimensions_is_found_out(caller, server):
    with pytest.raises(InvalidResponseError, match="768 dimensions, 1024 expected"):
        caller.embed(ollama(server, UNKNOWN, dimensions=1024, max_retries=0), ["a"])


# What goes wrong.


def test_a_missing_model_is_an_error_that_says_how_to_get_it(caller, server):
    server.script("404:message=model 'nomic-embed-text' not found")
    with pytest.raises(ConfigurationError, match="run: ollama pull nomic-embed-text"):
        caller.embed(ollama(server), ["a"])
    assert server.stats.calls == 1


def test_an_address_with_a_path_too_many_is_told_from_a_missing_model(caller, server):
    with pytest.raises(ConfigurationError, match="check base_url"):
        caller.embed(ollama(server, base_url=f"{server.url}/v1"), ["a"])
    assert server.stats.calls == 1


def test_a_server_that_is_not_running_is_named_with_what_to_do(caller, server):
    server.stop()
    with pytest.raises(
        ProviderUnavailableError, match=f"nothing answers at {server.url}; start Ollama, or set base_url"
    ):
        caller.embed(ollama(server, max_retries=0), ["a"])


def test_a_text_that_becomes_nan_every_time_is_named_and_the_others_are_asked_for_once(caller, server):
    # As bge-m3 does with some texts: https://github.com/ollama/ollama/issues/14657
    texts = [f"text {i}" for i in range(20)] + ["poison"]
    server.on(contains("poison"), "500:message=failed to encode response: json: unsupported value: NaN")
    with pytest.raises(InvalidInputError, match="NaN") as caught:
        caller.embed(ollama(server, UNKNOWN), texts)
    assert caught.value.index == 20
    assert server.stats.billed == dict.fromkeys(texts[:20], 1)


def test_a_model_that_gives_no_embeddings_ends_the_call_at_once(caller, server):
    server.script("501:message=this model does not support embeddings")
    with pytest.raises(ConfigurationError, match="does not support embeddings"):
        caller.embed(ollama(server), ["a"])
    assert server.stats.calls == 1


def test_a_busy_server_is_asked_again_and_nothing_is_paid_twice(caller, server):
    busy = "server busy, please try again.  maximum pending requests exceeded"
    server.script(f"503:retry-after=0.05;message={busy}")
    assert caller.embed(ollama(server, UNKNOWN), ["a"]).report.retries == 1
    assert server.stats.billed == {"a": 1}


@pytest.mark.parametrize("fault", ["drop:where=start", "empty", "nan", "zero", "ragged", "nodata", "truncate"])
def test_an_unsound_answer_is_asked_for_once_more(caller, server, fault):
    server.script(fault)
    result = caller.embed(ollama(server, UNKNOWN), ["a", "b"])
    np.testing.assert_array_equal(result.vectors, truth(server, "a", "b", model=UNKNOWN))
    assert server.stats.billed == {"a": 2, "b": 2}


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("html:status=200", "not_json"),
        ("error200", "error"),
        ("nodata", "no_data"),
        ("badgzip", "encoding"),
        ("redirect", "redirect"),
        ("reset:at=mid", "connection"),
        ("hang", "timeout"),
        ("drip:bytes=1;s=0.02", "timeout"),
    ],
)
def test_a_broken_exchange_is_one_named_failure_after_one_request(caller, server, fault, kind):
    server.script(fault)
    with pytest.raises(RequestFailed) as caught:
        caller.call(provider(server.url), "ask", batch("a secret text"), timeout=0.5)
    assert caught.value.kind == kind
    assert server.stats.calls == 1


# The address and the key.


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("example.com", "http://example.com:11434"),
        ("example.com:8080", "http://example.com:8080"),
        ("example.com/ollama", "http://example.com:11434/ollama"),
        ("[::1]", "http://[::1]:11434"),
        ("http://example.com", "http://example.com"),
        ("https://example.com:8443/ollama", "https://example.com:8443/ollama"),
    ],
)
def test_an_address_may_be_whatever_the_sdk_takes(host, url):
    assert address(host) == url


@pytest.mark.parametrize("scheme", ["", "http://"])
def test_address_and_key_come_from_the_environment(caller, server, monkeypatch, scheme):
    monkeypatch.setenv("OLLAMA_HOST", f"{scheme}127.0.0.1:{server.port}")
    monkeypatch.setenv("OLLAMA_API_KEY", "ol-not-a-real-key")
    caller.embed(Embedder(f"ollama:{NOMIC}", cache=False), ["a"])
    assert server.requests[0].headers["authorization"] == "Bearer ol-not-a-real-key"


def test_credentials_in_the_address_are_sent_and_never_shown(caller, server):
    embedder = ollama(server, base_url=f"http://me:pa%24s@127.0.0.1:{server.port}", max_retries=0)
    server.script("ok", "500:message=Basic bWU6cGEkcw==")
    caller.embed(embedder, ["a"])
    assert server.requests[0].headers["authorization"] == "Basic " + base64.b64encode(b"me:pa$s").decode()
    with pytest.raises(ProviderUnavailableError) as caught:
        caller.embed(embedder, ["b"])
    assert not any(secret in repr(caught.value) for secret in ("pa$s", "pa%24s", "bWU6cGEkcw"))


def test_a_key_and_a_gateways_headers_are_kept_out_of_errors(caller, server):
    key, gateway = "ol-not-a-real-key", "gw-not-a-real-key"
    server.script(f"500:message={key} and {gateway} for a secret text")
    own = provider(server.url, api_key=SecretStr(key), headers={"X-Gateway": gateway})
    with pytest.raises(RequestFailed) as caught:
        caller.call(own, "ask", batch("a secret text"), timeout=5)
    assert server.requests[0].headers["x-gateway"] == gateway
    assert not any(secret in repr(caught.value) + repr(own.options) for secret in (key, gateway, "secret text"))


def test_the_default_address_is_no_other_space(monkeypatch):
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1")
    assert provider().identity == provider("http://127.0.0.1:11434").identity
    assert provider().identity.endpoint == ""


def test_a_closed_embedder_opens_again(mode, caller, server):
    embedder = ollama(server)
    caller.embed(embedder, ["a"])
    caller.call(embedder, "close")
    caller.embed(embedder, ["b"])
    assert (server.stats.calls, server.stats.connections) == (2, 2), mode


# A real engine.


@pytest.fixture(scope="module")
def torch_model(minilm_path):
    return pytest.importorskip("sentence_transformers").SentenceTransformer(str(minilm_path), device="cpu")


@pytest.mark.one_flow
def test_a_real_engine_gives_the_models_own_vectors_cut_near_where_the_model_cuts(caller, ollama_server, torch_model):
    texts = ["A cat sits on the mat.", words(400), "Ein Satz auf Deutsch.", words(90)]
    result = caller.embed(ollama(ollama_server, "all-minilm"), texts)
    own = torch_model.encode(texts, normalize_embeddings=True)
    close = (result.vectors * own).sum(axis=1)
    assert close[[0, 2, 3]].min() >= 0.9999
    assert close[1] >= 0.99  # of what the model would read, a little is left out
    assert [cut.index for cut in result.report.cut] == [1]


@pytest.mark.one_flow
def test_a_real_engines_own_count_says_how_much_was_read(caller, ollama_server, torch_model):
    # A letter of this alphabet is a token to this model, so at four bytes a token the text would seem to fit.
    text = words(36, "длинныйтекст")
    assert len(text.encode()) / 4 < 256 < len(torch_model.tokenizer.tokenize(text))
    report = caller.embed(ollama(ollama_server, "all-minilm"), ["short", text]).report
    assert [(cut.index, 256 * 0.7 < cut.kept <= 256) for cut in report.cut] == [(1, True)]
    assert report.tokens == 3 + report.cut[0].kept


def test_a_real_engine_refuses_what_it_may_not_cut(caller, ollama_server):
    with pytest.raises(InputTooLongError) as caught:
        caller.embed(ollama(ollama_server, "all-minilm", too_long="error"), ["short", words(300, "ж")])
    assert caught.value.index == 1


@pytest.mark.one_flow
@pytest.mark.parametrize("policy", ["truncate", "error", "mean"])
def test_a_real_engine_reads_all_of_a_long_text_of_few_tokens(caller, ollama_server, torch_model, policy):
    """L1: eight tokens, and far more bytes than any text of words may have; also after another was refused."""
    embedder = ollama(ollama_server, "all-minilm", too_long=policy)
    for blanks in (" " * 70_000, "\n" * 50_000):
        given = [f"A cat {blanks} sits on the mat."]
        result = caller.embed(embedder, given)
        assert result.report.cut == ()
        assert result.vectors[0] @ torch_model.encode(given, normalize_embeddings=True)[0] >= 0.9999
        if policy != "error":
            caller.embed(embedder, [words(400)])


def test_a_real_engines_missing_model_is_named(caller, ollama_server):
    with pytest.raises(ConfigurationError, match="ollama pull nothing-such"):
        caller.embed(ollama(ollama_server, "nothing-such"), ["a"])


@pytest.mark.one_flow
def test_a_real_engine_takes_dimensions(caller, ollama_server, torch_model):
    reply = caller.call(
        OllamaProvider(ProviderConfig("all-minilm", None, None, ollama_server.url, dimensions=128)),
        "ask",
        batch("a", "b"),
        timeout=30,
    )
    own = torch_model.encode(["a", "b"], truncate_dim=128, normalize_embeddings=True)
    assert (np.array(reply.items, np.float32) * own).sum(axis=1).min() >= 0.9999
