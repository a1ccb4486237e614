"""Errors are one tree, and travel between processes."""

from __future__ import annotations

import copy
import pickle

from embedbridge import errors
from embedbridge.errors import EmbeddingError, InputTooLongError, InvalidInputError, RequestFailed
from support.cases import each

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, EmbeddingError)]


def test_the_tree_that_is_drawn_is_the_tree():
    drawn = [line for line in errors.__doc__.splitlines() if "Error" in line and "RequestFailed" not in line]
    for kind in KINDS:
        assert any(kind.__name__ in line for line in drawn), f"{kind.__name__} is not in the drawing"


@each("kind", KINDS)
@each("copied", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])  # noqa: S301
def test_a_copy_says_the_same(kind, copied):
    error = kind("what happened")
    error.failed_indices, error.completed, error.provider, error.model = (3,), (0, 1, 2), "openai", "m"
    twin = copied(error)
    assert type(twin) is kind
    assert str(twin) == "what happened"
    assert vars(twin) == vars(error)
    assert (twin.failed_indices, twin.completed) == ((3,), (0, 1, 2))


def test_an_error_about_one_text_names_it_as_failed():
    assert InvalidInputError("bad", index=4).failed_indices == (4,)
    assert InvalidInputError("bad").failed_indices == ()
    assert InputTooLongError("long", index=4, tokens=9, limit=8).failed_indices == (4,)


def test_what_a_provider_raises_inwards_is_no_error_that_callers_catch():
    assert not issubclass(RequestFailed, EmbeddingError)
    assert RequestFailed("x").headers == {}
