"""Answers that are late, broken, too large or no answers at all: a second try, then a named error and nothing lost."""

import pytest

from embedbridge import DeadlineExceededError, InvalidResponseError, ProviderUnavailableError
from embedbridge.testing import Latency, contains
from support.cases import each
from support.memory import Peak

from . import case
from .apis import APIS, BEDROCK, GEMINI, OLLAMA, OPENAI, VERTEX, VOYAGE, each_client
from .client import about, corpus

numbered = pytest.mark.parametrize("api", [api for api in APIS if api.numbered], ids=str)

SIBLINGS = [(OPENAI, "text-embedding-3-large"), (VOYAGE, "voyage-3-lite"), (OLLAMA, "mxbai-embed-large")]
"""Another model of the provider. Azure's answers bear a deployment's name, Cohere's bear none."""

BROKEN = {
    "truncate": "not_json",
    "badgzip": "encoding",
    "badutf8": "not_json",
    "nodata": "no_data",
    "drop": "count",
    "drop:where=start": "count",
    "drop:where=middle": "count",
    "extra": "count",
    "dims": "width",
    "empty": "count",
}
"""Fault → the kind of error it is."""


def always(_):
    return True


# Late.


@case(10, 11)
@each_client
def test_what_hangs_stalls_or_drips_is_asked_for_again_after_the_timeout(client, server):
    late = ["hang:s=60", "stall:s=60", "drip:bytes=16;s=0.05"]
    for i, fault in enumerate(late):
        server.on(contains(f"text {i} of"), fault, times=1)
    client.embed(corpus(3), batch_size=1, timeout=0.5)
    assert all(request.took < 30 for request in server.requests)
    assert server.stats.again().keys() == client.twice(corpus(3)[1:]).keys()


@case(10, 11)
@each_client
def test_a_deadline_ends_the_wait_for_an_answer(client, server):
    embedder = client.open(batch_size=1, deadline=0.6)
    client.embed(corpus(1, "warm up"), embedder=embedder)
    server.on(contains("text 4 of"), "hang:s=60")
    server.on(contains("text 5 of"), "stall:s=60")
    error = client.fails(DeadlineExceededError, corpus(6), embedder=embedder)
    assert error.failed_indices == (4, 5)
    assert all(request.took < 30 for request in server.requests)
    client.resume(corpus(6), error)


@case(11)
@pytest.mark.parametrize("api", [OPENAI], ids=str)
def test_a_request_that_the_deadline_cut_short_is_told_as_that_though_no_retry_was_left(client, server):
    server.on(always, "hang:s=60")
    client.fails(DeadlineExceededError, corpus(1), deadline=0.6, max_retries=0)
    client.fails(ProviderUnavailableError, corpus(1), deadline=30, timeout=0.6, max_retries=0)


@case(11)
@pytest.mark.parametrize("api", [OPENAI], ids=str)
def test_a_deadline_ends_the_wait_for_a_free_place_too(client, server):
    embedder = client.open(deadline=1.5, concurrency=1)
    client.embed(corpus(1, "warm up"), embedder=embedder)
    server.reset()
    server.on(always, "hang:s=60")
    outcomes = client.caller.at_once(embedder, [corpus(1, f"list {i}") for i in range(4)])
    assert {type(outcome) for outcome in outcomes} == {DeadlineExceededError}
    assert server.stats.max_in_flight == 1


@case(10)
@each_client
def test_a_server_that_never_answers_is_unavailable(client, server):
    server.on(always, "hang:s=60")
    client.fails(ProviderUnavailableError, corpus(2), timeout=0.2, max_retries=1)
    assert server.stats.calls == 2


# Broken.


@case(12, 13, 16, 23, 24, 28, 29)
def test_a_broken_answer_is_asked_for_once_more_and_nothing_of_it_is_kept(client, server):
    embedder = client.open(batch_size=3)
    for fault, kind in BROKEN.items():
        with about(fault):
            texts = corpus(6, fault)
            server.reset()
            server.on(contains(texts[0]), fault)
            error = client.fails(InvalidResponseError, texts, embedder=embedder)
            assert error.kind == kind
            assert (error.failed_indices, error.completed) == ((0, 1, 2), (3, 4, 5))
            assert server.stats.again() == client.twice(texts[:3])
            if kind == "width":
                assert str(client.api.vectors(server, texts).shape[1]) in str(error)
            client.resume(texts, error, embedder=embedder)


