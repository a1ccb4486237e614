"""Token borders and counts by a model's own tokenizer, which needs no torch."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from embedbridge._threads.imports import importing
from embedbridge.errors import ConfigurationError

AT_ONCE = 256
"""Texts counted in one go: the tokenizer uses all cores, and its answer takes a hundred bytes a token."""


class TokenizerCounter:
    """A Hugging Face fast tokenizer."""

    name = "the model's own tokenizer"
    exact = True

    def __init__(self, definition: str, *, lower: bool = False) -> None:
        with importing():
            from tokenizers import Tokenizer, normalizers

        self._tokenizer = Tokenizer.from_str(definition)
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        if lower:
            own = self._tokenizer.normalizer
            self._tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), *([own] if own else [])])
        self._lock = threading.Lock()
        self.overhead = int(self._tokenizer.num_special_tokens_to_add(is_pair=False))

    @classmethod
    def from_file(cls, path: str, *, lower: bool = False) -> TokenizerCounter:
        """From a `tokenizer.json`; `lower` brings texts to lower case first, as some models do outside of it.

        Raises `ConfigurationError` when it holds no tokenizer.
        """
        try:
            with open(path, encoding="utf-8") as file:  # noqa: PTH123
                return cls(file.read(), lower=lower)
        except Exception as error:  # all that the library raises
            raise ConfigurationError(f"{path} holds no tokenizer ({str(error)[:100]}); fetch it again") from None

    def spans(self, text: str) -> Sequence[tuple[int, int]]:
        """Where each token begins and ends, in characters."""
        with self._lock:
            offsets: list[tuple[int, int]] = self._tokenizer.encode(text, add_special_tokens=False).offsets
        return offsets

    def counts(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, special ones not included."""
        found: list[int] = []
        for first in range(0, len(texts), AT_ONCE):
            with self._lock:
                encoded = self._tokenizer.encode_batch_fast(texts[first : first + AT_ONCE], add_special_tokens=False)
            found += map(len, encoded)
        return found
