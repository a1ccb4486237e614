"""A column of a Ray dataset as vectors: one embedder an actor, one cache and one budget for all of them.

Ray moves rows and starts actors, again where one has died; what a vector is and what it costs, `Embedder` decides.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from math import inf
from typing import Any

from ._arrays import as_arrow
from ._core.prepare import check_input_type
from ._core.types import InputType
from ._endpoint_options import share
from ._secrets import with_placeholders
from ._signatures import in_lines
from ._threads.telling import warn
from .cache import DiskCache, MemoryCache, TieredCache, open_cache
from .catalogue.known import KnownModel
from .embedder import Embedder
from .errors import ConfigurationError, EmbeddingError, MissingExtraError
from .keywords import Options
from .options import DEFAULT_MODEL

try:
    import pyarrow as pa
    import ray
    from ray.data import ActorPoolStrategy, Dataset
except ImportError as error:
    raise MissingExtraError('Ray Data is not installed; run: pip install "embedbridge[ray]"') from error

__all__ = ["JobOptions", "embed_dataset"]

DIVIDED = ("requests_per_minute", "tokens_per_minute", "max_cost")
"""Options that hold for the whole job, so that each actor has its part of them."""
ONE_PROCESS = {
    "rate_limiter": "set requests_per_minute and tokens_per_minute, which are divided among them",
    "observers": "Ray's own progress bar and dashboard show the job",
}
"""Options that are objects of this process, which no other one can call → what to use instead."""


class JobOptions(Options, total=False):
    """Options of the embedders of a job."""

    model: KnownModel | str
    """`provider:model`, split at the first colon."""


@in_lines
def embed_dataset(
    dataset: Dataset,
    column: str = "text",
    output: str = "embedding",
    options: JobOptions | Mapping[str, Any] | None = None,
    actors: int = 2,
    *,
    input_type: InputType = "document",
    batch_size: int = 4096,
    num_cpus: float | None = None,
    num_gpus: float | None = None,
) -> Dataset:
    """The dataset with one more column: the vector of each row's text, a list of float32 of fixed size.

    Like all of Ray Data it is lazy: rows are embedded when the result is written or read. A job that broke off is
    run again; with a cache that all actors reach, only what it has not paid for is asked for. An actor that dies is
    started again by Ray, and its rows are embedded by it or by another.

    Args:
        dataset: any `ray.data.Dataset`.
        column: where the texts are.
        output: the new column's name.
        options: those of `Embedder`, `model` included. `requests_per_minute`, `tokens_per_minute` and `max_cost` are
            for the whole job and divided among the actors; one that died and was started again has its part of
            `max_cost` anew. The limits of each of `endpoints` are divided, too. On several machines `cache` should be
            `redis://…`, or a list that ends with it. Keys are best in the environment of the cluster's nodes; an
            `api_key` given here travels inside the cluster, and shows in no log, name or error.
        actors: embedders at work, each with `concurrency` requests under way.
        input_type: the role of the texts.
        batch_size: rows that an embedder is handed at once; of short texts, an API may take 2048 in one request.
        num_cpus: CPUs that Ray reserves for each actor. None: 0, since an actor that waits for an API needs little.
            Ray's reading, mapping and writing tasks each take one whole CPU, and Ray waits for ever where no node has
            one left: on nodes with one CPU, even 0.1 for an actor is too much. A local model without a GPU needs CPUs
            of its own: give a whole number, smaller than the number of CPUs.
        num_gpus: GPUs that Ray reserves for each actor, for local models.

    Returns:
        The dataset with the new column, not yet computed.

    Raises:
        ConfigurationError: at once, for wrong options, columns and numbers. What goes wrong later ends the job with
            Ray's `RayTaskError` (`ActorDiedError` where a node lacks the key or a package), which names the embedder's
            error with its index in the batch, and shows no text. What was paid for until then is in the cache.
    """
    _check_arguments(dataset, output, options, {"actors": actors, "batch_size": batch_size})
    _check_reserved({"num_cpus": num_cpus, "num_gpus": num_gpus})
    own = dict(options or {})
    for name, instead in ONE_PROCESS.items():
        if own.get(name):
            raise ConfigurationError(f"{name} belongs to one process, and actors are others; {instead}")
    space = _check_options(own)
    _check_travels(own)
    schema = dataset.schema(fetch_if_missing=False)  # to fetch it would begin with the work
    if schema is not None:
        check_columns(schema.names, column, output)
    _warn_of_separate_caches(own.get("cache", True))
    task = Task(column, output, check_input_type(input_type), _share(own, actors), space)
    return dataset.map_batches(
        EmbedColumn,
        fn_constructor_args=(task,),
        batch_size=batch_size,
        batch_format="pyarrow",
        compute=ActorPoolStrategy(size=actors),
        num_cpus=num_cpus or 0,  # Ray's None is a whole one
        num_gpus=num_gpus,
    )


class Task:
    """What an actor is made with.

    Not a dataclass: Ray's export log shows those field by field, and options may hold a key.
    """

    __slots__ = ("column", "input_type", "options", "output", "space")

    def __init__(
        self,
        column: str,
        output: str,
        input_type: InputType,
        options: dict[str, Any],
        space: dict[str, Any] | None = None,
    ) -> None:
        self.column, self.output, self.input_type, self.options = column, output, input_type, options
        self.space = space


class EmbedColumn:
    """One actor's work: batches of rows in, the same rows with their vectors out."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._embedder = Embedder(**task.options)
        self._embedder.check_space(task.space)  # the environment of this node may say otherwise
        self._width = self._embedder.space.dimensions or 0

    def __call__(self, rows: pa.Table) -> pa.Table:
        """The rows with the new column."""
        task = self._task
        check_columns(rows.column_names, task.column, task.output)
        try:
            vectors = self._embedder.embed(rows.column(task.column).to_pylist(), input_type=task.input_type).vectors
        except EmbeddingError as error:
            error.add_note(
                f"indices count within a batch of {rows.num_rows} rows; the texts are those of {task.column!r}"
            )
            raise
        self._width = vectors.shape[1] or self._width
        return rows.append_column(task.output, as_arrow(vectors, self._width))

    def __del__(self) -> None:
        embedder = vars(self).get("_embedder")
        if embedder is not None:
            embedder.close()


