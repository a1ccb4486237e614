"""A cache key names all that decides a vector, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedbridge.core.keys import extend_base, key_base, make_keys
from embedbridge.core.prepare import prepare
from embedbridge.core.routing import choose_route
from embedbridge.core.types import Identity

# Letters that a joint, a length or a missing part could be mistaken for.
part = st.text("a|=:\0", max_size=3)
settings = st.tuples(
    st.builds(Identity, part, part, part, part, st.lists(part, max_size=3).map(tuple)), st.none() | part, part
)
BGE = "Represent this sentence for searching relevant passages: "


def base_of(setting):
    identity, wire_type, truncation = setting
    return key_base(identity, wire_type=wire_type, truncation=truncation)


@given(settings, settings)
def test_settings_have_one_base_exactly_when_they_are_equal(one, other):
    assert (base_of(one) == base_of(other)) == (one == other)
    assert one == other or not base_of(one).startswith(base_of(other))


@given(settings, settings, st.binary(max_size=4), st.binary(max_size=4))
def test_no_text_makes_up_for_another_setting(one, other, text, other_text):
    same = make_keys(base_of(one), [text]) == make_keys(base_of(other), [other_text])
    assert same == (one == other and text == other_text)


@given(settings, part, part, st.binary(max_size=4), st.binary(max_size=4))
def test_a_part_that_is_added_later_is_told_from_the_text_as_well(setting, one, other, text, other_text):
    bases = [extend_base(base_of(setting), added) for added in (one, other)]
    same = make_keys(bases[0], [text]) == make_keys(bases[1], [other_text])
    assert same == ((one, text) == (other, other_text))


@given(st.lists(st.binary(max_size=8), unique=True))
def test_each_text_has_a_key_of_its_own_of_32_bytes(texts):
    keys = make_keys(b"base", texts)
    assert len(set(keys)) == len(texts)
    assert all(len(key) == 32 for key in keys)


def test_a_key_is_the_same_in_every_process_and_version():
    identity = Identity("openai", "text-embedding-3-small", details=("dimensions=512",))
    (key,) = make_keys(key_base(identity, wire_type=None, truncation="truncate:8191"), ["Grüße".encode()])
    assert key.hex() == "d102b59a14019dfef44916aa9157ae97a3e4dd51496d481c59387deafc973d18"


def keys_of(input_type, text, *, wire_types=None, prefixes=None):
    """The key of one text in one role, for an API with its own input types, a model with prefixes, or neither."""
    wire_type = (wire_types or {}).get(input_type)
    route = choose_route(
        input_type, option=None, wire_type=wire_type, saved={}, catalogue=(prefixes or {}).get(input_type, "")
    )
    base = key_base(Identity("p", "m"), wire_type=route.wire_type, truncation="truncate:512")
    return make_keys(base, prepare([text], route, empty="error").encoded)


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
