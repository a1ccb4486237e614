"""How far vectors of the canary's texts are apart in replicas of one model, and in what only looks like one.

`pytest -m long -s tests/benchmarks/test_tolerance_table.py`; some ten minutes on two quiet cores.
"""

from __future__ import annotations

import json
import urllib.request

import numpy as np
import pytest

from embedbridge._core.proof import STRETCH, TOLERANCE, CanarySet
from support.llama import llama
from support.minilm_gguf import write_gguf
from support.replicas import apart, cased, embedding, equals, lengths, loaded, others

LIMIT = 450
"""Tokens of the longest text, so that every engine reads it."""
MARGIN = 2
"""Factors by which both groups stay away from the tolerance."""


class Table:
    """Figures of one model's replicas beside the original's."""

    def __init__(self, model, embed):
        self.model, self.texts = model, list(CanarySet(None).texts(LIMIT))
        self.original = embed(self.texts)
        self.faults = []

    def add(self, name, embed, *, same):
        """Measure a replica, and note where the tolerance takes it for what it is not."""
        vectors = embed(self.texts)
        far = apart(vectors, self.original)
        stretched = np.abs(lengths(vectors) / lengths(self.original) - 1).max()
        worst = self.texts[int(far.argmax())][:28]
        print(f"{self.model:8}{'same' if same else 'other':7}{name:40}{far.max():9.1e}{stretched:9.1e}  {worst!r}")
        if same and (far.max() > TOLERANCE / MARGIN or stretched > STRETCH / MARGIN):
            self.faults.append(f"{self.model}, {name}: too near to the tolerance")
        if not same and far.max() < TOLERANCE * MARGIN and stretched < STRETCH * MARGIN:
            self.faults.append(f"{self.model}, {name}: is not noticed with certainty")


def asked(server):
    """Embeds by a server of llama.cpp."""

    def embed(texts):
        body = json.dumps({"model": "any", "input": texts, "encoding_format": "float"}).encode()
        url = f"{server.listening_address}/v1/embeddings"
        request = urllib.request.Request(url, body, {"content-type": "application/json"})  # noqa: S310
        with urllib.request.urlopen(request) as answer:  # noqa: S310 - a loopback server of ours
            rows = sorted(json.load(answer)["data"], key=lambda row: row["index"])
        return np.array([row["embedding"] for row in rows])

    return embed


NUMBERS = {"F32": True, "F16": True, "BF16": True, "Q8_0": True, "Q4_1": False, "Q4_0": False}
"""Of a GGUF file, and whether a replica in it is of the same space."""


@pytest.mark.long
@pytest.mark.parametrize("model", ["MiniLM", "E5"])
def test_the_tolerance_lies_between_replicas_of_a_model_and_all_others(model, minilm_path, e5_path, tmp_path):
    path = {"MiniLM": minilm_path, "E5": e5_path}[model]
    table = Table(model, embedding(loaded(path)))
    for name, embed in equals(path):
        table.add(name, embed, same=True)
    for name, embed in (*others(path), *(cased(path) if model == "E5" else ())):
        table.add(name, embed, same=False)
    for numbers, same in NUMBERS.items() if model == "MiniLM" else ():
        write_gguf(path, tmp_path / numbers, numbers=numbers)
        server = llama(tmp_path / numbers)
        table.add(f"llama.cpp, {numbers}", asked(server), same=same)
        del server
    assert not table.faults, "\n".join(table.faults)
