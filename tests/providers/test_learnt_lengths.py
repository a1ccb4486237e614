"""Texts that are too long for a server that copies OpenAI's API, and what it teaches of its limits (W4, W7, W9)."""

from __future__ import annotations

import asyncio
import time

import numpy as np
import pytest

from embedbridge import DeadlineExceededError, Embedder, InputTooLongError
from embedbridge._core import learnt
from embedbridge.testing import FaultServer, Limits, count_tokens
from support.openai_posts import MODEL, answered, open_embedder, posts, prose, refused

pytestmark = pytest.mark.one_flow

LIMIT = 512
ROLE = {"nim": {"role_body": {"document": {"input_type": "passage"}}}}
COUNTING = ("tei", "vllm", "llamacpp")
"""Servers that count the tokens of a text when they are asked."""


def corpus(tag, lengths):
    return [prose(f"{tag}{at:03}", tokens) for at, tokens in enumerate(lengths)]


LENGTHS = [100, 600, 50, 2000, 511, 512, 513, 3000, 200, 700] * 4
MIXED = corpus("a", LENGTHS)
LONG = [at for at, tokens in enumerate(LENGTHS) if tokens > LIMIT]


@pytest.mark.parametrize("quirk", [*COUNTING, "nim"])
def test_a_text_that_is_too_long_is_cut_by_what_the_refusal_says_and_the_next_ones_are_right_at_once(caller, quirk):
    """W4: true counts are reported, each text is billed once, and a second corpus meets no refusal."""
    with FaultServer(quirks=[quirk]) as server:
        embedder = open_embedder(server, provider_options=ROLE.get(quirk, {}))
        for tag, allowed in (("a", 3), ("b", 0)):
            texts = corpus(tag, LENGTHS)
            server.reset()
            result = caller.embed(embedder, texts)
            assert [cut.index for cut in result.report.cut] == LONG
            sent = answered(server)
            assert len(sent) == len(set(sent)) == len(texts)
            assert server.stats.billed == dict.fromkeys(sent, 1)
            by_tag = {text[:4]: text for text in sent}
            for cut in result.report.cut:
                kept = by_tag[texts[cut.index][:4]]
                assert texts[cut.index].startswith(kept)
                assert LIMIT * 0.85 < count_tokens(kept) <= LIMIT
                if quirk in COUNTING:
                    assert (cut.tokens, cut.kept) == (LENGTHS[cut.index], count_tokens(kept))
            role = "passage" if quirk == "nim" else ""
            own = server.vectors([by_tag[text[:4]] for text in texts], model=MODEL, input_type=role)
            assert np.array_equal(result.vectors, own)
            close = 0 if quirk in COUNTING else LENGTHS.count(LIMIT + 1)  # these only the server can tell from 512
            assert refused(server) <= allowed + close
        assert embedder.usage.cut_texts == 2 * len(LONG)


@pytest.mark.parametrize("quirk", ["tei", "nim", "mistral"])
def test_a_text_that_is_too_long_is_split_again_under_mean(caller, quirk):
    """W4: no piece is lost, and each is billed once."""
    with FaultServer(quirks=[quirk]) as server:
        if quirk == "mistral":
            refuse_longer_than(server, LIMIT)
        embedder = open_embedder(server, too_long="mean", provider_options=ROLE.get(quirk, {}))
        texts = MIXED[:10]
        result = caller.embed(embedder, texts)
        sent = answered(server)
        assert server.stats.billed == dict.fromkeys(sent, 1)
        assert max(map(count_tokens, sent)) <= LIMIT
        role = "passage" if quirk == "nim" else ""
        for at, text in enumerate(texts):
            pieces = [text] if text in sent else sorted({piece for piece in sent if piece in text}, key=text.find)
            mean = np.average(
                server.vectors(pieces, model=MODEL, input_type=role), axis=0, weights=[*map(count_tokens, pieces)]
            )
            assert result.vectors[at] @ mean / np.linalg.norm(mean) > 0.999
            assert "".join(dict.fromkeys(pieces)) == text or len(pieces) == 1
        assert [cut.index for cut in result.report.cut] == [at for at in LONG if at < 10]