@case(12, 13, 16, 23, 24, 28, 29)
@each_client
def test_an_answer_that_is_broken_once_is_healed_and_paid_twice(client, server):
    broken = ["truncate", "badgzip", "html:status=200", "error200", "drop:where=start", "extra", "dims", "empty"]
    for i, fault in enumerate(broken):
        server.on(contains(f"text {i} of"), fault, times=1)
    texts = corpus(len(broken))
    report = client.embed(texts, batch_size=1).report
    billed = [text for text, fault in zip(texts, broken, strict=True) if fault not in {"html:status=200", "error200"}]
    assert server.stats.again() == client.twice(billed)
    assert report.retries == len(broken)


@case(13)
@each_client
def test_a_chunked_answer_without_its_end_is_a_broken_connection(client, server):
    server.on(contains("text 0 of"), "chunked:cut=1")
    error = client.fails(ProviderUnavailableError, corpus(4), batch_size=2)
    assert server.stats.calls == 1 + 6 + 3  # all retries of the first batch, then each of its texts is tried alone
    assert (error.failed_indices, error.completed) == ((0,), (1, 2, 3))
    client.resume(corpus(4), error)


@case(16)
@each("fault", ["error200", "html:status=200"])
def test_an_error_in_the_guise_of_success_is_an_error(client, server, fault):
    texts = corpus(3, fault)
    server.reset()
    server.on(always, fault)
    if client.api in (GEMINI, VERTEX) and fault == "error200":  # Google's error objects name a status: it is that error
        error = client.fails(ProviderUnavailableError, texts, max_retries=1)
    else:
        error = client.fails(InvalidResponseError, texts)
        assert error.kind in {"error", "no_data", "not_json"}
        assert server.stats.calls == 2
    client.resume(texts, error)


@case(16)
@each_client
def test_a_wrong_content_type_over_a_sound_answer_is_no_fault(client, server):
    server.script("ctype", "gzip", "chunked", "nolength")
    client.embed(corpus(4), batch_size=1, concurrency=1)
    assert server.stats.billed == client.once(corpus(4))


# Too large.


@case(14, 15)
@each_client
@each("fault", ["gzipbomb:mb=512", "huge:mb=256"])
def test_an_answer_far_too_large_is_not_taken_into_memory(client, server, fault):
    embedder, texts = client.open(max_retries=0, batch_size=2), corpus(2, fault)
    client.embed(corpus(2, f"warm up for {fault}"), embedder=embedder)
    server.on(always, fault)
    with Peak() as peak:
        error = client.fails(InvalidResponseError, texts, embedder=embedder)
    assert error.kind == "too_large"
    assert peak.growth < 200 << 20
    client.resume(texts, error)


@case(14)
@each_client
def test_noise_behind_a_packed_answer_is_neither_read_nor_kept(client, server):
    embedder = client.open(batch_size=2)
    client.embed(corpus(2, "warm up"), embedder=embedder)
    server.script("gziptail:mb=512")
    with Peak() as peak:
        client.embed(corpus(2), embedder=embedder)
    assert peak.growth < 50 << 20
    assert server.stats.billed == client.once([*corpus(2, "warm up"), *corpus(2)])


# Sound, and not ours.


@case(71)
@pytest.mark.parametrize("api", [api for api in APIS if api is not GEMINI], ids=str)  # whose second answer comes later
def test_an_answer_that_was_there_before_its_request_is_that_to_another(client, server):
    embedder, texts = client.open(), corpus(1, "other")
    server.script("twice")
    client.embed(corpus(1), embedder=embedder)
    report = client.embed(texts, embedder=embedder).report
    seen = (
        client.api is BEDROCK and report.retries == 0
    )  # a long answer comes in parts: the line is seen not to be free
    assert report.retries == report.paid_again == (not seen)
    assert server.stats.again() == ({} if seen else client.twice(texts))
    client.embed(corpus(1, "third"), embedder=embedder)
    assert server.stats.calls == 4 - seen


