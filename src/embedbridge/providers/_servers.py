"""What servers of known makes publish of themselves, and how they count tokens: requests and answers, nothing sent.

One row of `TOKENIZERS` for each make that counts; `read_facts` reads what any of them publishes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from embedbridge._core.servers import Facts, Inquiry


@dataclass(frozen=True, slots=True)
class Tokenizer:
    """How one make of server is asked for the tokens of a text, at `/tokenize` above `/v1`."""

    body: Callable[[str, str], Mapping[str, Any]]
    """Model and text → the request's fields. Special tokens are to be counted."""
    count: Callable[[Any], int]
    """The answer → tokens. May raise KeyError, IndexError or TypeError."""
    source: str


TOKENIZERS: Mapping[str, Tokenizer] = {
    "llama.cpp": Tokenizer(
        lambda _, text: {"content": text, "add_special": True},
        lambda answer: len(answer["tokens"]),
        "github.com/ggml-org/llama.cpp tools/server/README.md; tried on the engine",
    ),
    "TEI": Tokenizer(
        lambda _, text: {"inputs": text, "add_special_tokens": True},
        lambda answer: len(answer[0]),
        "github.com/huggingface/text-embeddings-inference docs/openapi.json",
    ),
    "vLLM": Tokenizer(
        lambda model, text: {"model": model, "prompt": text, "add_special_tokens": True},
        lambda answer: answer["count"],
        "docs.vllm.ai: Tokenizer API",
    ),
}

_NUM_CTX = re.compile(r"^num_ctx\s+(\d{1,9})\s*$", re.MULTILINE)
"""In a Modelfile's parameters, one a line."""


@dataclass(frozen=True, slots=True)
class CompatibleServer:
    """A server that speaks OpenAI's API at `url`, of a make that is not known before it has answered."""

    url: str
    model: str

    @property
    def root(self) -> str:
        """Where a server has what is not part of OpenAI's API."""
        return self.url.rstrip("/").removesuffix("/v1")

    def fact_inquiries(self) -> Sequence[Inquiry]:
        """TEI's `/info`, llama.cpp's `/props`, and the list of models, where vLLM and llama.cpp have limits."""
        places = (f"{self.root}/info", f"{self.root}/props", f"{self.url.rstrip('/')}/models")
        return [Inquiry("GET", place) for place in places]

    def read_facts(self, answers: Sequence[Any]) -> Facts:
        """What the three answers say, each of which may be missing or something else entirely."""
        info, props, models = (answer if isinstance(answer, dict) else {} for answer in answers)
        if "max_input_length" in info:
            return Facts(_count(info, "max_client_batch_size"), _count(info, "max_input_length"), "TEI")
        if "default_generation_settings" in props:
            return Facts(None, _count(props, "default_generation_settings", "n_ctx"), "llama.cpp")
        for entry in self._entries(models):
            if limit := _count(entry, "max_model_len"):
                return Facts(None, limit, "vLLM")
            if limit := _count(entry, "meta", "n_ctx_train"):
                return Facts(None, limit)
        return Facts()

    def _entries(self, models: Mapping[str, Any]) -> list[Any]:
        """The model's entry in a list of models; the only one, whatever it is called."""
        listed = models.get("data")
        entries = [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
        return entries if len(entries) == 1 else [entry for entry in entries if entry.get("id") == self.model]

    def count_inquiries(self, tokenizer: str, texts: Sequence[str]) -> Sequence[Inquiry]:
        """One request for each text."""
        body = TOKENIZERS[tokenizer].body
        return [Inquiry("POST", f"{self.root}/tokenize", body(self.model, text)) for text in texts]

    def read_counts(self, tokenizer: str, answers: Sequence[Any]) -> list[int] | None:
        """Tokens of each text; None where one of the answers does not say it."""
        try:
            counts = [TOKENIZERS[tokenizer].count(answer) for answer in answers]
        except (KeyError, IndexError, TypeError):
            return None
        return counts if all(type(count) is int and count >= 0 for count in counts) else None


@dataclass(frozen=True, slots=True)
class OllamaServer:
    """An Ollama at `url`, which publishes what a model reads at most. It counts no tokens."""

    url: str
    model: str
    num_ctx: int | None
    """Tokens that it is asked to read of a text; None: as the model's file or the server says."""

    def fact_inquiries(self) -> Sequence[Inquiry]:
        """The model's description."""
        return [Inquiry("POST", f"{self.url}/api/show", {"model": self.model})]

    def read_facts(self, answers: Sequence[Any]) -> Facts:
        """The least of the model's own context and the one that it is loaded with, as far as these are said."""
        (shown,) = (answer if isinstance(answer, dict) else {} for answer in answers)
        facts = shown.get("model_info")
        kind = facts.get("general.architecture") if isinstance(facts, dict) else None
        own = _count(facts, f"{kind}.context_length")
        in_file = _NUM_CTX.search(str(shown.get("parameters") or ""))
        loaded = self.num_ctx or (int(in_file[1]) if in_file else None)
        return Facts(None, min((limit for limit in (own, loaded) if limit), default=None))

    def count_inquiries(self, tokenizer: str, texts: Sequence[str]) -> Sequence[Inquiry]:
        """None: it has no tokenizer."""
        return []

    def read_counts(self, tokenizer: str, answers: Sequence[Any]) -> list[int] | None:
        """None."""
        return None


def _count(found: Any, *names: str) -> int | None:
    """The number at a path of names; None where there is none, or one that is no limit."""
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None
    return found if type(found) is int and found > 0 else None
