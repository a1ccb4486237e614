"""Two sets of vectors may be compared when nothing that decides them differs."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedbridge._core.space import VectorSpace
from embedbridge.errors import SpaceMismatchError

SPACE = VectorSpace(
    "openai",
    "text-embedding-3-small",
    details=("dimensions=512",),
    dimensions=512,
    too_long="truncate",
    routes={"query": "", "document": "Текст: "},
)
CHANGES = {
    "provider": "azure",
    "model": "text-embedding-3-large",
    "endpoint": "https://example.org/v1",
    "revision": "main",
    "details": ("dimensions=256",),
    "dimensions": 256,
    "normalize": True,
    "reduction": "0123456789abcdef",
    "too_long": "mean",
    "routes": {"query": "query: ", "document": "Текст: "},
}
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=3)
spaces = st.builds(
    VectorSpace,
    words,
    words,
    endpoint=words,
    details=st.lists(words, max_size=2).map(tuple),
    dimensions=st.none() | st.integers(1, 3),
    normalize=st.none() | st.booleans(),
    routes=st.dictionaries(st.sampled_from(["query", "document"]), words),
)


@given(spaces, spaces)
def test_fingerprints_are_equal_exactly_for_equal_spaces(one, other):
    assert (one.fingerprint == other.fingerprint) == (one == other)


def test_a_fingerprint_is_sixteen_digits_and_the_same_in_every_process():
    assert SPACE.fingerprint == "9d5beadec01da75d"


def test_the_order_in_which_roles_are_named_does_not_matter():
    turned = replace(SPACE, routes=dict(reversed(SPACE.routes.items())))
    assert turned.fingerprint == SPACE.fingerprint
    SPACE.check(turned)


@given(space=spaces)
def test_a_saved_space_is_the_same_one(tmp_path_factory, space):
    path = tmp_path_factory.mktemp("space") / "space.json"
    space.save(path)
    assert VectorSpace.load(path) == space
    space.check(path)


def test_a_path_may_be_text(tmp_path):
    SPACE.save(str(tmp_path / "space.json"))
    SPACE.check(str(tmp_path / "space.json"))


def test_a_saved_space_can_be_read_by_people(tmp_path):
    SPACE.save(tmp_path / "space.json")
    kept = json.loads((tmp_path / "space.json").read_text(encoding="utf-8"))
    assert kept["model"] == "text-embedding-3-small"
    assert kept["routes"] == {"query": "", "document": "Текст: "}


@pytest.mark.parametrize("name", CHANGES)
def test_what_differs_is_named_with_both_values(name):
    other = replace(SPACE, **{name: CHANGES[name]})
    with pytest.raises(SpaceMismatchError, match=f"{name}: .*here, .*there") as caught:
        SPACE.check(other)
    assert caught.value.parts == (name,)
    assert repr(CHANGES[name]) in str(caught.value)


def test_every_part_of_a_space_is_compared():
    assert set(CHANGES) == set(SPACE.parts())


def test_everything_that_differs_is_named():
    with pytest.raises(SpaceMismatchError) as caught:
        SPACE.check(replace(SPACE, model="m", dimensions=3, too_long=""))
    assert caught.value.parts == ("model", "dimensions", "too_long")


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "null", "3", "{}", '{"embedbridge_space": 1}', '{"model": "m", "provider": "p"}', "\0\1\2"],
)
def test_a_file_that_is_no_space_is_named(tmp_path, content):
    path = tmp_path / "other.json"
    path.write_text(content)
    with pytest.raises(SpaceMismatchError, match=r"other\.json is no saved vector space"):
        SPACE.check(path)


def test_a_file_that_is_no_text_is_named(tmp_path):
    path = tmp_path / "other.json"
    path.write_bytes(b"\xff\xfe\x80")
    with pytest.raises(SpaceMismatchError, match=r"other\.json"):
        SPACE.check(path)


def changed(path, **parts):
    """The file of SPACE with some parts changed; None takes one out."""
    SPACE.save(path)
    stored = json.loads(path.read_text(encoding="utf-8")) | parts
    path.write_text(json.dumps({name: part for name, part in stored.items() if part is not None}))
    return path


@pytest.mark.parametrize("newer", [{"embedbridge_space": 3}, {"modality": "image"}])
def test_a_file_of_a_newer_version_is_told_from_no_space(tmp_path, newer):
    path = changed(tmp_path / "newer.json", **newer)
    for read in (VectorSpace.load, SPACE.check):
        with pytest.raises(SpaceMismatchError, match=r"newer\.json was written by a newer version.*upgrade"):
            read(path)
    with pytest.raises(SpaceMismatchError, match=r"model: .*here, .*there"):  # what is known is compared first
        replace(SPACE, model="m").check(path)


def test_a_part_that_a_file_lacks_is_as_it_was_before_there_was_one(tmp_path):
    """C9: (read) a new field of VectorSpace makes every older file "no saved vector space"."""
    path = changed(tmp_path / "older.json", details=None, dimensions=None)
    assert VectorSpace.load(path) == replace(SPACE, details=(), dimensions=None)
    with pytest.raises(SpaceMismatchError) as caught:
        SPACE.check(path)
    assert caught.value.parts == ("details", "dimensions")


def test_a_part_that_a_later_version_adds_changes_no_fingerprint_of_spaces_without_it():
    assert "revision" not in json.loads(SPACE.content())
    assert replace(SPACE, revision="").fingerprint == SPACE.fingerprint


FIRST = {
    "embedbridge_space": 1,
    "provider": "ollama",
    "model": "nomic-embed-text",
    "endpoint": "",
    "revision": "",
    "details": ["num_batch=2048", "num_ctx=2048", "x-model=0123456789abcdef"],
    "dimensions": None,
    "normalize": None,
    "reduction": "",
    "too_long": "truncate:2048",
    "routes": {"query": "q: ", "document": "d: ", "classification": "c: ", "clustering": ""},
}
"""A file of the first format, as releases before wrote it."""
NOW = VectorSpace(
    "ollama",
    "nomic-embed-text",
    details=("x-model=0123456789abcdef", "x-tenant=fedcba9876543210"),
    too_long="truncate",
    routes={"query": "q: ", "document": "d: "},
    former=(frozenset(), frozenset({"x-model=0123456789abcdef", "x-tenant=fedcba9876543210"})),
)
"""The same embedder now: all headers are named, the model's own limit and roles of no index are not."""


def test_a_file_of_a_release_before_is_compared_by_what_it_says(tmp_path):
    """C9: a new prefix of a role that the index never used, a corrected limit."""
    path = tmp_path / "first.json"
    path.write_text(json.dumps(FIRST))
    NOW.check(path)
    replace(NOW, too_long="truncate num_ctx=512").check(path)
    for part, other in {
        "details": ("x-model=ffffffffffffffff",),
        "too_long": "mean",
        "routes": {"query": "", "document": "d: "},
    }.items():
        former = NOW.former if part != "details" else (frozenset(), frozenset(other))
        with pytest.raises(SpaceMismatchError) as caught:
            replace(NOW, **{part: other}, former=former).check(path)
        assert caught.value.parts == (part,)


def test_a_missing_file_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError):
        SPACE.check(tmp_path / "nowhere.json")
