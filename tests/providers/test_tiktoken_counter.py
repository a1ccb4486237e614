"""OpenAI's tokenizer as a measure: the same counts, whole characters, no network, no time lost on odd texts."""

import itertools
import random

import pytest

from embedbridge._core.tokens import measure
from embedbridge.providers import _tiktoken_counter as module
from embedbridge.providers._tiktoken_counter import CACHE_DIR, FILE, tiktoken_counter
from support.cases import each

TEXTS = {
    "prose": "The quick brown fox jumps over the lazy dog, and then it sleeps for a while. " * 50,
    "chinese": "人工智能是计算机科学的一个分支、它企图了解智能的实质。" * 60,
    "rare characters": "".join(map(chr, random.Random(0).choices(range(0x4E00, 0x9FFF), k=800))),
    "emoji": "😀👨‍👩‍👧‍👦🎉🏳️‍🌈" * 60,
    "thai": "ปัญญาประดิษฐ์หมายถึงความฉลาดเทียม" * 40,
    "combining": "e\u0301a\u0308\u0323" * 300,
    "white space": " \t\n\r\n  x" * 300,
    "mixed": "".join(
        map(chr, random.Random(1).choices([*range(32, 127), *range(0x80, 0x2000), *range(0x1F300, 0x1F600)], k=2000))
    ),
    "special": "<|endoftext|>" * 100,
}


@pytest.fixture(scope="module")
def counter():
    found = tiktoken_counter()
    if found is None:
        pytest.skip("needs tiktoken 0.13 and its vocabulary")
    return found


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_tokens_are_counted_as_the_api_counts_them_and_cover_the_text(counter, text):
    spans = counter.spans(text)
    assert len(spans) == len(counter._encoding.encode_ordinary(text))
    assert spans[0][0] == 0
    assert spans[-1][1] == len(text)
    assert all(end == begin for (_, end), (begin, _) in itertools.pairwise(spans))


@each("room", [3, 7, 100, 333])
@each("text", TEXTS.values())
def test_a_cut_text_is_never_longer_than_the_limit(counter, text, room):
    ((kept, _),) = measure(text, counter, limit=room, policy="truncate").parts
    assert len(counter.spans(kept)) <= room
    assert text.startswith(kept)


def test_an_empty_text_has_no_tokens(counter):
    assert counter.spans("") == []


@pytest.mark.parametrize(
    "text",
    ["x" * 300_000, "^" * 300_000, " " * 300_000, "語" * 100_000, "word " * 100_000],
    ids=["letters", "signs", "blanks", "ideographs", "words"],
)
def test_a_text_of_many_pieces_is_measured(counter, text):
    pieces = measure(text, counter, limit=8191, policy="mean").parts
    assert "".join(piece for piece, _ in pieces) == text
    assert all(len(counter.spans(piece)) == tokens <= 8191 for piece, tokens in pieces)


@pytest.fixture
def folder(counter, tmp_path):  # noqa: ARG001 - skipped where there is none
    """A directory with the vocabulary, as tiktoken keeps it."""
    source = next(place for place in module._folders() if module._is_whole(place / FILE))
    (tmp_path / FILE).write_bytes((source / FILE).read_bytes())
    return tmp_path


def _afresh(monkeypatch, *, llama_index=True):
    tiktoken_counter.cache_clear()
    import tiktoken.registry

    monkeypatch.setattr(tiktoken.registry, "ENCODINGS", {})
    if not llama_index:
        monkeypatch.setattr(module, "find_spec", lambda _: None)
    return tiktoken_counter.__wrapped__


def test_tiktokens_own_directory_is_looked_into_first_and_named_as_before(folder, monkeypatch):
    monkeypatch.setenv(CACHE_DIR, str(folder))
    assert next(module._folders()) == folder
    assert len(_afresh(monkeypatch, llama_index=False)().spans("hello world")) == 2
    assert module.os.environ[CACHE_DIR] == str(folder)


def test_a_damaged_or_missing_vocabulary_is_not_downloaded(folder, monkeypatch):
    monkeypatch.setenv(CACHE_DIR, str(folder))
    (folder / FILE).write_bytes(b"damaged")
    assert _afresh(monkeypatch, llama_index=False)() is None
    assert (folder / FILE).read_bytes() == b"damaged"
    (folder / FILE).unlink()
    assert _afresh(monkeypatch, llama_index=False)() is None


@pytest.mark.usefixtures("counter")
def test_slow_versions_of_tiktoken_are_not_used(monkeypatch):
    monkeypatch.setattr(module, "version", lambda _: "0.12.0")
    assert _afresh(monkeypatch)() is None
