"""The nouns of the package: plain data, no behaviour beyond small views of itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

InputType: TypeAlias = Literal["query", "document", "classification", "clustering"]
INPUT_TYPES: tuple[InputType, ...] = get_args(InputType)

Vectors: TypeAlias = npt.NDArray[np.float32]
"""Shape `(n, dimensions)` or `(dimensions,)`, C-contiguous."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may hold, and how many may be under way at once."""

    items: int = 2048
    tokens: int | None = None
    """Tokens summed over one request; None: no such limit."""
    text_tokens: int | None = None
    """Tokens of one text; None: not known."""
    concurrency: int = 8
    alone: int | None = None
    """Bytes from which a text travels by itself: it may be refused, and shall not take others with it."""
    trims: bool = False
    """An over-long text is cut by the model's own tokenizer, exactly where we say it is: it can be sent as it is."""
    padded: bool = False
    """The work of a batch is its longest text times its size: sort by length, let `tokens` bound the product."""


@dataclass(frozen=True, slots=True)
class Route:
    """How a role reaches the model: as a prefix of the text, or as a field of the request. Never both."""

    input_type: InputType
    prefix: str = ""
    wire_type: str | None = None
    """The request's own input type, where the API has one."""
    source: str = "none"
    """Who decided: `option`, `api`, `model`, `catalogue` or `none`."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Texts that travel in one request."""

    texts: tuple[str, ...]
    """As sent, prefix included."""
    rows: tuple[int, ...]
    """Where each text's vector belongs in the call's table of unique texts."""
    route: Route
    tokens: int
    """Estimated sum over the texts."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A provider's answer before anyone has looked whether it is sound."""

    items: Sequence[Any] | Vectors
    """One entry a vector, in wire order: a list of numbers, base64 text, an array; whatever the wire held."""
    indices: Sequence[Any] | None = None
    """The answer's own numbering, where the API has one."""
    tokens: int | None = None
    """Tokens billed; None where the API does not say."""
    model: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: Mapping[int, int] = field(default_factory=dict)
    """Position in the batch → tokens kept, for texts known to have been cut on the other side; -1: not known."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What decides a provider's vectors besides the text and its route. Part of every cache key."""

    provider: str
    model: str
    endpoint: str = ""
    revision: str = ""
    details: tuple[str, ...] = ()
    """Whatever else changes the numbers: `backend=onnx`, `dtype=bfloat16`, server-side `dimensions=256` …"""


class Provider(Protocol):
    """What a driver needs of an embedding API: send a batch as one request, and give the answer as a `Reply`."""

    @property
    def timely(self) -> bool:
        """Whether `ask` and `aask` keep to their timeout themselves."""
        ...

    def ask(self, batch: Batch, *, timeout: float) -> Reply:
        """Send one request; `timeout` (seconds) bounds all of it. Raises `RequestFailed`."""
        ...

    async def aask(self, batch: Batch, *, timeout: float) -> Reply:
        """The same, without blocking the event loop."""
        ...


@dataclass(frozen=True, slots=True)
class Cut:
    """A text that was longer than the model reads."""

    index: int
    """Its place in the caller's list."""
    tokens: int
    kept: int
    """Tokens embedded; equal to `tokens` under `too_long="mean"`; -1: the server cut it and does not say where."""


@dataclass(slots=True)
class Report:
    """What one call did and cost."""

    texts: int = 0
    unique: int = 0
    hits: int = 0
    """Unique texts answered by the cache."""
    shared: int = 0
    """Unique texts answered by another call that had already asked for them."""
    misses: int = 0
    """Unique texts this call asked the provider for."""
    requests: int = 0
    retries: int = 0
    waited: float = 0.0
    """Seconds spent waiting for rate limits and between attempts, summed over batches."""
    tokens: int = 0
    """Tokens sent: billed, or estimated; `tokens_from` says which."""
    tokens_saved: int = 0
    """Tokens that hits did not send."""
    tokens_from: Literal["provider", "estimate"] = "estimate"
    counter: str = ""
    """The tokenizer that measured texts that might be too long; "" when every text was short enough without one."""
    paid_again: int = 0
    """Texts in requests whose answer was lost or unsound and that were therefore sent again."""
    cut: tuple[Cut, ...] = ()
    empty: tuple[int, ...] = ()
    """Indices of empty texts that became zero vectors."""
    cost: float | None = None
    """Dollars spent; None where the price is not known."""
    saved: float | None = None
    """Dollars that hits did not cost."""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class EmbeddingResult:
    """`vectors[i]` belongs to the caller's text `i`."""

    vectors: Vectors
    report: Report


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a call would do; nothing was sent."""

    texts: int
    cached: int
    requests: int
    tokens: int
    cost: float | None
    """Dollars; None where the price is not known."""


@dataclass(frozen=True, slots=True)
class Hits:
    """What a cache knew of a list of keys."""

    rows: npt.NDArray[np.intp]
    """Positions in the list of keys, shape `(m,)`, ascending."""
    vectors: Vectors
    """Shape `(m, dimensions)`, float32; `(0, 0)` when nothing was found."""
    tokens: npt.NDArray[np.int64]
    """Tokens that were sent for each, shape `(m,)`."""
    before: npt.NDArray[np.int64]
    """Tokens of the whole text, shape `(m,)`; more than `tokens` where it was cut, -1 where that is not known."""


class Store(Protocol):
    """A cache as a flow sees it: vectors in, vectors out, and never an error."""

    @property
    def blocking(self) -> bool:
        """Whether reading and writing touch a disk or a network."""
        ...

    def read(self, keys: Sequence[bytes], width: int | None = None, *, counted: bool = True) -> Hits:
        """All sound entries among `keys`; entries of another width than `width` are misses.

        Only `counted` ones are said to have saved something.
        """
        ...

    def write(self, keys: Sequence[bytes], vectors: Vectors, tokens: Sequence[int], before: Sequence[int]) -> None:
        """Keep `vectors[i]` under `keys[i]`."""
        ...

    def close(self) -> None:
        """Flush and let go of files and connections."""
        ...
