"""A cache key names all that decides a vector, and nothing else."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedbridge._core.keys import extend_base, key_rules, make_keys
from embedbridge._core.prepare import prepare
from embedbridge._core.routing import choose_route
from embedbridge._core.types import Identity

# Letters that a joint, a length or a missing part could be mistaken for.
part = st.text("a|=:\0", max_size=3)
BGE = "Represent this sentence for searching relevant passages: "
parts = st.lists(part, max_size=3).map(tuple)
settings = st.fixed_dictionaries(
    {
        "identity": st.builds(Identity, part, part, part, part, parts, parts),
        "wire_type": st.none() | part,
        "policy": st.sampled_from(["truncate", "error", "mean"]),
        "limit": st.none() | st.sampled_from([256, 512]),
        "prefix": part,
        "prefix_apart": st.booleans(),
    }
)
texts = st.binary(max_size=4)


def deciding_short(setting):
    """What decides the vector of a text that the model reads whole."""
    identity = setting["identity"]
    return (
        replace(identity, long_details=()),
        setting["wire_type"],
        setting["prefix"] if setting["prefix_apart"] else "",
    )


def deciding_long(setting):
    """What decides the vector of any text."""
    apart = setting["prefix_apart"] or setting["policy"] == "mean"
    return {**setting, "prefix": setting["prefix"] if apart else "", "prefix_apart": None}


@given(settings, settings, texts, texts)
def test_short_texts_share_an_entry_exactly_when_what_decides_them_is_equal(one, other, text, other_text):
    same = make_keys(key_rules(**one).base, [text]) == make_keys(key_rules(**other).base, [other_text])
    assert same == ((deciding_short(one), text) == (deciding_short(other), other_text))


@given(settings, settings, texts, texts)
def test_long_texts_share_no_entry_unless_limit_and_policy_are_equal_too(one, other, text, other_text):
    same = make_keys(key_rules(**one).long, [text]) == make_keys(key_rules(**other).long, [other_text])
    if same:
        assert (deciding_long(one), text) == (deciding_long(other), other_text)
    if (one, text) == (other, other_text):
        assert same


@given(settings, settings, texts, texts)
def test_no_text_makes_up_for_another_kind_of_key(one, other, text, other_text):
    ours, theirs = (key_rules(**setting, former=()) for setting in (one, other))
    kinds = ("base", "long", "refused", "former")
    for kind, another in itertools.permutations(kinds, 2):
        assert make_keys(getattr(ours, kind), [text]) != make_keys(getattr(theirs, another), [other_text])


@given(settings, part, part, texts, texts)
def test_a_part_that_is_added_later_is_told_from_the_text_as_well(setting, one, other, text, other_text):
    bases = [extend_base(key_rules(**setting).long, added) for added in (one, other)]
    same = make_keys(bases[0], [text]) == make_keys(bases[1], [other_text])
    assert same == ((one, text) == (other, other_text))


@given(st.lists(st.binary(max_size=8), unique=True))
def test_each_text_has_a_key_of_its_own_of_32_bytes(texts):
    keys = make_keys(b"base", texts)
    assert len(set(keys)) == len(texts)
    assert all(len(key) == 32 for key in keys)


SMALL = {
    "identity": Identity("openai", "text-embedding-3-small", details=("dimensions=512",)),
    "wire_type": None,
    "policy": "truncate",
    "limit": 8191,
}


def test_a_key_is_the_same_in_every_process_and_version():
    (key,) = make_keys(key_rules(**SMALL).base, ["Grüße".encode()])
    assert key.hex() == "863f073f4ed0c2b785c4442c8a83ace41b87cbd2163ad7cd6eebe92b0eb7180b"


def test_entries_of_releases_before_are_found_under_the_keys_that_they_had():
    rules = key_rules(**SMALL, former=SMALL["identity"].details)
    (key,) = make_keys(rules.former, ["Grüße".encode()])
    assert key.hex() == "d102b59a14019dfef44916aa9157ae97a3e4dd51496d481c59387deafc973d18"
    assert key_rules(**SMALL).former is None


def keys_of(input_type, text, *, wire_types=None, prefixes=None):
    """The key of one text in one role, for an API with its own input types, a model with prefixes, or neither."""
    wire_type = (wire_types or {}).get(input_type)
    route = choose_route(
        input_type, option=None, wire_type=wire_type, saved={}, catalogue=(prefixes or {}).get(input_type, "")
    )
    rules = key_rules(Identity("p", "m"), wire_type=route.wire_type, policy="truncate", limit=512)
    return make_keys(rules.base, prepare([text], route, empty="error").encoded)


def test_a_query_and_a_document_share_an_entry_where_the_request_is_the_same():
    assert keys_of("query", "x") == keys_of("document", "x")


@pytest.mark.parametrize(
    "roles",
    [
        {"wire_types": {"query": "search_query", "document": "search_document"}},
        {"prefixes": {"query": "query: ", "document": "passage: "}},
        {"prefixes": {"query": BGE, "document": ""}},
    ],
    ids=["cohere", "e5", "bge"],
)
def test_a_query_and_a_document_share_nothing_where_the_model_tells_them_apart(roles):
    assert keys_of("query", "x", **roles) != keys_of("document", "x", **roles)


def test_a_prefix_written_by_hand_is_the_same_request_as_one_put_there():
    e5 = {"query": "query: ", "document": "passage: "}
    assert keys_of("query", "query: x", prefixes=e5) == keys_of("query", "x", prefixes=e5)


def test_an_input_type_that_is_empty_is_not_the_absence_of_one():
    assert keys_of("query", "x", wire_types={"query": ""}) != keys_of("query", "x")
