"""The nouns of the package: plain data, no behaviour beyond small views of itself."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import astuple, dataclass, field, replace
from hashlib import blake2b
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from .words import Shown, told_estimate, told_report

InputType: TypeAlias = Literal["query", "document", "classification", "clustering"]
INPUT_TYPES: tuple[InputType, ...] = get_args(InputType)

Vectors: TypeAlias = npt.NDArray[np.float32]
"""Shape `(n, dimensions)` or `(dimensions,)`, C-contiguous."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may hold, and how many requests may be under way at once."""

    items: int = 2048
    tokens: int | None = None
    """Tokens summed over one request; None: no such limit."""
    size: int | None = None
    """Bytes of all texts in one request; None: no such limit."""
    text_tokens: int | None = None
    """Tokens of one text; None: not known."""
    concurrency: int = 8
    alone_from: int | None = None
    """A text of at least so many bytes, or one that was cut by an estimate, is sent by itself: if it is refused, no
    other text is refused with it, and the answer's tokens are its own."""
    model_truncates: bool = False
    """The model itself cuts an over-long text, at the token where we would: it need not be cut exactly before."""
    cuts_unseen: bool = False
    """The server cuts an over-long text without a word, also where nobody has documented from which length on."""
    normalised: bool = False
    """The tokenizer may take characters apart, as NFKC does, and so make more tokens than a text has bytes."""
    padded: bool = False
    """Texts are padded to the longest of their batch: sort by length; `tokens` bounds the padded batch."""

    guessed: bool = field(default=False, compare=False)
    """Of this server the limits are not documented, so a first large request goes alone. It is no limit itself."""


@dataclass(frozen=True, slots=True)
class Route:
    """How a model learns the role of a text: by a prefix, or by a field of the request, never by both."""

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
    """A provider's answer as it came: nothing in it has been checked."""

    items: Sequence[Any] | Vectors
    """One entry for each vector, in the answer's order: a list of numbers, base64 text or an array."""
    indices: Sequence[Any] | None = None
    """The position in the batch of each entry, as the answer says it; None where the API has no such field."""
    tokens: int | None = None
    """Tokens billed; None where the API does not say."""
    model: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: Mapping[int, int] = field(default_factory=dict)
    """Position in the batch → tokens kept, for texts that the server has cut; -1: how many it kept is not known."""
    system: str = ""
    """What the answer's body says of the system that gave it: its `system_fingerprint`."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What decides a provider's vectors besides the text and its route. Part of every cache key."""

    provider: str
    model: str
    endpoint: str = ""
    revision: str = ""
    details: tuple[str, ...] = ()
    """All else that changes the numbers: `backend=onnx`, `dtype=bfloat16`, server-side `dimensions=256` …"""
    long_details: tuple[str, ...] = ()
    """What changes the numbers of texts alone that are longer than the model may read: `num_ctx=2048`."""

    @property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits that are equal exactly for equal identities."""
        return blake2b(json.dumps(astuple(self)).encode(), digest_size=8).hexdigest()

    def without(self, parts: Collection[str]) -> Identity:
        """The same without some of its details.

        Args:
            parts: details to leave out.

        Returns:
            Another identity.
        """
        return replace(self, details=tuple(part for part in self.details if part not in parts))


@dataclass(frozen=True, slots=True)
class Cut:
    """A text that was longer than the model reads."""

    index: int
    """Its place in the caller's list."""
    tokens: int
    """Tokens of the whole text; an estimate where `Report.counter` begins with that word."""
    kept: int
    """Tokens embedded; under `too_long="mean"` all of them; -1: the server cut the text and does not say where."""


@dataclass(slots=True)
class EndpointUse:
    """What one endpoint of a pool did in a call."""

    name: str
    """Its address, without credentials; with a number where several have the same one."""
    requests: int = 0
    tokens: int = 0
    """As billed, or estimated where the provider does not say."""
    failed: int = 0
    """Requests that got no usable answer."""
    state: Literal["", "refused", "closed", "tripped"] = ""
    """At the end of the call. `refused`: it gives other vectors; `closed`: its key, quota or model is at fault;
    `tripped`: it fails now, and is tried again later; "": it serves."""


