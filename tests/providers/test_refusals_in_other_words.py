"""Refusals in words that are not OpenAI's, and with another status: what a call does, and what it costs."""

from __future__ import annotations

import numpy as np
import pytest

from embedbridge import (
    AuthenticationError,
    ConfigurationError,
    Embedder,
    InvalidInputError,
    QuotaExceededError,
    RateLimitTimeoutError,
)
from embedbridge.providers._refusal import read_refusal
from embedbridge.testing import FaultServer, count_tokens
from support.cases import each
from support.faults import body
from support.openai_posts import prose

pytestmark = [pytest.mark.usefixtures("_short_pauses"), pytest.mark.one_flow]

MODEL = "my-model"
PREFIXES = {"query_prefix": "", "document_prefix": ""}


def texts(count):
    return [f"text {at:03} here" for at in range(count)]


def open_embedder(server, **options):
    usual = {"base_url": f"{server.url}/v1", "api_key": "sk-test-0123456789", "cache": False}
    return Embedder(f"openai:{MODEL}", **usual | PREFIXES | options)


def always(_):
    return True


TPM = "Request was rejected due to rate limiting. If you want more, please contact a@b.c. Details:TPM limit reached."
RATES = [
    (403, {"code": 50603, "message": TPM, "data": ""}),
    (403, {"message": "Request rejected: too many requests"}),
    (403, {"message": "Request was rejected. TPM limit reached."}),
    (403, {"error": {"message": "Requests per second exceeded"}}),
    (403, {"error": "Too fast, slow down"}),
    (403, {"message": "Your request was blocked: 100 calls/minute is the most"}),
    (400, {"code": "SlowDown", "message": "Reduce your request rate"}),
    (400, {"message": "Please reduce your request rate."}),
    (400, {"message": "The request was rejected due to rate limiting"}),
    (400, {"message": "Rate limit exceeded: at most 20000 tokens per minute"}),
    (422, {"message": "concurrency limit reached"}),
    (403, {"message": "Access denied: request frequency too high"}),
    (403, {"message": "The request was blocked. Please try again in 0.1 seconds"}),
    (403, {"message": "no", "retry_after": 0.1}),
    (403, {"message": "tokens-per-minute exceeded"}),
    (400, {"message": "Engine overloaded, retry later"}),
    (500, {"message": "maximum number of tokens per minute exceeded"}),
]


@pytest.mark.parametrize(("status", "answer"), RATES, ids=str)
def test_a_rate_is_waited_for_whatever_the_status_and_the_words(caller, server, status, answer):
    """In the same request, and nothing is taken for a firewall's page, a bad text or a length."""
    server.script(*[body(status, answer)] * 2)
    result = caller.embed(open_embedder(server), texts(64))
    assert np.array_equal(result.vectors, server.vectors(texts(64), model=MODEL))
    assert server.stats.billed == dict.fromkeys(texts(64), 1)
    assert server.stats.calls <= 2 + 64 // 32 + 1


NOT_RATES = [
    (400, "Too many requests in one batch: at most 16 requests can be in one batch", "too_much"),
    (400, "Too many inputs, the batch size is over the limit, see https://a.example/docs/rate-limits", "too_much"),
    (403, "Request blocked", "text"),
    (403, "Requests per day exceeded", "quota"),
    (403, "<html>Request blocked <script src='/assets/min.js'></script> Contact us today</html>", "text"),
    (403, "Unauthorized activity was detected", ""),
]


@pytest.mark.parametrize(("status", "said", "kind"), NOT_RATES)
def test_what_is_no_rate_stays_what_it_is(status, said, kind):
    assert read_refusal(status, {}, {"error": {"message": said}}).kind == kind


SPENT = "Budget has been exceeded! Current cost: 12.0, Max budget: 10.0"
BUDGETS = [
    (400, {"error": {"message": SPENT, "type": "budget_exceeded", "param": None, "code": "400"}}),
    (400, {"error": {"message": SPENT, "code": "400"}}),
    (429, {"error": {"message": "ExceededBudget: User=a over budget. Spend=12.0, Budget=10.0", "code": "429"}}),
    (403, {"error": {"message": "Request rejected: you are over budget"}}),
]