@case(72)
@pytest.mark.parametrize(("api", "sibling"), SIBLINGS, ids=str)
def test_an_answer_that_bears_another_models_name_is_none(client, server, sibling):
    server.on(contains("text 0 of"), f"othermodel:name={sibling}")
    error = client.fails(InvalidResponseError, corpus(6), batch_size=3)
    assert error.kind == "model"
    assert sibling in str(error)
    assert server.stats.again() == client.twice(corpus(3))
    client.resume(corpus(6), error)


# Sound, in another shape.


@case(25)
@numbered
def test_vectors_in_another_order_find_their_texts(client, server):
    server.script("shuffle")
    client.embed(corpus(20))
    assert server.stats.billed == client.once(corpus(20))


@case(25)
@numbered
def test_a_numbering_that_cannot_be_trusted_is_an_error(client, server):
    server.on(contains("text 0 of"), "dupindex")
    error = client.fails(InvalidResponseError, corpus(6), batch_size=3)
    assert error.kind == "index"
    assert server.stats.again() == client.twice(corpus(3))
    client.resume(corpus(6), error)


@case(25)
@numbered
def test_without_a_numbering_the_answers_order_counts(client, server):
    server.script("noindex")
    client.embed(corpus(5))
    assert server.stats.billed == client.once(corpus(5))


@case(28, 29)
@each_client
@each("fault", ["ragged:i=1", "emptyvec:i=1"])
def test_w12_one_vector_of_another_width_than_the_others_loses_only_its_text(client, server, fault):
    """W12: as one that is null; the request is sent once more, and the others are kept."""
    texts = corpus(8, fault)
    server.reset()
    server.on(contains(texts[0]), fault)
    error = client.fails(InvalidResponseError, texts, batch_size=4)
    assert (error.failed_indices, error.kind) == ((1,), "width")
    assert server.stats.again() == client.twice(texts[:4])
    client.resume(texts, error)


@case(26, 27)
def test_only_the_vectors_that_are_no_vectors_are_lost(client, server):
    spoiled = ["nan:i=1", "inf:i=3", "nullvalue:i=0", "string:i=2", "null:i=1", "zero:i=3"]
    for i, fault in enumerate(spoiled):
        server.on(contains(f"text {4 * i} of"), fault)
    texts = corpus(4 * len(spoiled))
    error = client.fails(InvalidResponseError, texts, batch_size=4)
    assert error.failed_indices == (1, 7, 8, 14, 17, 23)
    assert error.kind == "value"
    assert "text 1: the vector is not finite" in str(error)
    assert server.stats.again() == client.twice(texts)
    client.resume(texts, error)


@case(26, 27)
@each_client
def test_a_vector_that_is_spoiled_once_is_healed(client, server):
    for i, fault in enumerate(["nan", "null", "string", "zero"]):
        server.on(contains(f"text {i} of"), fault, times=1)
    client.embed(corpus(4), batch_size=1)
    assert server.stats.again() == client.twice(corpus(4))


@case(30)
@each("fault", ["nousage", "badusage"])
def test_without_a_usage_tokens_are_estimated_and_marked_so(client, server, fault):
    server.reset()
    server.script(fault)
    report = client.embed(corpus(5), cache=False).report
    assert report.tokens_from == "estimate"
    assert report.tokens == pytest.approx(server.stats.tokens, rel=0.1)
    assert server.stats.billed == client.once(corpus(5))


@case(31)
@each("fault", ["forcefloat", "forcebase64"])
def test_either_encoding_is_read(client, server, fault):
    server.reset()
    server.on(always, fault)
    client.embed(corpus(5), cache=False)
    assert server.stats.billed == client.once(corpus(5))


# Not too late to be kept.


@case(11)
@each_client
def test_a_slow_answer_within_the_timeout_is_no_fault(client, server):
    server.latency = Latency(base=0.1)
    client.embed(corpus(2), timeout=5)
    assert server.stats.billed == client.once(corpus(2))
