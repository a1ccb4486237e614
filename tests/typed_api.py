"""What users' type checkers see of the public names. mypy and pyright read this file, strictly; nothing runs it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from typing import assert_type

import numpy as np
import numpy.typing as npt
from langchain_core.embeddings import Embeddings
from llama_index.core.base.embeddings.base import BaseEmbedding

from embedbridge import Embedder, EmbeddingError, EmbeddingResult, Estimate, InputType, Report, VectorSpace
from embedbridge.cache import DiskCache, MemoryCache, RedisCache
from embedbridge.langchain import BridgeEmbeddings
from embedbridge.llama_index import BridgeEmbedding
from embedbridge.reduction import PCA
from embedbridge.similarity import cosine_similarity, dot_product, euclidean_distance, top_k

Vectors = npt.NDArray[np.float32]


def core(embedder: Embedder, texts: list[str], role: InputType) -> None:
    assert_type(embedder.embed(texts, input_type=role), EmbeddingResult)
    assert_type(embedder.embed(text for text in texts).report, Report)
    assert_type(embedder.embed_documents(texts), Vectors)
    assert_type(embedder.embed_query("a"), Vectors)
    assert_type(embedder.stream(texts, chunk_size=10), Generator[EmbeddingResult])
    assert_type(embedder.astream(texts), AsyncGenerator[EmbeddingResult])
    assert_type(embedder.estimate(texts), Estimate)
    assert_type(embedder.estimate(texts).cost, float | None)
    assert_type(embedder.space, VectorSpace)
    with embedder as same:
        assert_type(same, Embedder)


async def tasks(embedder: Embedder, texts: list[str]) -> None:
    assert_type(await embedder.aembed(texts), EmbeddingResult)
    assert_type(await embedder.aembed_documents(texts), Vectors)
    assert_type(await embedder.aembed_query("a"), Vectors)
    async with embedder as same:
        assert_type(same, Embedder)


def faces(texts: list[str]) -> None:
    langchain: Embeddings = BridgeEmbeddings(model="fake:8", cache=False, dimensions=4)
    assert_type(langchain.embed_documents(texts), list[list[float]])
    llama_index: BaseEmbedding = BridgeEmbedding(model="fake:8", cache="memory")
    assert_type(llama_index.get_text_embedding_batch(texts), list[list[float]])


def arrays(left: Vectors, right: Vectors) -> None:
    for similarity in (cosine_similarity, dot_product, euclidean_distance):
        similarity(left, right)
    assert_type(top_k(left, right, k=3).scores, Vectors)
    assert_type(PCA(n_components=2).fit(left).transform(right), Vectors)
    assert_type(PCA.load("pca.npz"), PCA)


def caches() -> None:
    for cache in (DiskCache("folder"), MemoryCache(), RedisCache("redis://localhost:6379/0")):
        Embedder("fake:8", cache=cache)


def errors(error: EmbeddingError) -> None:
    assert_type(error.failed_indices, tuple[int, ...])
    assert_type(error.completed, tuple[int, ...])
