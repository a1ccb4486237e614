"""Two sets of vectors may be compared when nothing that decides them differs."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedbridge.core.errors import SpaceMismatchError
from embedbridge.core.space import VectorSpace

SPACE = VectorSpace(
    "openai",
    "text-embedding-3-small",
    details=("dimensions=512",),
    dimensions=512,
    too_long="truncate:8191",
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
    "too_long": "mean:8191",
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
    assert SPACE.fingerprint == "7757b5243ae4bd5a"


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
    assert set(CHANGES) == set(VectorSpace.__dataclass_fields__)


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


def test_a_space_of_a_newer_format_is_told_from_no_space(tmp_path):
    path = tmp_path / "newer.json"
    SPACE.save(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"embedbridge_space": 2, "modality": "image"}))
    with pytest.raises(SpaceMismatchError, match="another format"):
        VectorSpace.load(path)


@pytest.mark.parametrize("name", VectorSpace.__dataclass_fields__)
def test_a_part_that_a_file_lacks_is_not_taken_for_its_default(tmp_path, name):
    path = tmp_path / "part.json"
    SPACE.save(path)
    kept = json.loads(path.read_text(encoding="utf-8"))
    for changed in ({key: value for key, value in kept.items() if key != name}, kept | {"modality": "image"}):
        path.write_text(json.dumps(changed))
        with pytest.raises(SpaceMismatchError, match="no saved vector space"):
            VectorSpace.load(path)


def test_a_missing_file_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError):
        SPACE.check(tmp_path / "nowhere.json")