@pytest.mark.parametrize("policy", ["truncate", "mean"])
def test_what_was_cut_or_split_by_a_refusal_comes_from_the_cache_in_a_later_process(caller, server, tmp_path, policy):
    """W4: with the same report, and never for another policy."""
    server.limits["openai"] = Limits(None, LIMIT, None)
    texts = [prose("long", 900), "short", prose("other", 2000)]
    first = caller.embed(open_embedder(server, too_long=policy, cache=tmp_path), texts)
    learnt.forget()
    again = caller.embed(open_embedder(server, too_long=policy, cache=tmp_path), texts)
    assert again.report.requests == 0
    assert np.array_equal(again.vectors, first.vectors)
    assert again.report.cut == first.report.cut
    assert [cut.index for cut in again.report.cut] == [0, 2]
    other = "mean" if policy == "truncate" else "truncate"
    third = caller.embed(open_embedder(server, too_long=other, cache=tmp_path), texts)
    assert third.report.hits == 1
    assert not np.allclose(third.vectors[0], first.vectors[0])


WORDS = "the input does not fit into the context window"


def refuse_longer_than(server, tokens):
    server.on(lambda request: max(map(count_tokens, request.items)) > tokens, f"400:message={WORDS}")


def test_where_no_number_is_named_a_text_is_cut_by_a_quarter_until_it_fits(caller, server):
    """W4: also a very long one; afterwards it is known what fits."""
    refuse_longer_than(server, 300)
    embedder = open_embedder(server)
    result = caller.embed(embedder, ["short", prose("long", 40_000)])
    (cut,) = result.report.cut
    assert (cut.index, cut.tokens > 300, 200 < cut.kept <= 300) == (1, True, True)
    assert server.stats.billed == dict.fromkeys(answered(server), 1)
    server.stats.log.clear()
    result = caller.embed(embedder, [prose("next", 2000), "short too", prose("more", 900), prose("fine", 150)])
    assert [cut.index for cut in result.report.cut] == [0, 2]
    assert refused(server) == 0


def test_error_still_is_an_error_that_names_text_tokens_and_limit(caller):
    """W4: a policy that stands, whatever the estimate was."""
    with FaultServer(quirks=["tei"]) as server:
        with pytest.raises(InputTooLongError) as caught:
            caller.embed(open_embedder(server, too_long="error"), ["short", prose("long", 700), "other"])
        assert (caught.value.index, caught.value.tokens, caught.value.limit) == (1, 700, LIMIT)
        assert set(caught.value.completed) == {0, 2}


def test_what_a_model_in_the_catalogue_reads_is_corrected_by_the_server(caller):
    """W4: a German text of 685 tokens for a model of 512."""
    with FaultServer(quirks=["vllm"], width=384, limits={"openai": Limits(None, 400, None)}) as server:
        embedder = Embedder("openai:BAAI/bge-small-en-v1.5", base_url=f"{server.url}/v1", api_key="k", cache=False)
        result = caller.embed(embedder, MIXED)
        assert [cut.index for cut in result.report.cut] == [at for at, tokens in enumerate(LENGTHS) if tokens > 400]
        assert max(map(count_tokens, answered(server))) <= 400
        assert refused(server) <= 2


# Limits on a request.

FEW = [f"text {at:04}" for at in range(640)]
TOO_MANY = {
    "dashscope": "said",
    "mistral": "not said",
}


@pytest.mark.parametrize("quirk", TOO_MANY)
def test_how_many_texts_a_request_may_hold_is_found_once_for_a_server(caller, quirk):
    """W9: by all embedders of the process, whether the server says it or not."""
    with FaultServer(quirks=[quirk], limits={"openai": Limits(10, None, None)}) as server:
        caller.embed(open_embedder(server), FEW)
        assert server.stats.billed == dict.fromkeys(FEW, 1)
        assert refused(server) <= (1 if TOO_MANY[quirk] == "said" else 4)
        assert len(posts(server)) <= (70 if TOO_MANY[quirk] == "said" else 90)
        server.stats.log.clear()
        caller.embed(open_embedder(server), [f"{text} more" for text in FEW])
        assert refused(server) == 0