@dataclass(slots=True)
class Report(Shown):
    """What one call did and cost; as `Embedder.usage`, what all calls did and cost together."""

    texts: int = 0
    unique: int = 0
    hits: int = 0
    """Unique texts answered by the cache."""
    shared: int = 0
    """Unique texts whose vectors came from another call, which was already asking for them."""
    from_batch: int = 0
    """Unique texts among `hits` that came from a batch API while this call waited for them."""
    misses: int = 0
    """Unique texts this call asked the provider for."""
    requests: int = 0
    retries: int = 0
    waited: float = 0.0
    """Seconds spent waiting for rate limits and between attempts, summed over batches."""
    tokens: int = 0
    """Tokens sent: billed, or estimated; `tokens_from` says which."""
    tokens_saved: int = 0
    """Tokens that were not sent, because the cache had the vectors."""
    tokens_from: Literal["provider", "estimate"] = "estimate"
    counter: str = ""
    """The tokenizer that measured texts that might be too long; "" when every text was short enough without one.
    Where it begins with "estimate", the tokens of `cut` are estimates, but for those that the server has counted."""
    paid_again: int = 0
    """Texts of requests that were probably billed, but whose answer was lost or wrong."""
    cut: tuple[Cut, ...] = ()
    """Texts that were longer than the model reads; in `Embedder.usage`, the last thousand of all calls."""
    cut_texts: int = 0
    """How many these were, of all calls."""
    empty: tuple[int, ...] = ()
    """Indices of empty texts that became zero vectors."""
    cost: float | None = None
    """Dollars spent; None where the price is not known. Of requests whose tokens the provider does not tell it is an
    estimate, while `max_cost` counts the most that they can have cost."""
    saved: float | None = None
    """Dollars that `tokens_saved` would have cost; None where the price is not known."""
    seconds: float = 0.0
    """From the call's start to its end."""
    endpoints: tuple[EndpointUse, ...] = ()
    """Of a pool, one for each endpoint; none where there is only one."""

    def __str__(self) -> str:
        return told_report(self)


@dataclass(frozen=True, slots=True)
class EmbeddingResult(Shown):
    """`vectors[i]` belongs to the caller's text `i`."""

    vectors: Vectors
    """Shape `(n, dimensions)`, float32."""
    report: Report
    """What the call did and cost."""

    def __str__(self) -> str:
        return f"vectors of shape {self.vectors.shape}, {self.vectors.dtype}\n{self.report}"


@dataclass(frozen=True, slots=True)
class Estimate(Shown):
    """What a call would do; nothing was sent."""

    texts: int
    cached: int
    requests: int
    tokens: int
    """Counted where the provider bills what a tokenizer on this machine counts, else a guess of four bytes each."""
    cost: float | None
    """Dollars; None where the price is not known."""
    cost_at_most: float | None = None
    """Dollars that the call can cost whatever the provider's tokenizer makes of the texts, retries apart."""
    batch_cost: float | None = None
    """Dollars that `embedbridge.batch.submit` would cost; None where there is no batch API, or no price is known."""
    batch_tokens: int | None = None
    """Tokens that it would hand over: not those of texts that are on their way already."""
    pending: int = 0
    """Distinct texts that are on their way by a batch API. `cost` counts them if the call would pay for them again, as
    it does under `batch="pay"`."""

    def __str__(self) -> str:
        return told_estimate(self)


@dataclass(frozen=True, slots=True)
class Hits:
    """The vectors that a cache has for a list of keys."""

    rows: npt.NDArray[np.intp]
    """Positions in the list of keys, shape `(m,)`, ascending."""
    vectors: Vectors
    """Shape `(m, dimensions)`, float32; `(0, 0)` when nothing was found."""
    tokens: npt.NDArray[np.int64]
    """Tokens that were sent for each text, shape `(m,)`."""
    before: npt.NDArray[np.int64]
    """Tokens of each whole text, before any cut, shape `(m,)`; more than `tokens` where it was cut."""


Kept: TypeAlias = tuple[Vectors, int, int]
"""One vector that a cache has, shape `(1, dimensions)`, and its tokens and those before any cut, as in `Hits`."""
