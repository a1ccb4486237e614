"""Small real models of sentence-transformers, each of which differs from the first in one thing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

WIDTH = 16
NARROW = {384: WIDTH, 1536: WIDTH, 512: 64}
"""A size of MiniLM's tensors → that of the small model."""
Change = Callable[[Path], None]


def write_tiny(folder: Path, source: Path) -> None:
    """One layer, 16 numbers, 64 tokens, everything else as in `source`, which is a BERT."""
    from safetensors import safe_open
    from safetensors.numpy import save_file

    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("*.safetensors", "*.bin", "onnx"))
    sizes = {"hidden_size": WIDTH, "intermediate_size": WIDTH, "max_position_embeddings": 64}
    _change(folder / "config.json", sizes | {"num_hidden_layers": 1, "num_attention_heads": 2})
    _change(folder / "1_Pooling/config.json", {"word_embedding_dimension": WIDTH})
    _change(folder / "sentence_bert_config.json", {"max_seq_length": 32})
    numbers, weights = np.random.default_rng(0), {}
    with safe_open(source / "model.safetensors", "numpy") as large:
        for name in large.keys():  # noqa: SIM118 - it is no dict
            if "position_ids" in name or (".layer." in name and ".layer.0." not in name):
                continue
            shape = [NARROW.get(size, size) for size in large.get_slice(name).get_shape()]
            weights[name] = numbers.normal(size=shape).astype(np.float32)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def settings(**changed: Any) -> Change:
    """Other settings for `encode`."""
    return lambda folder: _change(folder / "config_sentence_transformers.json", changed)


def pooled(**changed: Any) -> Change:
    """Another pooling."""
    return lambda folder: _change(folder / "1_Pooling/config.json", changed)


def shorter(folder: Path) -> None:
    """Fewer tokens are read."""
    _change(folder / "sentence_bert_config.json", {"max_seq_length": 16})


def cased(folder: Path) -> None:
    """A tokenizer that tells capitals apart."""
    place = folder / "tokenizer.json"
    stored = json.loads(place.read_text())
    stored["normalizer"]["lowercase"] = False
    place.write_text(json.dumps(stored))
    _change(folder / "tokenizer_config.json", {"do_lower_case": False})


def unnormalised(folder: Path) -> None:
    """One module less."""
    place = folder / "modules.json"
    place.write_text(json.dumps(json.loads(place.read_text())[:2]))


def reweighted(folder: Path) -> None:
    """One number of the weights is another."""
    from safetensors.numpy import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    weights["embeddings.LayerNorm.bias"][0] += 1
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def _change(place: Path, changed: dict[str, Any]) -> None:
    stored = json.loads(place.read_text()) if place.exists() else {}
    place.write_text(json.dumps(stored | changed))


CHANGES: dict[str, Change] = {
    "weights": reweighted,
    "tokenizer": cased,
    "pooling": pooled(pooling_mode_mean_tokens=False, pooling_mode_cls_token=True, pooling_mode="cls"),
    "module": unnormalised,
    "prompts": settings(prompts={"query": "Q: ", "document": "D: "}),
    "other prompts": settings(prompts={"query": "Q: ", "document": "E: "}),
    "default prompt": settings(prompts={"sort": "S: "}, default_prompt_name="sort"),
    "truncate_dim": settings(truncate_dim=8),
    "max_seq_length": shorter,
}
"""What is changed in a copy of the folder."""
OPTIONS: dict[str, dict[str, Any]] = {
    "bfloat16": {"provider_options": {"dtype": "bfloat16"}},
    "float16": {"provider_options": {"dtype": "float16"}},
    "dimensions": {"dimensions": 8, "provider_options": {"force_dimensions": True}},
    "prefix": {"document_prefix": "p: ", "query_prefix": "p: "},
    "onnx": {"provider_options": {"backend": "onnx"}},
}
"""Options that change the vectors of one folder."""
