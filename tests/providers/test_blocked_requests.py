"""Firewalls, proxies and servers that block or leave out one text, or all of them."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest

from embedbridge import InvalidInputError, InvalidResponseError, ProviderUnavailableError
from embedbridge.cache import MemoryCache
from embedbridge.testing import contains
from faults.apis import COHERE, OLLAMA, OPENAI

pytestmark = [pytest.mark.usefixtures("_short_pauses"), pytest.mark.one_flow]
APIS = pytest.mark.parametrize("api", [OPENAI, COHERE, OLLAMA], ids=str)
TEXTS = [f"text {at:03} here" for at in range(40)]
REST = [*range(7), *range(8, 40)]


def always(_):
    return True


def page(content, status, type_="text/html"):
    body = base64.urlsafe_b64encode(content.encode()).decode()
    return f"body:status={status};json={body}+ctype:type={type_}"


F5 = (
    "<html><head><title>Request Rejected</title></head><body>The requested URL was rejected. Please consult with your "
    "administrator.<br><br>Your support ID is: 1234<br></body></html>"
)
UNKNOWN = "<!DOCTYPE html><html><body><h1>Sorry</h1><p>This is not possible here.</p></body></html>"
MOMENT = "<!DOCTYPE html><html><head><title>Just a moment...</title></head><body>Enable JavaScript</body></html>"
ZSCALER = "<html><head><title>Internet Security by Zscaler</title></head><body>Not allowed to browse</body></html>"

ONE = {
    "F5's page in a 200": (page(F5, 200), InvalidInputError),
    "F5's page": (page(F5, 403), InvalidInputError),
    "a page of nobody's": (page(UNKNOWN, 403), InvalidInputError),
    "Cloudflare's line": (page("error code: 1010", 403, "text/plain"), InvalidInputError),
    "a 451": (
        page('{"error": {"message": "unavailable for legal reasons"}}', 451, "application/json"),
        InvalidInputError,
    ),
    "a page with status 406": (page("<html><title>Not Acceptable!</title>Mod_Security</html>", 406), InvalidInputError),
}


@APIS
@pytest.mark.parametrize("name", ONE)
@pytest.mark.parametrize("first", [True, False], ids=["in the first batch", "later"])
def test_one_text_that_is_blocked_is_named_and_the_others_are_kept(caller, server, api, name, first):
    """Each of them billed once, whether the server has accepted others before or not."""
    fault, kind = ONE[name]
    embedder = api.embedder(server, cache=MemoryCache(), batch_size=None if first else 5, concurrency=1)
    server.on(contains(TEXTS[7]), fault)
    with pytest.raises(kind, match="text 7:") as caught:
        caller.embed(embedder, TEXTS)
    assert (caught.value.failed_indices, caught.value.completed) == ((7,), tuple(REST))
    assert server.stats.billed == {api.sent(TEXTS[at]): 1 for at in REST}
    calls = server.stats.calls
    assert calls <= 1 + 3 + 2 * 6 + 8
    rest = caller.embed(embedder, [TEXTS[at] for at in REST])
    assert np.array_equal(rest.vectors, api.vectors(server, [TEXTS[at] for at in REST]))
    assert server.stats.calls == calls


@pytest.mark.parametrize("first", [True, False], ids=["in the first batch", "later"])
def test_a_page_in_a_200_whose_words_nobody_knows_names_its_text_once_others_are_accepted(caller, server, first):
    """By how the server behaves. It may be a wrong address before anything was accepted."""
    embedder = OPENAI.embedder(server, cache=MemoryCache(), batch_size=10, concurrency=1)
    guilty = 3 if first else 25
    server.on(contains(TEXTS[guilty]), page(UNKNOWN, 200))
    with pytest.raises(InvalidResponseError, match="a page for a browser") as caught:
        caller.embed(embedder, TEXTS)
    missing = range(10) if first else [25]
    assert caught.value.failed_indices == tuple(missing)
    assert server.stats.billed == {text: 1 for at, text in enumerate(TEXTS) if at not in missing}


@APIS
@pytest.mark.parametrize(
    "fault",
    [
        page(UNKNOWN, 403),
        page(MOMENT, 403),
        page(ZSCALER, 403),
        page(MOMENT, 200),
        page(ZSCALER, 200),
        page("error code: 1010", 403),
    ],
)
@pytest.mark.parametrize("count", [1, 40])
def test_what_blocks_every_request_is_told_as_that(caller, server, api, fault, count):
    """And not as a wrong key."""
    server.on(always, fault)
    with pytest.raises(ProviderUnavailableError, match="a firewall, a proxy or a login blocks the requests") as caught:
        caller.embed(api.embedder(server), TEXTS[:count])
    assert "api_key" not in str(caught.value)
    assert server.stats.calls == (1 if count == 1 else 4)
    assert server.stats.billed == {}


# One text without a vector.


def answer_without(seven, *, spoil=None):
    """What turns a sound answer of OpenAI's into one that has something else for a text."""

    def change(payload):
        if spoil is None:
            payload["data"] = [entry for entry in payload["data"] if entry["index"] != seven]
        else:
            payload["data"] = [spoil(entry) if entry["index"] == seven else entry for entry in payload["data"]]
        return payload

    return change


