"""Refusals whose words say that a text, or a request, is too long: rows of `known_refusals.py`, in their order."""

from __future__ import annotations

from .kinds import Kind
from .refusal_rows import INPUT, INPUT_OR_SERVER, Row

TOO_LONG: tuple[Row, ...] = (
    Row(
        Kind.TOO_LONG,
        "TEI, SiliconFlow",
        "github.com/huggingface/text-embeddings-inference/issues/356",
        INPUT_OR_SERVER,
        said=r"must have (less|fewer) than (?P<limit>\d{1,9}) tokens(\W+given\W+(?P<tokens>\d{1,9}))?",
    ),
    Row(
        Kind.TOO_LONG,
        "TEI",
        "github.com/huggingface/text-embeddings-inference/issues/394",
        INPUT_OR_SERVER,
        said=r"must have (less|fewer) than (?P<characters>\d{1,9}) characters(\W+given\W+(?P<actual>\d{1,9}))?",
    ),
    Row(
        Kind.TOO_LONG,
        "Bedrock: in characters",
        "github.com/maximhq/bifrost/issues/3471",
        INPUT_OR_SERVER,
        said=r"expected maxLength: (?P<characters>\d{1,9}), actual: (?P<actual>\d{1,9})",
    ),
    Row(
        Kind.TOO_LONG,
        "torch, behind Weaviate, sentence-transformers and servers of one's own",
        "github.com/weaviate/weaviate/issues/2357, github.com/huggingface/sentence-transformers/issues/929",
        INPUT_OR_SERVER,
        said=r"size of tensor a \((?P<tokens>\d{2,9})\) must match the size of tensor b \((?P<limit>\d{2,9})\)"
        r" at non-singleton dimension [1-3]",
    ),
    Row(
        Kind.TOO_LONG,
        "torch, behind LightRAG and servers of one's own",
        "github.com/HKUDS/LightRAG/issues/629",
        INPUT_OR_SERVER,
        said=r"expanded size of the tensor \((?P<tokens>\d{2,9})\) must match the existing size"
        r" \((?P<limit>\d{2,9})\) at non-singleton dimension [1-3]",
    ),
    Row(
        Kind.TOO_LONG,
        "OpenAI, vLLM",
        "error text; github.com/vllm-project/vllm/issues/19798",
        INPUT_OR_SERVER,
        said=r"maximum (context|input) length is (?P<limit>\d{1,9}) tokens"
        r"(.{0,60}?(requested|has|contains|resulted in|input is) (?P<tokens>\d{1,9})( \w+)? tokens)?",
    ),
    Row(
        Kind.TOO_LONG,
        "llama.cpp",
        "server's error text",
        INPUT_OR_SERVER,
        said=r"input \((?P<tokens>\d{1,9}) tokens\) is (too large to process|larger than the max(imum)? context size)"
        r"(.{0,80}?size\W+(?P<limit>\d{1,9}))?",
    ),
    Row(
        Kind.TOO_LONG,
        "llama.cpp",
        "server's error text",
        INPUT_OR_SERVER,
        said=r"request \((?P<tokens>\d{1,9}) tokens\) exceeds the available context size \((?P<limit>\d{1,9})",
    ),
    Row(
        Kind.TOO_LONG,
        "llama-box",
        "github.com/gpustack/gpustack/issues/1845",
        INPUT_OR_SERVER,
        said=r"(prefill )?(?P<tokens>\d{1,9}) tokens exceeds? n_ctx",
    ),
    Row(
        Kind.TOO_MUCH,
        "Mistral, Voyage, OpenAI",
        "error texts",
        INPUT,
        said=r"tokens? (per|in (a|one|the)) (\w+ )?(request|batch)|too many tokens in (batch|request)",
    ),
    Row(
        Kind.TOO_LONG,
        "vLLM, NIM, SiliconFlow",
        "error texts; github.com/vllm-project/vllm: renderers",
        INPUT_OR_SERVER,
        said=r"(passed|input length|prompt_tokens \() ?(?P<tokens>\d{1,9})\b.{0,100}?(context length is only|token size"
        r"|max_seq_len \() ?(?P<limit>\d{1,9})",
    ),
    Row(
        Kind.TOO_MUCH,
        "Vertex AI",
        "error text: all texts of a request have 20,000 tokens at most",
        INPUT,
        said=r"input token count is \d{1,9} but the model supports up to 20000\b",
    ),
    Row(
        Kind.TOO_LONG,
        "Ollama, Cohere, LM Studio, litellm and others",
        "error texts",
        INPUT_OR_SERVER,
        said=r"(context|input|sequence) length|too many tokens|too large to process|maximum .{0,20}tokens"
        r"|longer than the maximum|does not fit into the model|context ?(window|size)|(prompt|input|text) is too long"
        r"|exceeds? (the )?(model's )?(max\w*|limit).{0,30}tokens|exceeds? (the )?tokens? limit|max_model_len"
        r"|input token count",
    ),
)
