"""Limits of a whole request in tokens, and of a text in characters or bytes, learnt from a refusal (W4, W9)."""

from __future__ import annotations

import math

import numpy as np
import pytest

from embedbridge import InputTooLongError
from embedbridge.testing import FaultServer, Limits, count_tokens
from support.faults import body
from support.openai_posts import MODEL, answered, open_embedder, posts, prose, refused

pytestmark = pytest.mark.one_flow

MODELS = (MODEL, "text-embedding-3-small")
"""Of the first one no limit is documented; of the second one OpenAI's own, which is larger than this server's."""


def total_is_limited(server, limit, status, message, code=None):
    """Answer with these words what has more tokens in all."""
    error = {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}}
    server.on(lambda request: sum(map(count_tokens, request.items)) > limit, body(status, error))


TOTAL = 8192
NAMED = {
    "OpenAI": None,
    "Mistral": (400, "Too many tokens in batch. Max tokens per request: 8,192"),
    "Voyage": (400, f"The max allowed tokens per submitted batch is {TOTAL}. Please lower the number of tokens."),
    "a rate of tokens": (
        429,
        f"Request too large for m on tokens per min (TPM): Limit {TOTAL}.",
        "rate_limit_exceeded",
    ),
}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("words", NAMED.values(), ids=NAMED)
def test_a_total_that_a_refusal_names_holds_for_the_rest_of_the_call(caller, server, words, model):
    """W9: 200 long texts cost hardly more requests than the limit asks for, and each is billed once."""
    if words is None:
        server.limits["openai"] = Limits(None, None, TOTAL)
    else:
        total_is_limited(server, TOTAL, *words)
    texts = [prose(f"a{at:03}", 1000) for at in range(200)]
    result = caller.embed(open_embedder(server, model), texts)
    assert np.array_equal(result.vectors, server.vectors(texts, model=model))
    assert server.stats.billed == dict.fromkeys(texts, 1)
    least = math.ceil(sum(map(count_tokens, texts)) / TOTAL)
    assert refused(server) <= 3
    assert len(posts(server)) <= 1.35 * least
    server.stats.log.clear()
    texts = [prose(f"b{at:03}", 1000) for at in range(200)]
    caller.embed(open_embedder(server, model), texts)
    assert refused(server) <= 1
    assert len(posts(server)) <= 1.1 * least + 1


def test_a_total_that_one_text_exceeds_cuts_it(caller, server):
    """W4, W9: and the others are kept."""
    texts = [prose("a", 100), prose("b", 9000), prose("c", 7000), prose("d", 2000)]
    total_is_limited(server, TOTAL, 400, f"Too many tokens in batch. Max tokens per request: {TOTAL}")
    result = caller.embed(open_embedder(server), texts)
    (cut,) = result.report.cut
    assert cut.index == 1
    assert server.stats.billed == dict.fromkeys(answered(server), 1)
    assert set(answered(server)) >= {*texts} - {texts[1]}
    (kept,) = set(answered(server)) - {*texts}
    assert texts[1].startswith(kept)
    assert count_tokens(kept) > TOTAL / 2


def test_a_total_holds_for_texts_of_unlike_lengths(caller):
    """W9: the gaps that long texts leave are filled by shorter ones."""
    lengths = [100, 2000, 800, 3500, 300, 1500, 4000, 200, 3000, 600] * 15
    texts = [prose(f"m{at:03}", tokens) for at, tokens in enumerate(lengths)]
    with FaultServer() as server:
        server.limits["openai"] = Limits(None, None, TOTAL)
        result = caller.embed(open_embedder(server, MODELS[1]), texts)
        assert np.array_equal(result.vectors, server.vectors(texts, model=MODELS[1]))
        assert server.stats.billed == dict.fromkeys(texts, 1)
        assert refused(server) <= 3
        assert len(posts(server)) <= 1.25 * math.ceil(sum(lengths) / TOTAL)


UNNAMED = {
    "tokens": (400, "Number of tokens in batch exceeds the limit"),
    "size": (413, "Payload too large"),
    "memory": (500, "CUDA out of memory"),
    "nothing": (400, "bad request"),
}


@pytest.mark.parametrize("words", UNNAMED.values(), ids=UNNAMED)
def test_a_total_that_nobody_names_is_sought_by_one_request_before_others_are_sent(caller, server, words):
    """W7, W9: by halves, so a request is at least half as large as it may be."""
    total_is_limited(server, TOTAL, *words)
    texts = [prose(f"a{at:03}", 1000) for at in range(200)]
    caller.embed(open_embedder(server, MODELS[1]), texts)
    assert server.stats.billed == dict.fromkeys(texts, 1)
    assert refused(server) <= 6
    assert len(posts(server)) <= 2.2 * math.ceil(sum(map(count_tokens, texts)) / TOTAL)


# A text's length in characters or bytes.

MOST = 2048


