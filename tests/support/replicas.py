"""Replicas of one model that differ in one thing each: what leaves its space the same, and what makes another of it."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from embedbridge._core.types import Vectors

Embed = Callable[[Sequence[str]], Vectors]
Replica = tuple[str, Embed]
"""What it differs in, and a way to its vectors."""


def loaded(path: Path, dtype: str = "float32", **more: Any) -> Any:
    """A sentence-transformers model that reads 512 tokens."""
    import torch
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(path), device="cpu", model_kwargs={"dtype": getattr(torch, dtype), **more})
    model.max_seq_length = 512
    return model


def embedding(model: Any, batch: int = 32, change: Callable[[str], str] = str) -> Embed:
    """Embeds as the model is set, without its prompts, so many texts at once, each changed before."""
    fixed = {"show_progress_bar": False, "prompt": "", "convert_to_tensor": True, "batch_size": batch}
    return lambda texts: model.encode([change(text) for text in texts], **fixed).float().numpy()


def equals(path: Path) -> Iterator[Replica]:
    """Other batches, kernels and number formats: the same space."""
    import torch

    single = loaded(path)
    yield ("one text a batch", embedding(single, 1))
    yield ("three texts a batch", embedding(single, 3))
    yield ("another kernel of attention", embedding(loaded(path, attn_implementation="eager")))
    yield ("float16", embedding(loaded(path, "float16")))
    yield ("bfloat16", embedding(loaded(path, "bfloat16")))
    yield ("bfloat16, one text a batch", embedding(loaded(path, "bfloat16"), 1))
    yield ("bfloat16 weights, float32 sums", embedding(loaded(path, "bfloat16").to(torch.float32)))


def others(path: Path) -> Iterator[Replica]:
    """Each of them is another space."""
    model = loaded(path)
    for prefix in ("query: ", "passage: ", "Represent this sentence for searching relevant passages: "):
        yield (f"before each text {prefix[:20]!r}", embedding(model, change=prefix.__add__))
    yield ("an end of text more", embedding(model, change=lambda text: text + model.tokenizer.sep_token))
    for pooling in ("cls", "max", "lasttoken"):
        yield (f"pooling {pooling}", embedding(_changed(path, lambda m, to=pooling: _pool(m, to))))
    for tokens in (64, 128):
        yield (f"{tokens} tokens read", embedding(_changed(path, lambda m, to=tokens: _read(m, to))))
    yield ("a layer fewer", embedding(_changed(path, _drop_layer)))
    yield ("unit length left out", embedding(_unnormalised(model)))
    yield ("weights 10 % off", embedding(_changed(path, lambda m: _shake(m, 0.1))))


def cased(path: Path) -> Iterator[Replica]:
    """More of those, for a model that tells capitals and accents apart."""
    model = loaded(path)
    yield ("lower-cased", embedding(model, change=str.lower))
    yield ("accents left out", embedding(model, change=_without_accents))


def _changed(path: Path, change: Callable[[Any], None]) -> Any:
    model = loaded(path)
    change(model)
    return model


def _pool(model: Any, to: str) -> None:
    model[1].pooling_mode = to


def _read(model: Any, tokens: int) -> None:
    model.max_seq_length = tokens


def _drop_layer(model: Any) -> None:
    del model[0].auto_model.encoder.layer[-1]


def _shake(model: Any, share: float) -> None:
    import torch

    torch.manual_seed(0)
    with torch.no_grad():
        for weights in model.parameters():
            if weights.ndim == 2:
                weights.add_(torch.randn_like(weights) * weights.std() * share)


def _unnormalised(model: Any) -> Any:
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(modules=[each for each in model if type(each).__name__ != "Normalize"], device="cpu")


def _without_accents(text: str) -> str:
    return "".join(each for each in unicodedata.normalize("NFKD", text) if not unicodedata.combining(each))


def lengths(vectors: Vectors) -> Vectors:
    """Of each row."""
    return np.linalg.norm(vectors.astype(np.float64), axis=1)


def apart(ours: Vectors, theirs: Vectors) -> Vectors:
    """1 - cosine of each pair of rows."""
    left, right = ours.astype(np.float64), theirs.astype(np.float64)
    return 1 - (left * right).sum(axis=1) / (lengths(left) * lengths(right))