def check_columns(names: Sequence[str], column: str, output: str) -> None:
    """Raises `ConfigurationError` where there are no texts to read, or something in the vectors' place."""
    if column not in names:
        raise ConfigurationError(f"column {column!r} is not in the dataset; it has {', '.join(map(repr, names))}")
    if output in names:
        raise ConfigurationError(f"output {output!r} is a column of the dataset already; give another name")


def _check_arguments(dataset: Any, output: Any, options: Any, counts: Mapping[str, Any]) -> None:
    if not isinstance(dataset, Dataset):
        raise ConfigurationError(f"dataset must be a ray.data.Dataset, not {type(dataset).__name__}")
    if not isinstance(output, str) or not output:
        raise ConfigurationError(f"output must be the new column's name, not {output!r}")
    if not isinstance(options, Mapping | None):
        raise ConfigurationError(f"options must be a mapping, as in {{'model': …}}, not {type(options).__name__}")
    if strange := [name for name in options or () if not isinstance(name, str)]:
        raise ConfigurationError(f"options must have names of options, as in {{'model': …}}, not {strange[0]!r}")
    for name, number in counts.items():
        if type(number) is not int or number < 1:
            raise ConfigurationError(f"{name} must be a whole number of at least 1, not {number!r}")


def _check_reserved(amounts: Mapping[str, Any]) -> None:
    for name, amount in amounts.items():
        is_number = isinstance(amount, int | float) and not isinstance(amount, bool)
        if amount is not None and not (is_number and 0 <= amount < inf):
            raise ConfigurationError(f"{name} must be a number of at least 0, not {amount!r}")


def _check_options(options: dict[str, Any]) -> dict[str, Any] | None:
    """What decides vectors. Whatever is wrong shows now, and not on another machine; keys may be on others alone."""
    try:
        return _space(options)
    except ConfigurationError:
        if "api_key" in options or not isinstance(options.get("model", DEFAULT_MODEL), str):
            raise
        with contextlib.suppress(ValueError):  # a ConfigurationError is one
            return _space(with_placeholders(options, options.get("model", DEFAULT_MODEL)))
        raise


def _space(options: dict[str, Any]) -> dict[str, Any] | None:
    with Embedder(**options) as embedder:
        return embedder.space_known()


def _check_travels(options: dict[str, Any]) -> None:
    for name, value in options.items():
        try:
            ray.cloudpickle.dumps(value)
        except Exception as error:  # an object's own method may raise anything
            raise ConfigurationError(
                f"{name}: this {type(value).__name__} cannot be sent to the actors; name it in words that each can "
                "open for itself, as in cache='redis://…'"
            ) from error


def _warn_of_separate_caches(spec: Any) -> None:
    cache = open_cache(spec)
    last = cache.tiers[-1] if isinstance(cache, TieredCache) else cache
    alone = not ray.is_initialized() or sum(node["Alive"] for node in ray.nodes()) < 2
    if isinstance(last, DiskCache | MemoryCache) and not alone:
        warn(
            "each machine of the cluster keeps a cache of its own, so a re-run may pay again; use cache='redis://…'",
            stacklevel=3,
        )


def _share(options: dict[str, Any], actors: int) -> dict[str, Any]:
    parts: dict[str, Any] = {name: float(options[name]) / actors for name in DIVIDED if options.get(name) is not None}
    if options.get("endpoints") is not None:
        parts["endpoints"] = share(options["endpoints"], actors)
    return options | parts