def units(text, unit):
    return {"characters": len(text), "UTF-16": len(text.encode("utf-16-le")) // 2, "bytes": len(text.encode())}[unit]


CHARACTERS = {
    "Cohere on Bedrock": (
        "Malformed input: #/texts/0: expected maxLength: {most}, actual: {actual}, please",
        {},
    ),
    "pydantic": ("String should have at most {most} characters", {"code": "string_too_long"}),
    "OpenAI": (
        "string too long. Expected a string with maximum length {most}, but got a string with length {actual} instead.",
        {"code": "string_above_max_length"},
    ),
    "TEI": ("Input validation error: `inputs` must have less than {more} characters. Given: {actual}", {}),
    "plain": ("text is too long: {actual} characters, more than the {most} characters that are allowed", {}),
}


LETTERS = ("a", "ü", "漢", "😀")
LENGTHS = [60, 5000, 2048, 2049, 3000, 1000] * 4


def corpus(tag):
    return [f"{tag}{at:02} ".ljust(length, LETTERS[at % 4]) for at, length in enumerate(LENGTHS)]


def length_is_limited(server, words, fields, unit, texts):
    """Refuse what is longer in this unit, in words that name the number of the longest text."""
    sizes = {units(text, unit) for text in texts}
    for actual in sorted(size for size in sizes if size > MOST):
        said = words.format(most=MOST, more=MOST + 1, actual=actual)
        error = {"error": {"message": said, "type": "invalid_request_error", "param": None} | fields}
        server.on(lambda request, actual=actual: longest(request, unit) == actual, body(400, error))
    rest = words.format(most=MOST, more=MOST + 1, actual="") if "{actual}" not in words else "no text of the test"
    error = {"error": {"message": rest, "type": "invalid_request_error", "param": None} | fields}
    server.on(lambda request: longest(request, unit) > MOST, body(400, error))


def longest(request, unit):
    return max(units(text, unit) for text in request.items)


COUNTED = [
    (name, unit)
    for name in CHARACTERS
    for unit in ("characters", "UTF-16", "bytes")
    if unit == "characters" or name not in {"pydantic", "TEI"}
]
"""Both are known to count code points."""


@pytest.mark.parametrize(("name", "unit"), COUNTED)
def test_a_text_is_cut_by_a_limit_of_characters_and_the_next_ones_are_right_at_once(caller, server, name, unit):
    """W4: whatever the server's language calls a character; each text is billed once."""
    words, fields = CHARACTERS[name]
    embedder = open_embedder(server)
    for tag, allowed in (("a", 1 if "{most}" in words and "{actual}" in words else 3), ("b", 0)):
        texts = corpus(tag)
        server.reset()
        length_is_limited(server, words, fields, unit, texts)
        result = caller.embed(embedder, texts)
        sent = {text[:4]: text for text in set(answered(server))}
        assert server.stats.billed == dict.fromkeys(sent.values(), 1)
        own = [sent[text[:4]] for text in texts]
        assert np.array_equal(result.vectors, server.vectors(own, model=MODELS[0]))
        for text, kept in zip(texts, own, strict=True):
            assert text.startswith(kept)
            assert kept == text or MOST - 4 < units(kept, unit) <= MOST
        long = [at for at, text in enumerate(texts) if units(text, unit) > MOST]
        assert [cut.index for cut in result.report.cut] == long
        assert all(cut.kept < cut.tokens for cut in result.report.cut)
        assert refused(server) <= allowed


def test_a_limit_of_characters_splits_under_mean_and_is_an_error_under_error(caller, server):
    """W4: pieces are within the limit, with nothing lost; the error names the text."""
    words, fields = CHARACTERS["Cohere on Bedrock"]
    texts = ["short", prose("x", 1250), "y" * 2048]
    length_is_limited(server, words, fields, "characters", texts)
    result = caller.embed(open_embedder(server, too_long="mean"), texts)
    pieces = sorted((text for text in set(answered(server)) if text in texts[1]), key=texts[1].find)
    assert "".join(pieces) == texts[1]
    assert max(map(len, pieces)) <= MOST
    assert [cut.index for cut in result.report.cut] == [1]
    for attempt in range(2):
        server.stats.log.clear()
        with pytest.raises(InputTooLongError) as caught:
            caller.embed(open_embedder(server, too_long="error"), ["z" * 3000 + str(attempt), "w"])
        assert (caught.value.index, caught.value.failed_indices) == (0, (0,))
        assert len(posts(server)) == 0
        assert "3001 characters" in str(caught.value)
        assert "z" * 10 not in str(caught.value)


def test_the_first_text_that_is_too_long_in_characters_is_named_under_error(caller, server):
    """W4: and the others are kept."""
    words, fields = CHARACTERS["pydantic"]
    texts = ["short", "x" * 5000, "y" * 2048]
    length_is_limited(server, words, fields, "characters", texts)
    with pytest.raises(InputTooLongError) as caught:
        caller.embed(open_embedder(server, too_long="error"), texts)
    assert (caught.value.index, caught.value.completed) == (1, (0, 2))
    assert server.stats.billed == dict.fromkeys([texts[0], texts[2]], 1)


BYTES = "Input text size exceeds limit. Max length of request text allowed is 5000 bytes while the text has {} bytes"


def test_a_text_is_cut_by_a_limit_of_bytes_between_characters(caller, server):
    """W4: as AWS words it."""
    texts = ["short", "漢" * 3000, "a" * 5000, "ü" * 2501]
    for actual in (9000, 5002):
        error = {"message": BYTES.format(actual)}
        server.on(lambda request, actual=actual: longest(request, "bytes") == actual, body(400, error))
    result = caller.embed(open_embedder(server), texts)
    own = [texts[0], texts[1][:1666], texts[2], texts[3][:2500]]
    assert server.stats.billed == dict.fromkeys(own, 1)
    assert np.array_equal(result.vectors, server.vectors(own, model=MODELS[0]))
    assert [cut.index for cut in result.report.cut] == [1, 3]
    assert refused(server) == 1


def test_a_limit_in_characters_that_no_text_exceeds_is_one_of_the_whole_request(caller, server):
    """W9: it is learnt as that."""
    texts = [f"{at:03}".ljust(900, "x") for at in range(64)]
    told = {"error": {"message": "the input is too long: more than 10000 characters", "code": "request_too_large"}}
    server.on(lambda request: sum(map(len, request.items)) > 10_000, body(400, told))
    caller.embed(open_embedder(server), texts)
    assert server.stats.billed == dict.fromkeys(texts, 1)
    assert refused(server) <= 1
    assert len(posts(server)) <= 9
