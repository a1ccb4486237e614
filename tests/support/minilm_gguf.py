"""MiniLM's SentenceTransformer directory as a GGUF file, which llama.cpp reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

_NAMES = {
    "embeddings.word_embeddings": "token_embd",
    "embeddings.token_type_embeddings": "token_types",
    "embeddings.position_embeddings": "position_embd",
    "embeddings.LayerNorm": "token_embd_norm",
    "attention.self.query": "attn_q",
    "attention.self.key": "attn_k",
    "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output",
    "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up",
    "output.dense": "ffn_down",
    "output.LayerNorm": "layer_output_norm",
}
_SPECIAL = {"unk": "[UNK]", "bos": "[CLS]", "eos": "[SEP]", "sep": "[SEP]", "pad": "[PAD]", "mask": "[MASK]"}


def write_sliver(source: Path, target: Path) -> None:
    """Write a sixth of the first layer: the same tokens, and quick."""
    write_gguf(source, target, layers=1, share=6)


def write_8_bits(source: Path, target: Path) -> None:
    """Write the model with 8 bits a number."""
    write_gguf(source, target, numbers="Q8_0")


def write_4_bits(source: Path, target: Path) -> None:
    """Write the model with 4 bits a number."""
    write_gguf(source, target, numbers="Q4_0")


def write_gguf(source: Path, target: Path, layers: int | None = None, share: int = 1, *, numbers: str = "F16") -> None:
    """Write the model in `source` (BERT, WordPiece, mean pooling): all its layers, and all their width.

    `numbers` is what the weights of its matrices are stored as: "F32", "F16", or a quantisation such as "Q8_0".
    """
    import gguf

    config = json.loads((source / "config.json").read_text())
    config["num_hidden_layers"] = layers or config["num_hidden_layers"]
    widths = {config[name]: config[name] // share for name in ("hidden_size", "intermediate_size")}
    for name in ("hidden_size", "intermediate_size", "num_attention_heads"):
        config[name] //= share
    writer = gguf.GGUFWriter(target, "bert")
    writer.add_name(source.name)
    writer.add_file_type(gguf.LlamaFileType[f"{'ALL' if numbers == 'F32' else 'MOSTLY'}_{numbers}"])
    _add_shape(writer, config)
    _add_tokenizer(writer, json.loads((source / "tokenizer.json").read_text()), config)
    _add_weights(writer, source / "model.safetensors", config["num_hidden_layers"], widths, numbers)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_shape(writer: Any, config: dict[str, Any]) -> None:
    from gguf import PoolingType

    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_layer_norm_eps(config["layer_norm_eps"])
    writer.add_causal_attention(value=False)
    writer.add_pooling_type(PoolingType.MEAN)


def _add_tokenizer(writer: Any, tokenizer: dict[str, Any], config: dict[str, Any]) -> None:
    from gguf import TokenType

    ids = tokenizer["model"]["vocab"]
    special = {entry["content"] for entry in tokenizer["added_tokens"]}
    tokens = sorted(ids, key=ids.__getitem__)
    kinds = [TokenType.NORMAL if token not in special else TokenType.CONTROL for token in tokens]
    kinds[ids["[UNK]"]] = TokenType.UNKNOWN
    # llama.cpp marks the beginning of a word, WordPiece its continuation.
    marked = [t if t in special else t[2:] if t.startswith("##") else "▁" + t for t in tokens]
    writer.add_tokenizer_model("bert")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(marked)
    writer.add_token_types(kinds)
    writer.add_token_type_count(config["type_vocab_size"])
    for role, token in _SPECIAL.items():
        getattr(writer, f"add_{role}_token_id")(ids[token])


def _add_weights(writer: Any, path: Path, layers: int, widths: dict[int, int], numbers: str) -> None:
    import gguf
    from safetensors.numpy import load_file

    for full, tensor in load_file(path).items():
        name, _, kind = full.rpartition(".")
        if name.startswith("pooler") or kind == "position_ids":
            continue
        if name in _NAMES:
            ours = _NAMES[name]
        else:
            _, _, layer, part = name.split(".", 3)
            if int(layer) >= layers:
                continue
            ours = f"blk.{layer}.{_NAMES[part]}"
        tensor = np.ascontiguousarray(tensor[tuple(slice(widths.get(size)) for size in tensor.shape)])  # noqa: PLW2901
        matrix = tensor.ndim == 2 and ours not in ("position_embd", "token_types")
        stored = gguf.GGMLQuantizationType[numbers if matrix else "F32"]
        writer.add_tensor(f"{ours}.{kind}", gguf.quants.quantize(tensor.astype(np.float32), stored), raw_dtype=stored)