@pytest.mark.parametrize(("status", "answer"), BUDGETS, ids=str)
def test_a_budget_that_is_spent_is_not_waited_for(caller, server, status, answer):
    """One request."""
    server.on(always, body(status, answer))
    with pytest.raises(QuotaExceededError):
        caller.embed(open_embedder(server), texts(40))
    assert server.stats.calls == 1


LARGE = (
    "Request too large for model on tokens per minute (TPM): Limit 700, Requested {}, "
    "please reduce your message size and try again."
)


@pytest.mark.parametrize("status", [400, 413, 429])
@pytest.mark.parametrize("names", [{"type": "tokens", "code": "rate_limit_exceeded"}, {}], ids=["code", "words"])
def test_a_request_over_the_limit_per_minute_is_divided_whatever_the_status(caller, server, status, names):
    """A text that is over it by itself is not cut, for the model reads all of it."""
    answer = {"error": {"message": LARGE.format(1470)} | names}
    server.on(lambda request: len(request.items) > 8, body(status, answer))
    embedder = open_embedder(server, batch_size=32, concurrency=1)
    caller.embed(embedder, texts(32))
    assert server.stats.billed == dict.fromkeys(texts(32), 1)
    assert server.stats.calls <= 10
    server.on(always, body(status, answer))
    with pytest.raises(RateLimitTimeoutError):
        caller.embed(embedder, ["words " * 1470])


# Lengths.

TGI = (
    "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 300. "
    "Given: {n} `inputs` tokens and 0 `max_new_tokens`"
)
LENGTHS = [
    TGI,
    "Bad request: prompt token count ({n}) cannot exceed 300.",
    "tokens ({n}) may not exceed 300",
    "token count {n} must not exceed 300",
    "{n} tokens, must be <= 300 tokens",
    "{n} input tokens > 300 allowed",
    "{n} tokens do not fit in the context of 300",
    "Sequence of {n} tokens is above 300",
    "The window holds only 300 tokens, and {n} were sent",
    "num_tokens ({n}) > max_seq_length (300)",
    "The number of tokens ({n}) surpasses the capacity (300)",
]


def refuse_longer_than(server, limit, answer):
    """Refuse requests that have a text of more tokens than the limit, the first of them named as `{n}`."""

    def is_long(request):
        return max(map(count_tokens, request.items)) > limit

    server.on(is_long, answer)


LONG = [prose("a", 60), prose("b", 555), prose("c", 120), prose("d", 20)]


def cuts_text_1(caller, server, texts, limit, *, calls, embedder=None):
    """Text 1 alone is cut, all are billed once, and none is lost."""
    server.stats.log.clear()
    server.stats.billed.clear()
    result = caller.embed(embedder or open_embedder(server), texts)
    assert [cut.index for cut in result.report.cut] == [1]
    sent = [text for request in server.requests if request.status == 200 for text in request.items]
    kept = next(text for text in sent if text not in texts)
    assert texts[1].startswith(kept)
    assert count_tokens(kept) > limit * 0.55
    given = [kept if at == 1 else text for at, text in enumerate(texts)]
    assert np.array_equal(result.vectors, server.vectors(given, model=MODEL))
    assert server.stats.billed == dict.fromkeys(given, 1)
    assert len(server.requests.to("/v1/embeddings")) <= calls
    return result


@pytest.mark.parametrize("said", LENGTHS)
def test_a_length_is_understood_in_any_order_of_words(caller, server, said):
    """By its unit, its comparison and its numbers; the text is cut after one refusal."""
    refuse_longer_than(server, 300, body(400, {"error": {"message": said.format(n=555)}}))
    cuts_text_1(caller, server, LONG, 300, calls=4)


def test_a_code_with_a_fixed_meaning_is_understood_without_words(caller, server):
    """Zhipu's."""
    refuse_longer_than(server, 300, body(400, {"error": {"code": "1261", "message": "Prompt \u8d85\u957f"}}))
    cuts_text_1(caller, server, LONG, 300, calls=9)


def test_a_length_in_a_successful_answer_is_understood(caller, server):
    """Hunyuan's."""
    error = {"Code": "InvalidParameterValue", "Message": "input tokens exceed 300"}
    refuse_longer_than(server, 300, body(200, {"Response": {"Error": error}}))
    cuts_text_1(caller, server, LONG, 300, calls=4)


