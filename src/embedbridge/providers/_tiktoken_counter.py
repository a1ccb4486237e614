"""The tokenizer of OpenAI's embedding models, where its vocabulary lies on this machine. Nothing is downloaded."""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from embedbridge._threads.imports import importing

if TYPE_CHECKING:
    import tiktoken

ENCODING = "cl100k_base"
FILE = "9b5ad71b2ce5302211f9c61530b329a4922fc6a4"
"""What tiktoken calls the vocabulary in its cache directory."""
SHA256 = "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7"
FIRST_FAST = (0, 13)
"""Earlier versions take minutes for a long run of one letter."""
CACHE_DIR = "TIKTOKEN_CACHE_DIR"
NO_TOKENIZER = (
    "OpenAI's tokenizer is not on this machine, so long texts are measured roughly, and the API says which it refuses; "
    "install tiktoken 0.13 or later, and call tiktoken.get_encoding('cl100k_base') once where there is a network"
)
_loading = threading.Lock()


class TiktokenCounter:
    """Counts as the API does."""

    name = f"tiktoken {ENCODING}"
    exact = True
    overhead = 0

    def __init__(self, encoding: tiktoken.Encoding) -> None:
        self._encoding = encoding
        self._bytes = np.zeros(encoding.n_vocab, dtype=np.int64)
        for token in encoding.token_byte_values():
            self._bytes[encoding.encode_single_token(token)] = len(token)

    def spans(self, text: str) -> Sequence[tuple[int, int]]:
        """The span of each token, in characters. A character of several tokens is in the span of the last of them."""
        ids = self._encoding.encode_to_numpy(text, disallowed_special=())
        ends = np.cumsum(self._bytes[ids])
        if not text.isascii():
            ends = _characters(text, ends)
        return list(zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True)) if len(ends) else []

    def counts(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text."""
        return [len(self.spans(text)) for text in texts]


def _characters(text: str, ends: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Ends in bytes as ends in characters; those inside a character fall back to the end before it."""
    begins = (np.frombuffer(text.encode(), dtype=np.uint8) & 0xC0) != 0x80
    characters = np.append(np.cumsum(begins) - begins, len(text))
    whole = np.append(begins, True)[ends]
    fallen: npt.NDArray[np.int64] = np.maximum.accumulate(np.where(whole, characters[ends], 0))
    return fallen


def vocabulary() -> Path | None:
    """The folder of the vocabulary; None where it, or tiktoken 0.13, is missing."""
    try:
        installed = tuple(int(part) for part in version("tiktoken").split(".")[:2])
    except (PackageNotFoundError, ValueError):
        return None
    return next((folder for folder in _folders() if installed >= FIRST_FAST and _is_whole(folder / FILE)), None)


@cache
def tiktoken_counter() -> TiktokenCounter | None:
    """The counter; None where `vocabulary` is. It takes half a second to load."""
    folder = vocabulary()
    if folder is None:
        return None
    # tiktoken takes a directory from the environment only.
    with importing(), _loading:
        import tiktoken

        before = os.environ.get(CACHE_DIR)
        os.environ[CACHE_DIR] = str(folder)
        try:
            return TiktokenCounter(tiktoken.get_encoding(ENCODING))
        finally:
            if before is None:
                del os.environ[CACHE_DIR]
            else:
                os.environ[CACHE_DIR] = before


def _folders() -> Iterator[Path]:
    """Where the vocabulary may lie: tiktoken's own cache, and LlamaIndex's copy."""
    own = os.environ.get(CACHE_DIR, os.environ.get("DATA_GYM_CACHE_DIR"))
    yield Path(tempfile.gettempdir(), "data-gym-cache") if own is None else Path(own)
    with importing():
        core = find_spec("llama_index.core") if find_spec("llama_index") else None
    for place in (core and core.submodule_search_locations) or ():
        yield Path(place, "_static", "tiktoken_cache")


def _is_whole(file: Path) -> bool:
    # tiktoken deletes a file whose hash is wrong, and downloads it.
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest() == SHA256
    except OSError:
        return False
