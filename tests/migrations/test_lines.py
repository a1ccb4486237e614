"""Lines of a JSONL index stay byte for byte as they were, but for their vectors; what is no document is named."""

from __future__ import annotations

import json
import re

import pytest

from embedbridge import Embedder, EmbeddingError, InvalidInputError
from embedbridge.migration import back, check, plan, run, switch

VECTOR = re.compile(rb'(, *)?"embedding"\s*:\s*(\[[^]]*\]|null)')
LINES = [
    b'\xef\xbb\xbf{"id": 1, "text": "with a mark before it"}',
    b'{"id":2,"text":"large","n":123456789012345678901234567890,"f":0.1000000000000000055511151231257827,"e":1e400}',
    b'{ "text" : "sp\\u00e4ced" , "id" : "\xc3\xa4/ \\" \\\\" , "embedding" : [1, 2] , "tags" : [ null , {} ] }\r',
    b'{"id": 4, "text": "text of \\"embedding\\": [1] ", "deep": {"embedding": [3]}, "same": 1, "same": 2.50}',
    b'{"id": 5, "text": "null before", "embedding": null}',
    b'{"id": -7, "text": " ", "digits": ' + b"9" * 5000 + b"}",
    b'{"id": "' + b"i" * 2000 + b'", "text": "long ones", "filler": "' + b"x" * 3_000_000 + b'"}',
    b'{"id": "surrogate", "text": "half of a pair", "metadata": {"a": ["\\ud800", -0.0, 1E5]}}',
]


@pytest.fixture
def new(tmp_path):
    with Embedder("fake:8", cache=tmp_path / "cache", empty="zero") as embedder:
        yield embedder


def test_a_line_is_the_same_before_and_after_but_for_its_vector(tmp_path, new):
    index = tmp_path / "docs.jsonl"
    index.write_bytes(b"\n".join(LINES[:3]) + b"\n\n  \r\n" + b"\n".join(LINES[3:]))
    before = index.read_bytes()
    assert plan(index, new).documents == len(LINES)
    written = index.with_name(run(index, new).index).read_bytes()
    moved = written.removesuffix(b"\n").split(b"\n")
    faults = [
        (old[:80], found[:80])
        for old, found in zip(LINES[:3] + LINES[4:], moved[:3] + moved[4:], strict=True)
        if VECTOR.sub(b"", old) != VECTOR.sub(b"", found)
    ]
    assert faults == []
    assert moved[3].startswith(LINES[3][:-1] + b', "embedding": [')
    for line, text in zip(moved[1:3], ("large", "späced"), strict=True):
        assert json.loads(line)["embedding"] == new.embed_documents([text])[0].tolist()
    assert check(index, new).ok
    switch(index)
    back(index)
    assert index.read_bytes() == before


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b'{"id": 1.5, "text": "a"}', "line 2: its id is 1.5"),
        (b'{"id": true, "text": "a"}', "line 2: its id is True"),
        (b'{"id": null, "text": "a"}', "line 2: its id is None"),
        (b'{"id": "", "text": "a"}', "line 2: its id is ''"),
        (b'{"text": "a"}', "line 2: it has no id"),
        (b'{"id": 3}', "line 2: it has no text"),
        (b'{"id": 3, "text": ["a"]}', "line 2: its text is list"),
        (b'{"id": 1, "text": "a"}', "line 2: the id '1' is that of line 1"),
        (b'{"id": 3, "text": "a"} {}', "line 2: not an object"),
        (b'{"id": 3, "text": "a",}', "line 2: not an object"),
        (b'[{"id": 3, "text": "a"}]', "line 2: not an object"),
        (b"[" * 50_000, "line 2: not an object"),
        (b'{"id": 3, "text": "\xff"}', "line 2: not an object .*UTF-8"),
        (b'{"id": 3, "text": "a" "b": 1}', "line 2: not an object"),
        (b"{", "line 2: not an object"),
    ],
)
def test_a_line_that_is_no_document_is_named_before_anything_is_paid(tmp_path, new, line, told):
    index = tmp_path / "docs.jsonl"
    index.write_bytes(b'{"id": 1, "text": "one"}\n' + line)
    for step in (plan, run):
        with pytest.raises(InvalidInputError, match=told):
            step(index, new)
    assert new.usage.requests == 0


def test_after_a_run_of_nothing_there_is_no_new_index_to_be_named(tmp_path, new):
    index = tmp_path / "docs.jsonl"
    index.write_bytes(b"\n")
    with pytest.raises(EmbeddingError, match="has no documents"):
        run(index, new)
    assert back(index).kept == ""


def test_a_name_that_is_nearly_too_long_for_a_file_is_shortened(tmp_path, new):
    index = tmp_path / ("ä" * 100 + ".jsonl")
    index.write_bytes(LINES[1])
    assert len(run(index, new).index.encode()) < 200
    assert switch(index).kept != run.__name__
    back(index)