@pytest.mark.parametrize("limit", [400, 413, 422, 500])
@pytest.mark.parametrize(
    "said", ["at most {} tokens are allowed", "Error code: 400 - at most {} tokens", "HTTP 413: {} tokens is the limit"]
)
def test_a_limit_may_be_the_number_of_a_status(caller, server, limit, said):
    """A status is one in a status's place alone."""
    refuse_longer_than(server, limit, body(400, {"error": {"message": said.format(limit)}}))
    cuts_text_1(caller, server, [LONG[0], prose("b", 1200), *LONG[2:]], limit, calls=6)


@pytest.mark.parametrize("said", ["Unexpected token < in JSON at position 12", "invalid special token in the text"])
def test_a_token_is_not_always_one_of_a_length(said):
    assert read_refusal(400, {}, {"error": {"message": said}}).kind == ""


def test_a_wrong_field_is_no_length():
    told = read_refusal(400, {}, {"error": {"param": "foo", "message": "its length exceeds 300"}}, fields=["input"])
    assert (told.kind, told.param) == ("configuration", "")


# Fields, and answers with status 200.

FIELDS = [
    {"title": "One or more validation errors occurred.", "status": 400, "errors": {"encoding_format": ["no"]}},
    {"title": "One or more validation errors occurred.", "status": 400, "errors": {"$.EncodingFormat": ["no"]}},
    {"encoding_format": ["This field is not supported."]},
    {"errors": {"encoding_format": "no"}},
    {"errors": [{"property": "encoding_format", "detail": "no"}]},
    {"errors": [{"source": {"pointer": "/data/encoding_format"}, "detail": "no"}]},
    {"title": "Bad", "invalid-params": [{"name": "encoding_format", "reason": "no"}]},
]


@pytest.mark.parametrize("answer", FIELDS, ids=str)
def test_a_field_by_which_messages_are_listed_is_named_after_one_request(caller, server, answer):
    """.NET's problem+json, Django's."""
    server.on(always, body(400, answer))
    with pytest.raises(ConfigurationError, match=r"provider_options={'encoding_format': 'float'}"):
        caller.embed(open_embedder(server), texts(40))
    assert server.stats.calls == 1


@pytest.mark.parametrize("name", ["input", "Input", "Input[3]", "message", "0"])
def test_the_texts_and_messages_in_such_a_list_are_no_wrong_field(name):
    told = read_refusal(400, {}, {"errors": {name: ["bad"]}}, fields=["input", "model", "encoding_format"])
    assert told.kind == ""


LOGINS = [
    {"vectors": None, "base_resp": {"status_code": 1004, "status_msg": "login fail"}},
    {"error_code": 110, "error_msg": "Access token invalid or no longer valid"},
    {"error": "Unauthorized"},
    {"Response": {"Error": {"Code": "AuthFailure.SecretIdNotFound", "Message": "not found"}}},
]


@pytest.mark.parametrize("answer", LOGINS, ids=str)
def test_a_key_that_a_successful_answer_refuses_is_told_as_that(caller, server, answer):
    """After one request."""
    server.on(always, body(200, answer))
    with pytest.raises(AuthenticationError):
        caller.embed(open_embedder(server), texts(40))
    assert server.stats.calls == 1


# What servers do, where their words are not known.

UNKNOWN = [
    body(413, {}),
    "html:status=413",
    body(400, {"error": {"message": "555 tokens, sorry"}}),
    body(400, {"error": {"message": "Zu viele Zeichen: 2220 von 1200 (tokens 300)"}}),
    body(422, {"detail": [{"loc": ["body", "input", 1], "msg": "the length is not good"}]}),
]


@pytest.mark.parametrize("answer", UNKNOWN)
def test_a_text_that_alone_is_refused_is_tried_shorter_where_shorter_ones_pass(caller, server, answer):
    """Until it is accepted."""
    refuse_longer_than(server, 300, answer)
    cuts_text_1(caller, server, LONG, 300, calls=12)


@pytest.mark.parametrize("answer", UNKNOWN)
def test_under_error_it_is_not_tried_shorter(caller, server, answer):
    refuse_longer_than(server, 300, answer)
    with pytest.raises(InvalidInputError) as caught:
        caller.embed(open_embedder(server, too_long="error"), LONG)
    assert caught.value.failed_indices == (1,)
    assert all(text in LONG for text in server.stats.billed)


