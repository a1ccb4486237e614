"""What servers say when they refuse, in all shapes that were seen, and what of it may be shown."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedbridge._core import refusals
from embedbridge._core.known_refusals import KNOWN
from embedbridge.providers._error_words import WORDS, show, show_name
from embedbridge.providers._refusal import read_refusal
from support.cases import each

AT = "at non-singleton dimension 1"
PLAN = "You exceeded your current quota, please check your plan and billing details."


def gemini(quota, delay="36s"):
    violation = {"quotaMetric": "generativelanguage.googleapis.com/embed", "quotaId": quota}
    details = [{"violations": [violation]}, {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}]
    return {"error": {"code": 429, "message": PLAN, "status": "RESOURCE_EXHAUSTED", "details": details}}


KINDS = [
    # W2: what passes in seconds, and what does not
    (429, gemini("EmbedContentRequestsPerMinutePerProjectPerModel-FreeTier"), "rate"),
    (429, [gemini("EmbedContentRequestsPerMinutePerUser")], "rate"),
    (429, gemini("EmbedContentRequestsPerDayPerUserPerProjectPerModel-FreeTier"), "quota"),
    (429, {"error": {"message": f"{PLAN} Please retry in 1.2s."}}, "rate"),
    (429, {"error": {"message": PLAN}}, "quota"),
    (429, {"error": {"message": PLAN, "code": "insufficient_quota", "retry_after": 2}}, "rate"),
    (429, {"error": {"message": f"{PLAN} Please retry in 900s."}}, "quota"),
    (429, {"error": {"message": "slow down", "code": "rate_limit_exceeded"}}, ""),
    (429, {"message": "Trial keys are limited to 1000 API calls / month"}, "quota"),
    (403, {"error": {"message": "quota", "errors": [{"reason": "userRateLimitExceeded"}]}}, "rate"),
    (400, {"code": "Arrearage", "message": "Access denied."}, "quota"),
    (403, {"code": "AllocationQuota.FreeTierOnly", "message": "The free tier is used up."}, "quota"),
    (429, [gemini("EmbedContentRequestsPerDayPerProject") | {"trace": "x"}], "quota"),
    # Vertex AI, and the Gemini API by itself
    (400, {"error": {"message": "the input token count is 34708 but the model supports up to 20000."}}, "too_much"),
    (400, {"error": {"message": "the input token count is 2100 but the model supports up to 2048."}}, "too_long"),
    (400, {"error": {"message": "batchSize must be 1 but the entered value was 56."}}, "too_much"),
    (400, {"error": {"message": "it included too many instances. Reduce the number of instances"}}, "too_much"),
    (400, {"error": {"message": "250 instance(s) is allowed per prediction. Actual: 4777"}}, "too_much"),
    (400, {"error": {"message": "Request payload size exceeds the limit: 4194304 bytes."}}, "too_much"),
    (404, {"error": {"message": "models/a is not found for API version v1beta"}}, "missing_model"),
    (429, {"error": {"message": "Limit 3 per min. You can raise it by adding a payment method. Try again in 20s"}}, ""),
    (
        429,
        {"error": {"message": "litellm.RateLimitError: Error code: 429 - {'error': {'code': 'insufficient_quota'}}"}},
        "quota",
    ),
    (403, {"code": 20091, "message": "RPM limit exceeded. Please complete identity verification."}, "rate"),
    (403, {"code": 30001, "message": "Sorry, your account balance is insufficient"}, "quota"),
    (412, {"error": {"message": "Account suspended, spending limit reached", "code": "PRECONDITION_FAILED"}}, "quota"),
    (403, {"detail": {"error": "inference prohibited, please enter a Payment Method or add balance"}}, "quota"),
    (500, {"fault": {"faultstring": "Spike arrest violation. Allowed rate : 10ps"}}, "rate"),
    # W6: a field of the request
    (422, {"object": "error", "message": {"detail": [{"loc": ["body", "dimensions"], "msg": "no"}]}}, "configuration"),
    (
        400,
        [{"error": {"message": 'Invalid JSON payload received. Unknown name "user": Cannot find field.'}}],
        "configuration",
    ),
    (400, {"error": {"code": "extra_parameter", "message": "no extra parameters, please"}}, "configuration"),
    (400, {"error": {"code": "OperationNotSupported", "message": "does not work with the model"}}, "configuration"),
    (200, {"error": "Unexpected endpoint or method. (POST /embeddings). Returning 200 anyway"}, "configuration"),
    (400, {"error": "No models loaded. Please load a model in the developer page"}, "missing_model"),
    (404, {"detail": "The API deployment for this resource does not exist."}, "missing_model"),
    (404, {"error_code": "ENDPOINT_NOT_FOUND", "message": "The given endpoint does not exist"}, "missing_model"),
    (400, {"error": {"message": "No connected db.", "type": "no_db_connection"}}, "key"),
    (422, {"detail": [{"loc": ["body", "encoding_format"], "msg": "bad", "type": "literal_error"}]}, "configuration"),
    (400, {"error": {"message": "bad", "param": "user"}}, "configuration"),
    (400, {"object": "error", "message": "[{'loc': ('body', 'foo'), 'msg': 'Extra inputs'}]"}, "configuration"),
    (422, {"detail": [{"loc": ["body", "input", 3], "msg": "bad"}]}, ""),
    (400, {"error": {"message": "bad", "param": "input[3]"}}, ""),
    (422, {"detail": [{"loc": ["body"], "msg": "bad"}]}, ""),
    (400, {"error": {"message": "unknown name", "param": "model"}}, "missing_model"),
    (501, {"error": {"message": "This server does not support embeddings."}}, "configuration"),
    # memory, as in W7
    (500, {"error": "CUDA out of memory. Tried to allocate 2 GiB"}, "out_of_memory"),
    (500, {"detail": "std::bad_alloc"}, "out_of_memory"),
    # a 403, as in W10
    (403, {"error": {"message": "Input was flagged", "code": "moderation_blocked"}}, "text"),
    (400, {"code": "DataInspectionFailed", "message": "…"}, "text"),
    (403, {"error": {"message": "forbidden"}}, ""),
    (400, {"error": {"message": "API key not valid. Please pass a valid API key.", "code": 400}}, "key"),
    # length and size
    (413, {"error": "Input validation error: `inputs` must have less than 512 tokens. Given: 685"}, "too_long"),
    (400, {"error": {"type": "exceed_context_size_error", "message": "the request exceeds …"}}, "too_long"),
    (400, {"detail": "prefill 744 tokens exceed n_ctx_per_seq"}, "too_long"),
    (413, {"error": "batch size 40 > maximum allowed batch size 32"}, "too_much"),
    (422, {"detail": [{"loc": ["body", "input"], "msg": "List should have at most 100 items, not 256"}]}, "too_much"),
    (422, {"detail": [{"loc": ["body", "input", 3], "msg": "too long", "type": "string_too_long"}]}, "too_long"),
    (400, {"object": "error", "message": "Too many tokens in batch. Max is 16384 got 20000"}, "too_much"),
    (400, {"message": "length of prompt_tokens (685) must be less than max_seq_len (512)."}, "too_long"),
    (400, {"error": {"message": "litellm.ContextWindowExceededError: OpenAIException - no"}}, "too_long"),
    (424, {"error": "DriverError(CUDA_ERROR_OUT_OF_MEMORY)", "error_type": "backend"}, "out_of_memory"),
    (500, {"error": {"message": "failed to encode response: json: unsupported value: NaN"}}, "text"),
    # what passes
    (503, {"error": "Model BAAI/bge-m3 is currently loading", "estimated_time": 20.0}, "busy"),
    (429, {"error": "Model is overloaded", "error_type": "overloaded"}, "busy"),
    (404, {"error": "Model BAAI/bge-m3 is currently loading"}, "busy"),
    (424, {"error": {"code": "ModelNotReady", "message": "the endpoint starts"}}, "busy"),
    (500, {"error": {"message": "injected"}}, ""),
    # one answer for each row that no other test of this file meets
    (429, {"error": {"message": "Request too large for it", "code": "rate_limit_exceeded"}}, "over_rate"),
    (413, {"error": {"message": "Request too large: 9000 tokens per minute"}}, "over_rate"),
    (400, {"detail": {"code": "INPUT_TOKEN_LIMIT_EXCEEDED", "message": "no"}}, "too_long"),
    (400, {"error": {"code": "1261", "message": "Prompt"}}, "too_long"),
    (422, {"error": "`inputs` must have less than 2000 characters. Given: 2500"}, "too_long"),
    (400, {"message": "expected maxLength: 2048, actual: 3000, please reformat your input"}, "too_long"),
    (500, {"error": f"The size of tensor a (685) must match the size of tensor b (512) {AT}"}, "too_long"),
    (
        500,
        {"error": f"The expanded size of the tensor (685) must match the existing size (512) {AT}"},
        "too_long",
    ),
    (400, {"error": {"message": "This model's maximum context length is 8192 tokens, however …"}}, "too_long"),
    (500, {"error": "input (685 tokens) is too large to process. increase the physical batch size"}, "too_long"),
    (400, {"error": "request (685 tokens) exceeds the available context size (512 tokens)"}, "too_long"),
    (400, {"message": "a text may have no more than 512 tokens"}, "too_long"),
    (400, {"message": "Input text exceeds the maximum of 5000 bytes"}, "too_long"),
    (400, {"message": "the length is wrong"}, "perhaps_long"),
    (400, {"error": {"code": "max_tokens_per_request", "message": "no"}}, "too_much"),
    (400, {"message": "batch size is invalid, it should not be larger than 10."}, "too_much"),
    (400, {"error": {"message": "at most 100 requests can be in one batch"}}, "too_much"),
    (400, {"message": "invalid request: total number of texts must be at most 96 - received 97"}, "too_much"),
    (400, {"message": "Too many inputs in request, split into more batches."}, "too_much"),
    (400, {"error": {"message": "over", "type": "budget_exceeded"}}, "quota"),
    (400, {"__type": "ServiceQuotaExceededException", "message": "no"}, "quota"),
    (403, {"error": {"message": "The limit was reached."}}, "rate"),
    (500, {"error_code": 18, "error_msg": "Open api request limit reached"}, "rate"),
    (400, {"__type": "ExpiredTokenException", "message": "no"}, "key"),
    (400, {"error": {"message": "Error: [{'type': 'x', 'loc': ('body', 'foo'), 'msg'"}}, "configuration"),
    (400, {"message": "invalid output_dimension for this model"}, "configuration"),
    (400, {"message": "The provided model identifier is invalid."}, "missing_model"),
    (400, {"error": {"message": "The response was filtered by the content management policy"}}, "text"),
    (403, {"error": "Sorry, you have been blocked"}, "text"),
]


@each(("status", "body", "kind"), KINDS)
def test_what_a_refusal_means(status, body, kind):
    assert read_refusal(status, {}, body).kind == kind


LENGTHS = [
    ("Input length 685 exceeds maximum allowed token size 512", (685, 512)),
    ("input validation error: `inputs` must have less than 512 tokens. Given: 685", (685, 512)),
    (
        "This model's maximum context length is 8192 tokens, however you requested 9000 tokens (9000 in it)",
        (9000, 8192),
    ),
    ("the request (685 tokens) exceeds the available context size (512 tokens), try increasing it", (685, 512)),
    ("Prompt is too long: 8,193 tokens > 8,192 maximum", (8193, 8192)),
    ("Token count 700 exceeds limit of 512 tokens", (700, 512)),
    ("texts[2]: 20000 tokens > 16000", (20000, 16000)),
    ("Each input text must not exceed 2048 tokens", (None, 2048)),
    ("Range of input length should be [1, 2048]", (None, 2048)),
    ("Input at index 31 exceeded the maximum context length", (None, None)),
    ("the input length exceeds the context length", (None, None)),
]


@pytest.mark.parametrize(("said", "numbers"), LENGTHS, ids=str)
def test_the_tokens_of_a_text_and_the_limit_are_read_whatever_the_words(said, numbers):
    """W4."""
    for body in (
        {"error": {"message": said, "code": "context_length_exceeded"}},
        {"detail": f"Error code: 400 - {said}"},
    ):
        failure = read_refusal(400, {}, body)
        assert failure.kind == "too_long"
        assert (failure.numbers.get("tokens"), failure.numbers.get("limit")) == numbers


WAITS = [
    ({"error": {"details": [{"retryDelay": "1.2s"}]}}, 1.2),
    ({"retryInfo": {"retryDelay": "3s"}}, 3.0),
    ({"error": {"retry_after": 4}}, 4.0),
    ({"error": {"metadata": {"retryAfterMs": 1500}}}, 1.5),
    ({"error": {"details": [{"retryDelay": {"seconds": 2, "nanos": 500_000_000}}]}}, 2.5),
    ({"error": "Please try again in 6m0s."}, 360.0),
    ({"error": "Please try again in 12ms."}, 0.012),
    ({"message": "Please retry after 6 seconds."}, 6.0),
    ({"message": "Limit reached. Try again in 1 minute and 30 seconds"}, 90.0),
    ({"error": {"message": '{"error": {"message": "Please retry in 7s."}}'}}, 7.0),
    ({"error": "loading", "estimated_time": 20.0}, 20.0),
    ({"error": {"extra": {"Retry-After": "2"}}}, 2.0),
    ({"error": {"data": [{"wait_seconds": 2}]}}, 2.0),
    ({"error": {"message": "slow", "wait_time_ms": 1500}}, 1.5),
    ({"error": {"message": "slow", "retryAfter": "PT5S"}}, 5.0),
    ({"message": "Try again in PT1M30S"}, 90.0),
    ({"message": "Too many requests. Retry-After: 3"}, 3.0),
    (
        {
            "error": {
                "message": 'litellm.RateLimitError: VoyageException - {"detail": "try again in 4s"}\n\nno fallback'
            }
        },
        4.0,
    ),
    ({"error": {"message": "Provider error", "metadata": {"raw": '{"error": {"message": "Retry in 3s"}}'}}}, 3.0),
    ({"detail": [{"loc": ["body", "input"], "msg": "no", "input": {"message": "try again in 9s"}}]}, None),
    ({"error": {"retries": 3, "waiting": 4, "retry": 5}}, None),
    *(({"error": {"retry_after": wrong}}, None) for wrong in (-1, 0, "soon", None, True, [], "1e999")),
    ({"error": "Please try again later."}, None),
]


@each(("body", "seconds"), WAITS)
def test_a_wait_is_found_wherever_the_body_names_it(body, seconds):
    """W2: fields and words of the body are a Retry-After."""
    assert read_refusal(429, {}, body).retry_after == seconds


def test_a_header_counts_before_the_body():
    assert read_refusal(429, {"retry-after": "2"}, {"error": {"retry_after": 9}}).retry_after == 2.0


INSIDE = [
    ({"error": {"code": 429, "message": "slow"}}, 429),
    ({"error": {"code": "503", "message": "down"}}, 503),
    ([{"error": {"code": 500}}], 500),
    ({"error": {"status": "RESOURCE_EXHAUSTED"}}, 429),
    ({"errors": [{"status": 401, "message": "no"}]}, 401),
    ({"success": False, "errors": [{"code": 7502, "message": "upstream"}], "result": None}, None),
    ({"object": "error", "code": 404, "message": "no such thing"}, 404),
    ({"detail": "upstream failed"}, None),
    ({"fault": {"faultstring": "x", "detail": {"errorcode": "policies.ratelimit.SpikeArrestViolation"}}}, None),
    ({"message": "down", "status": 502}, 502),
    ({"statusCode": 429, "body": '{"message": "too many"}'}, 429),
    ({"data": None, "error": {"code": 503, "message": "overloaded"}}, 503),
    ({"data": [], "error": {"code": 503, "message": "overloaded"}}, 503),
]


@pytest.mark.parametrize(("body", "status"), INSIDE, ids=str)
def test_an_error_in_a_successful_answer_has_the_status_that_it_names(body, status):
    """W8: the code inside is the status; without one it is an error of the answer."""
    told = read_refusal(200, {}, body)
    assert told.status == status
    assert not told.billed
    assert status is not None or told.kind == "error"


@pytest.mark.parametrize(
    "body",
    [
        {"data": [], "error": None},
        {"data": [1], "error": {"code": 0, "message": ""}},
        {"data": [1], "error": {}, "code": 200, "message": "ok"},
        {"embeddings": [], "message": "ok"},
        {"success": True, "data": []},
        [],
        [1],
    ],
)
def test_a_successful_answer_is_no_refusal(body):
    assert read_refusal(200, {}, body) is None


def test_the_numbers_and_the_field_that_a_refusal_names_are_kept():
    long = "This model's maximum context length is 512 tokens. However, you requested 1451 tokens in the input"
    assert read_refusal(400, {}, {"message": long}).numbers == {"limit": 512, "tokens": 1451}
    given = {"error": "`inputs` must have less than 512 tokens. Given: 685"}
    assert read_refusal(413, {}, given).numbers == {"limit": 512, "tokens": 685}
    counted = {"error": {"type": "exceed_context_size_error", "n_prompt_tokens": 685, "n_ctx": 512}}
    assert read_refusal(400, {}, counted).numbers == {"limit": 512, "tokens": 685}
    nim = {"error": "Input length 685 exceeds maximum allowed token size 512"}
    assert read_refusal(400, {}, nim).numbers == {"limit": 512, "tokens": 685}
    named = {"detail": [{"loc": ["body", "late_chunking"], "msg": "no"}]}
    assert read_refusal(422, {}, named, fields=["late_chunking"]).param == "late_chunking"
    assert read_refusal(422, {}, named).param == ""


def test_an_endless_or_deep_body_is_read_to_a_bound():
    deep = {"error": "slow"}
    for _ in range(500):
        deep = {"error": deep}
    assert read_refusal(500, {}, deep).status == 500
    assert read_refusal(500, {}, {"errors": [{"message": "bad input"}] * 10_000}).status == 500


# What is shown.

ALTERED = {
    "as it is": lambda text: text,
    "upper": str.upper,
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "escaped": lambda text: json.dumps(text * 2, ensure_ascii=True).replace("a", "\\u0061"),
    "reversed": lambda text: " ".join(reversed(text.split())),
    "backwards": lambda text: text[::-1],
    "cut": lambda text: text[:11],
    "hex": lambda text: text.encode().hex(),
    "spaced": " ".join,
}
PRIVATE = ["Ada Lovelace of 12 St James Square", "hunter2", "pin 4711", "Ludwig", "4711 8312 9921 0001"]


@each("altered", ALTERED.values())
@each("text", PRIVATE)
def test_no_part_of_an_answer_shows_a_text_however_the_server_alters_it(text, altered):
    """R4: code, type, param, status, headers, content type and words alike."""
    echo = altered(text)
    body = {"error": {"message": f"cannot read {echo}", "code": echo, "type": echo, "param": echo, "status": echo}}
    listed = {"detail": [{"loc": ["body", echo], "msg": echo, "type": echo, "input": text}], "title": echo}
    headers = {"retry-after": echo, "x-ratelimit-reset": echo, "content-type": f"text/{echo}"}
    plain = read_refusal(400, {}, {"error": {"message": "cannot read", "code": ""}})
    for told in (
        read_refusal(400, headers, body),
        read_refusal(422, headers, listed),
        read_refusal(400, headers, None),
    ):
        shown = f"{told} {told.code} {told.param} {told.headers}".lower()
        for word in {*echo.lower().split(), *text.lower().split()}:
            if len(word) > 2 and word not in f"{plain}".lower():
                assert word not in shown.split(), (word, shown)
        assert echo.lower() not in shown


@given(st.text(min_size=1, max_size=40))
def test_words_outside_of_the_vocabulary_are_never_shown(text):
    for word in show(f"invalid input {text} in request", ()).replace("(", " ").replace(")", " ").split():
        letters = "".join(char if char.isalnum() else " " for char in word).split()
        assert all(
            part.lower() in WORDS or part.isdigit() or not part.isascii() or part[0].isdigit() or show_name(part)
            for part in letters
        ), word


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("Backend error for k", "Backend error for <key>"),
        ("Invalid 'encoding_format': use float", "Invalid encoding_format: use float"),
        ("Incorrect API key provided: sk-0123456789.", "Incorrect API key provided: <key>."),
        ("model 'nomic-embed' not found, try pulling it first", "model … not found, try … it first"),
        ("maximum input length is 8192 tokens", "maximum input length is 8192 tokens"),
        ("born 1815 in London", ""),
    ],
)
def test_what_is_known_is_shown_and_a_key_only_where_it_stands_as_a_word(said, shown):
    """R8: a short key is not cut out of words."""
    assert show(said, ["k", "sk-0123456789"]) == shown


def test_every_row_says_whose_words_it_knows_and_from_where():
    assert all(row.server and row.source and (row.code or row.said) for row in KNOWN)


def test_every_row_is_met_by_an_answer_of_its_own(monkeypatch):
    """A row that none meets is too late in the table, or its pattern is wrong."""
    met, meaning = set(), refusals._meaning
    monkeypatch.setattr(refusals, "_meaning", lambda row, *found: (met.add(id(row)), meaning(row, *found))[1])
    for status, body, _ in KINDS:
        read_refusal(status, {}, body)
    lacking = [(row.kind, row.server, row.code or row.said) for row in KNOWN if id(row) not in met]
    assert not lacking, "give KINDS an answer that each of these rows understands"
