"""What users' type checkers see of the public names. mypy and pyright read this file, strictly; nothing runs it."""

from __future__ import annotations

import tomllib
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import assert_type

import numpy as np
import numpy.typing as npt
import ray.data
from langchain_core.embeddings import Embeddings
from llama_index.core.base.embeddings.base import BaseEmbedding
from pydantic import SecretStr
from typing_extensions import Unpack

from embedbridge import (
    Embedder,
    EmbedderOptions,
    EmbeddingError,
    EmbeddingResult,
    Estimate,
    InputType,
    Report,
    VectorSpace,
    batch,
    guard,
)
from embedbridge.cache import DiskCache, MemoryCache, RedisCache
from embedbridge.catalogue.known import KnownModel
from embedbridge.keywords import EndpointDict, Options
from embedbridge.langchain import BridgeEmbeddings
from embedbridge.llama_index import BridgeEmbedding
from embedbridge.mteb import MTEBEncoder
from embedbridge.providers import BaseProvider, register
from embedbridge.ray_data import JobOptions, embed_dataset
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


def inputs_as_people_write_them() -> None:
    """What the README shows, and what a key, a path and a list of functions look like in an app."""
    Embedder("openai:text-embedding-3-small", api_key="any", base_url="http://127.0.0.1:8099/v1", max_cost=5)
    Embedder("fake:64", reduction="pca.npz", observers=[print], too_long="mean", provider_options={"latency": 0.1})
    Embedder(model="fake:64", reduction=Path("pca.npz"), api_key=SecretStr("any"), cache=["memory", "./folder"])
    Embedder("local:BAAI/bge-small-en-v1.5", query_prefix="", cache_dtype="float16", timeout=30)
    EmbedderOptions("fake:8", api_key="any", reduction="pca.npz", observers=[print])
    BridgeEmbeddings("fake:8", api_key="any", reduction="pca.npz", observers=[print])
    BridgeEmbeddings(model="fake:8", show_progress=True, rate_limiter=None, deadline=5)
    BridgeEmbedding("fake:8", api_key="any", reduction="pca.npz", observers=[print])
    BridgeEmbedding(model="fake:8", embed_batch_size=10, num_workers=2, callback_manager=None)
    model: KnownModel = "openai:text-embedding-3-small"
    wrapped = BridgeEmbeddings.wrap(BridgeEmbeddings(model), name="v1", cache=False, dimensions=4)
    assert_type(wrapped, BridgeEmbeddings)
    assert_type(wrapped.as_llama_index(), BridgeEmbedding)
    assert_type(wrapped.embedder.as_langchain(), BridgeEmbeddings)
    assert_type(wrapped.embedder.as_llama_index().as_langchain(), BridgeEmbeddings)
    assert_type(wrapped.embedder.usage, Report)
    other = BridgeEmbedding.wrap(wrapped.as_llama_index(), name="v1", cache=False, max_cost=5)
    assert_type(guard("index", other, canary=True), BridgeEmbedding)
    assert_type(batch.submit(wrapped.embedder, ["a"], queue_tokens=1000), batch.Submission)
    assert_type(batch.collect(wrapped.embedder, wait=True)[0].cost, float | None)
    MTEBEncoder(Embedder("fake:8", empty="zero"))


@register
class Lengths(BaseProvider):
    """A class stays what it is where a decorator makes it known."""

    name = "lengths"


assert_type(register(Lengths), type[Lengths])


def endpoints_of_a_file(path: Path) -> Embedder:
    rows: list[EndpointDict] = tomllib.loads(path.read_text())["endpoints"]
    return Embedder("openai:text-embedding-3-small", endpoints=rows)


def slips() -> None:
    """Each is an error to both checkers: where one finds none, its `ignore` is one too many, which is an error too."""
    Embedder("fake:8", dimensons=4)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Embedder("fake:8", dimensions="4")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    BridgeEmbeddings("fake:8", too_long="cut")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Embedder("fake:8", cache=3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Embedder("fake:8", cache={"a": 1})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    BridgeEmbedding("fake:8", cach=False)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    BridgeEmbedding.wrap(None, name="v1", sise=4)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    BridgeEmbeddings.wrap(None, name="v1", sise=4)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def options_in_a_function_of_ones_own(**options: Unpack[Options]) -> Embedder:
    return Embedder("fake:8", **options)


def job(dataset: ray.data.Dataset) -> None:
    options: JobOptions = {"model": "fake:8", "cache": "redis://localhost:6379/0", "api_key": "any"}
    embed_dataset(dataset, options=options)
    embed_dataset(dataset, options={"model": "fake:8", "max_cost": 5})
    embed_dataset(dataset).write_parquet("vectors/", mode=ray.data.SaveMode.OVERWRITE)  # pyright: ignore[reportUnknownMemberType]


def arrays(left: Vectors, right: Vectors) -> None:
    for similarity in (cosine_similarity, dot_product, euclidean_distance):
        similarity(left, right)
    assert_type(top_k(left, right, k=3).scores, Vectors)
    assert_type(PCA(n_components=2).fit(left).transform(right), Vectors)
    assert_type(PCA.load("pca.npz"), PCA)


def caches() -> None:
    for cache in (DiskCache("folder"), MemoryCache(), RedisCache("redis://localhost:6379/0")):
        Embedder("fake:8", cache=cache)
        BridgeEmbeddings("fake:8", cache=[True, "redis://localhost:6379/0", cache, Path("folder")])


def errors(error: EmbeddingError) -> None:
    assert_type(error.failed_indices, tuple[int, ...])
    assert_type(error.completed, tuple[int, ...])