@pytest.mark.parametrize("said", ["the length is not good", "token 50256 of it is bad", "no"])
def test_a_text_that_is_refused_for_what_it_says_is_not_cut(caller, server, said):
    """It is no longer than those that are accepted, or nothing speaks of a length."""
    given = [*texts(20), prose("long", 200)]
    server.on(lambda request: any("text 007" in text for text in request.items), body(400, {"error": said}))
    with pytest.raises(InvalidInputError) as caught:
        caller.embed(open_embedder(server), given)
    assert caught.value.failed_indices == (7,)
    assert set(server.stats.billed) <= set(given)
    assert server.stats.billed == dict.fromkeys(set(given) - {"text 007 here"}, 1)


def test_a_text_that_is_refused_however_short_it_is_ends_as_it_began(caller, server):
    """The trial ends where texts of its length are accepted."""
    given = [*texts(8), prose("long", 200)]
    server.on(lambda request: any("raven" in text for text in request.items), body(400, {"error": "a bad length"}))
    with pytest.raises(InvalidInputError) as caught:
        caller.embed(open_embedder(server), given)
    assert caught.value.failed_indices == (8,)
    assert server.stats.calls <= 24


def dense_tokens(text):
    """Digits are a token for two bytes, prose for four."""
    return len(text) // (2 if text[-20:].replace(" ", "").isdigit() else 4)


def numbers(tag, tokens):
    return (f"{tag} " + " ".join(str(at * 7919) for at in range(tokens)))[: 2 * tokens]


@pytest.mark.parametrize("answer", ["400:message=the input does not fit into the context window", UNKNOWN[0]])
def test_what_passes_is_remembered_of_a_server_that_counts_no_tokens(caller, server, answer):
    """For texts of each kind, so that later calls cost hardly more than their texts."""
    server.on(lambda request: max(map(dense_tokens, request.items)) <= 300, "nousage")
    server.on(always, answer)
    for at, (make, cost) in enumerate([(prose, 30), (prose, 4), (numbers, 30), (numbers, 4), (prose, 4)]):
        given = [*texts(20), make(f"a{at}", 900), make(f"b{at}", 250), make(f"c{at}", 2000)]
        server.stats.log.clear()
        server.stats.billed.clear()
        result = caller.embed(open_embedder(server), given)
        assert [cut.index for cut in result.report.cut] == [20, 22]
        sent = [text for request in server.requests if request.status == 200 for text in request.items]
        assert server.stats.billed == dict.fromkeys(sent, 1)
        by_tag = {text[:2]: text for text in sent[:]}
        assert all(given[cut.index].startswith(by_tag[given[cut.index][:2]]) for cut in result.report.cut)
        assert min(dense_tokens(by_tag[given[row][:2]]) for row in (20, 22)) > 300 * 0.55
        assert result.report.counter.startswith("estimate")
        assert len(server.requests.to("/v1/embeddings")) <= cost


def test_the_tokens_of_a_text_are_corrected_by_those_of_its_beginning(caller):
    """Where the server names the limit alone."""
    with FaultServer(bytes_per_token=2) as server:
        text = ("if (a[i] != b[j]) { x += 1; }\n" * 80)[:1623]
        refused = body(400, {"error": {"message": "a text has at most 300 tokens"}})
        server.on(lambda request: max(map(len, request.items)) > 600, refused)
        (cut,) = caller.embed(open_embedder(server), ["short", text]).report.cut
        assert (cut.index, cut.kept > 200) == (1, True)
        assert abs(cut.tokens - 812) < 8


# What a server quotes.

QUOTED = [
    "our rate limit is 100 requests per minute",
    "the budget was exceeded again",
    "a text of 555 tokens exceeds 300",
    "the length of 2220 is too long for them",
]


@each("words", QUOTED)
@each("status", [400, 403, 422])
def test_words_of_a_text_decide_nothing(words, status):
    """Nor do those that are believed first."""
    told = read_refusal(status, {}, {"error": {"message": f"bad text: {words}"}}, sent=f"\0a\0{words}\0")
    assert (told.kind, told.numbers) == ("", {})