SIZES = {"tokens": Limits(None, None, 1000), "bytes": Limits(None, None, None, 4000)}


@pytest.mark.parametrize("limits", SIZES.values(), ids=SIZES)
def test_how_large_a_request_may_be_is_found_once_for_a_server(caller, limits):
    """W9: in tokens, in bytes."""
    texts = corpus("t", [40] * 320)
    with FaultServer(limits={"openai": limits}) as server:
        caller.embed(open_embedder(server), texts)
        assert server.stats.billed == dict.fromkeys(texts, 1)
        assert refused(server) <= 4
        server.stats.log.clear()
        caller.embed(open_embedder(server), corpus("u", [40] * 320))
        assert refused(server) == 0


@pytest.mark.parametrize("status", [500, 503])
def test_the_size_that_fits_a_servers_memory_is_remembered(caller, server, status):
    """W7: after dividing on "out of memory"."""
    server.on(lambda request: len(request.items) > 8, f"{status}:message=CUDA out of memory. Tried to allocate 2 GiB")
    caller.embed(open_embedder(server), FEW[:320])
    assert server.stats.billed == dict.fromkeys(FEW[:320], 1)
    assert refused(server) <= 4
    server.stats.log.clear()
    caller.embed(open_embedder(server), FEW[320:])
    assert refused(server) == 0


# What servers publish.


@pytest.mark.parametrize(("quirk", "page"), [("tei", "/info"), ("vllm", "/v1/models"), ("llamacpp", "/props")])
def test_a_server_is_asked_once_for_what_it_publishes_and_only_when_it_has_refused_a_text(caller, quirk, page):
    """W9: with the key that requests have; whoever sends short texts asks for nothing."""
    with FaultServer(quirks=[quirk]) as server:
        caller.embed(open_embedder(server), ["short", "texts"])
        assert len(server.requests) == 1
        for tag in "ab":
            embedder = open_embedder(server, provider_options={"default_headers": {"x-team": "blue"}})
            caller.embed(embedder, corpus(tag, [700, 60]))
        assert server.requests.counts[page] == 1
        (request,) = server.requests.to(page)
        assert request.headers["authorization"] == "Bearer sk-test-0123456789"
        assert request.headers["x-team"] == "blue"


class Stumbling(FaultServer):
    """It breaks the connection of the first two texts that it is to count the tokens of."""

    left = 2

    async def answer(self, connection, request):
        """Break the connection, or answer."""
        if request.path == "/tokenize" and self.left:
            self.left -= 1
            connection.drop(reset=True)
            return False
        return await super().answer(connection, request)


def test_a_count_that_fails_once_is_asked_for_again(caller):
    """W4: the server's tokenizer is not given up for a connection that it has closed; nothing is guessed."""
    with Stumbling(quirks=["llamacpp"]) as server:
        texts = corpus("a", [700, 2000, 60, 900])
        cut = caller.embed(open_embedder(server), texts).report.cut
        assert [(each.index, each.tokens) for each in cut] == [(0, 700), (1, 2000), (3, 900)]
        sent = {text[:4]: text for text in answered(server)}
        assert [each.kept for each in cut] == [count_tokens(sent[texts[each.index][:4]]) for each in cut]
        assert (refused(server), server.left) == (1, 0)


class Frozen(FaultServer):
    """It answers requests for vectors, and no others."""

    async def answer(self, connection, request):
        """Wait for ever where nothing is embedded."""
        if "embeddings" not in request.path:
            await asyncio.sleep(60)
        return await super().answer(connection, request)


def test_a_server_that_does_not_answer_what_it_is_asked_costs_a_moment_once(caller):
    """W9: and a deadline holds."""
    with Frozen(quirks=["nim"]) as server:
        options = ROLE["nim"]
        begun = time.monotonic()
        with pytest.raises(DeadlineExceededError):
            caller.embed(open_embedder(server, provider_options=options, deadline=0.5), [prose("a", 900)])
        assert time.monotonic() - begun < 4
        caller.embed(open_embedder(server, provider_options=options), [prose("b", 900)])
        assert time.monotonic() - begun < 15
