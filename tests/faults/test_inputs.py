"""What a caller may pass: wrong things are named before anything is sent, and everything else is embedded."""

import collections
import unicodedata

import numpy as np
import pytest

from embedbridge import Embedder, InvalidInputError
from support.memory import Peak

from . import case
from .apis import each_client
from .client import about, corpus


class Shout(str):
    """A string that shows itself otherwise than it is."""

    __slots__ = ()

    def __str__(self):
        return super().__str__().upper()


@case(57)
@each_client
def test_an_item_that_is_no_text_is_named_and_nothing_is_sent(client, server):
    embedder = client.open()
    for item in (None, 3, 2.5, b"bytes", {"a": 1}, ["nested"], float("nan")):
        with about(item):
            with pytest.raises(InvalidInputError, match="text 1 is") as caught:
                client.caller.embed(embedder, ["a", item, "b"])
            assert caught.value.index == 1
    assert server.stats.log == []


@case(57)
@each_client
def test_a_kind_of_string_is_a_text(client, server):
    client.embed([Shout("kind"), np.str_("of")])
    assert server.stats.billed == client.once(["kind", "of"])


@case(58)
@each_client
def test_a_string_in_place_of_a_list_is_refused_and_not_embedded_letter_by_letter(client, server):
    with pytest.raises(InvalidInputError, match=r"\[text\]"):
        client.caller.embed(client.open(), "hello")
    assert server.stats.log == []


@case(59)
def test_a_blank_text_is_an_error_or_a_zero_vector_for_every_provider(client, server):
    texts = ["a", "", "   ", "b", "\n\t", "\u2003"]
    with pytest.raises(InvalidInputError, match="empty") as caught:
        client.caller.embed(client.open(), texts)
    assert caught.value.failed_indices == (1, 2, 4, 5)
    assert server.stats.log == []
    result = client.caller.embed(client.open(empty="zero"), texts)
    assert not result.vectors[[1, 2, 4, 5]].any()
    np.testing.assert_array_equal(result.vectors[[0, 3]], client.api.vectors(server, ["a", "b"]))
    assert result.report.empty == (1, 2, 4, 5)
    assert server.stats.billed == client.once(["a", "b"])


@case(60)
def test_no_texts_are_no_request(client, server):
    result = client.caller.embed(client.open(), [])
    assert result.vectors.shape == (0, client.api.vectors(server, ["a"]).shape[1])
    assert server.stats.log == []


@case(61)
@each_client
def test_texts_may_come_from_whatever_can_be_iterated(client):
    texts, embedder = corpus(3), client.open()
    for source in (
        tuple(texts),
        collections.deque(texts),
        np.array(texts),
        iter(texts),
        map(str, texts),
        (text for text in texts),
    ):
        with about(source):
            result = client.caller.embed(embedder, source)
            np.testing.assert_array_equal(result.vectors, client.api.vectors(client.server, texts))
            if iter(source) is source:
                assert next(source, None) is None


@case(61)
@each_client
def test_a_consumed_iterator_has_no_texts(client, server):
    source = iter(corpus(3))
    list(source)
    assert len(client.caller.embed(client.open(), source).vectors) == 0
    assert server.stats.log == []


@case(62)
@each_client
def test_composed_and_decomposed_letters_are_two_texts_with_two_vectors(client, server):
    texts = [unicodedata.normalize(form, "Café à Zürich") for form in ("NFC", "NFD")]
    client.embed(texts)
    assert server.stats.billed == client.once(texts)
    server.reset()
    client.embed(texts[::-1])
    assert server.stats.calls == 0


@case(64)
@each_client
def test_of_a_thousand_texts_the_two_distinct_ones_are_sent(client, server):
    texts = ["one", "other"] * 500
    vectors = client.embed(texts).vectors
    assert server.stats.billed == client.once(["one", "other"])
    vectors[0] = 0
    np.testing.assert_array_equal(vectors[1:], client.api.vectors(server, texts[1:]))


@case(63)
@pytest.mark.slow
def test_a_million_tiny_texts_take_little_more_memory_than_their_vectors(caller):
    embedder = Embedder("fake:256", cache=False)
    caller.embed(embedder, ["warm up"])
    texts = list(map(str, range(1_000_000)))
    with Peak() as peak:
        vectors = caller.embed(embedder, texts).vectors
    assert peak.growth < 1.75 * vectors.nbytes