SPOILT = {
    "left out": None,
    "an error": lambda entry: {"index": entry["index"], "error": {"message": "no", "code": 500}},
    "an error as its vector": lambda entry: {"index": entry["index"], "embedding": {"error": "no"}},
    "an object without anything": lambda entry: {"index": entry["index"]},
    "an object of another kind": lambda entry: {"index": entry["index"], "object": "error", "message": "no"},
}


@pytest.mark.parametrize("name", SPOILT)
@pytest.mark.parametrize("lines", [False, True], ids=["one document", "a line for each"])
def test_one_text_without_a_vector_does_not_take_the_others_along(caller, server, name, lines):
    """The numbers of the others say which it is."""
    expected = OPENAI.vectors(server, TEXTS)
    whole = {"data": [{"index": at, "embedding": row.tolist()} for at, row in enumerate(expected)]}
    entries = answer_without(7, spoil=SPOILT[name])(whole)["data"]
    body = "\n".join(map(json.dumps, entries)) if lines else json.dumps({"data": entries})
    server.on(always, page(body, 200, "application/json"))
    embedder = OPENAI.embedder(server, cache=MemoryCache())
    with pytest.raises(InvalidResponseError, match="text 7:") as caught:
        caller.embed(embedder, TEXTS)
    assert (caught.value.failed_indices, caught.value.completed) == ((7,), tuple(REST))
    calls = server.stats.calls
    assert calls == 2
    rest = caller.embed(embedder, [TEXTS[at] for at in REST])
    assert np.array_equal(rest.vectors, expected[REST])
    assert server.stats.calls == calls


BARE = {
    "cohere, null": (COHERE, None),
    "cohere, an object": (COHERE, {"error": "no"}),
    "ollama, null": (OLLAMA, None),
    "ollama, an object": (OLLAMA, {"error": "no"}),
}


@pytest.mark.parametrize("name", BARE)
def test_the_same_for_vectors_without_numbers(caller, server, name):
    """Where something stands in its place."""
    api, instead = BARE[name]
    expected = api.vectors(server, TEXTS)
    rows = expected.tolist()
    rows[7] = instead
    embeddings = {"float": rows} if api is COHERE else rows
    server.on(always, page(json.dumps({"embeddings": embeddings}), 200, "application/json"))
    with pytest.raises(InvalidResponseError, match="text 7:") as caught:
        caller.embed(api.embedder(server), TEXTS)
    assert (caught.value.failed_indices, caught.value.completed) == ((7,), tuple(REST))


DOUBTFUL = {
    "numbered anew": [*range(39)],
    "the last one is missing": [*range(39)],
    "from 1, and the last or the first is missing": [*range(1, 40)],
    "one twice": [*range(38), 37],
    "too few": [0, 39],
    "a number that is none": [*range(38), "x"],
    "too large": [*range(38), 40],
}


@pytest.mark.parametrize("name", DOUBTFUL)
def test_numbers_that_do_not_prove_which_text_is_missing_are_refused(caller, server, name):
    """A vector of another text is worse than none."""
    expected = OPENAI.vectors(server, TEXTS)
    entries = [{"index": at, "embedding": expected[0].tolist()} for at in DOUBTFUL[name]]
    server.on(always, page(json.dumps({"data": entries}), 200, "application/json"))
    with pytest.raises(InvalidResponseError, match="vectors for 40 texts") as caught:
        caller.embed(OPENAI.embedder(server), TEXTS)
    assert caught.value.completed == ()
