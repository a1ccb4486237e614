"""A role reaches the model in one way, never in two."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedbridge._core.routing import choose_route
from embedbridge._core.types import INPUT_TYPES, Route
from embedbridge.errors import ConfigurationError

prompts = st.dictionaries(
    st.sampled_from(["query", "document", "passage", "corpus", "clustering", "STS", "classification"]),
    st.sampled_from(["", "saved: "]),
)
options = st.none() | st.sampled_from(["", "mine: "])


def route(input_type="query", *, option=None, wire_type=None, saved=None, catalogue=None, **more):
    return choose_route(input_type, option=option, wire_type=wire_type, saved=saved or {}, catalogue=catalogue, **more)


@given(
    st.sampled_from(INPUT_TYPES),
    options,
    st.none() | st.just("search"),
    prompts,
    st.none() | st.sampled_from(["", "listed: "]),
)
def test_a_role_is_never_told_twice(input_type, option, wire_type, saved, catalogue):
    try:
        chosen = route(input_type, option=option, wire_type=wire_type, saved=saved, catalogue=catalogue)
    except ConfigurationError:
        assert option
        assert wire_type
        return
    assert chosen.input_type == input_type
    assert not (chosen.prefix and chosen.wire_type)
    assert chosen.prefix in {"", "mine: ", "saved: ", "listed: "}


def test_the_apis_own_input_type_stands_alone():
    assert route(wire_type="search_query", saved={"query": "q: "}, catalogue="query: ") == Route(
        "query", "", "search_query", "api"
    )


def test_a_prefix_on_top_of_the_apis_own_input_type_is_refused_by_name():
    with pytest.raises(ConfigurationError, match="leave document_prefix out"):
        route("document", option="passage: ", wire_type="search_document")


def test_an_empty_prefix_beside_the_apis_own_input_type_is_no_contradiction():
    assert route(option="", wire_type="search_query").wire_type == "search_query"


def test_a_model_that_takes_texts_in_two_ways_may_be_given_a_prefix_as_well():
    chosen = route(wire_type="query", prefix_with_wire_type=True, saved={"query": "q: "})
    assert (chosen.prefix, chosen.wire_type) == ("q: ", "query")


def test_the_users_word_stands_above_the_models_and_the_catalogues():
    assert route(option="mine: ", saved={"query": "q: "}, catalogue="query: ") == Route(
        "query", "mine: ", None, "option"
    )


def test_an_empty_option_turns_a_known_prefix_off():
    assert route(option="", saved={"query": "q: "}, catalogue="query: ").prefix == ""


def test_a_prompt_saved_with_the_model_stands_above_the_catalogue():
    assert route(saved={"query": "q: "}, catalogue="query: ") == Route("query", "q: ", None, "model")


@pytest.mark.parametrize("name", ["document", "passage", "corpus"])
def test_models_call_documents_by_several_names(name):
    assert route("document", saved={name: "d: "}).prefix == "d: "


def test_a_prompt_saved_for_one_role_says_nothing_of_another():
    assert route("document", saved={"query": "q: "}, catalogue="passage: ").prefix == "passage: "


def test_an_empty_saved_prompt_is_none_at_all():
    assert route(saved={"query": ""}, catalogue="query: ") == Route("query", "query: ", None, "catalogue")


def test_a_catalogue_that_knows_of_no_prefix_is_told_from_one_that_says_nothing():
    assert route(catalogue="").source == "catalogue"
    assert route(catalogue=None).source == "none"
