"""A finalizer that runs at the interpreter's very end gets an error that says so; the process ends."""

import pytest

from cache.parts import run_python

AT_THE_END = """
import sys
from embedbridge import Embedder

class Owner:
    def __init__(self, **options):
        self.embedder = Embedder("fake:64", **options)
        self.stream = self.embedder.stream(map(str, range(2000)))
        self.embedder.embed(["a"]), next(self.stream)

    def __del__(self):
        one, stream, other = self.embedder.embed, self.stream, self.embedder.aembed
        for call in (lambda: one(["a"]), lambda: list(stream), lambda: other(["a"]).send(None)):
            try:
                call()
            except Exception as error:
                print(f"{type(error).__name__}: {error}"[:38], flush=True)
        self.embedder.close()

owner = Owner(**eval(sys.argv[1]))
"""


FIRST_USE = """
import sys
from embedbridge import Embedder

class Owner:
    def __del__(self, make=Embedder, model=sys.argv[1]):
        try:
            make(model)
        except Exception as error:
            print(f"{type(error).__name__}: {error}", flush=True)

owner = Owner()
"""


@pytest.mark.parametrize("model", ["openai:text-embedding-3-small", "ollama:all-minilm", "sentence-transformers:x"])
def test_a_provider_whose_first_use_is_at_the_very_end_does_not_lack_its_packages(model):
    """It was a MissingExtraError, and told to install what is installed."""
    assert run_python(FIRST_USE, model).startswith("EmbeddingError: the interpreter ends, ")


@pytest.mark.parametrize("deadline", [3, pytest.param(None, marks=pytest.mark.slow)])
def test_a_call_at_the_very_end(tmp_path, deadline):
    for cache in (False, str(tmp_path)):
        said = run_python(AT_THE_END, {"cache": cache, "deadline": deadline, "concurrency": 1}).splitlines()
        assert said[0] == said[-1] == "EmbeddingError: the interpreter ends, "
        assert len(said) >= 2  # a stream may have all its results by then, or was stopped a moment before
