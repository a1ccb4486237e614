"""Whether two endpoints give the same vectors: fixed texts, and how far their vectors may be apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

from .canary import TEXTS
from .keys import join, make_keys
from .quiet import without_warnings
from .types import Identity, Vectors

if TYPE_CHECKING:
    from .endpoints import Endpoint

TOLERANCE = 0.0015
"""The largest 1 - cosine of two vectors of one text that are of one space.

Other batches, kernels and half precision make it 0.0001 at most (E5 in bfloat16 0.00004), OpenAI's own answers to one
key differ by 0.0005, and llama.cpp's Q8_0 of MiniLM makes it 0.0007. The smallest change that is another space is one
more token in each text: 0.0034 for E5's worst fixed text and less for the others, 0.028 for MiniLM; Q4_1 makes it
0.053, and a prefix 0.026 and more. The tolerance is twice away from both sides (`tests/benchmarks/
test_tolerance_table.py`). At it, retrieval from an index of both replicas differs by less than can be told from chance
(`test_tolerance_drift.py` there)."""
STRETCH = 0.02
"""The largest difference of their lengths, as a share: vectors are stored as they come."""
LIFETIME = 7 * 86_400.0
"""Seconds after which an endpoint proves its vectors again."""
RUNGS = (2_000, 9_000, 28_000)
"""Bytes of the long fixed text of a set: 450, 2,000 and 6,300 tokens."""
COVERED = (900, 4_000)
"""Bytes of the longest text that a set proves, which may have half as many tokens; those of the last prove all."""
BYTES_A_TOKEN = 3.5
"""Fewer than the fixed long text has: so many times a model's limit of tokens are read whole."""
SHORT = (
    *TEXTS,
    "US AID TO POLISH MARKS: TURKEY MAY PATCH THE BILL",
    "Résumé déjà vu: naïve Ångström, façade, Żółć, mañana.",
    "  for row in rows:\n\tif row:\n\t\tyield row\n",
)
"""Fixed texts of which each shows something: capitals, accents and white space may be lost before a tokenizer."""
SENTENCES = (
    "The harbour master wrote down every ship that came in with the tide, its cargo and its captain. ",
    "Stir the onions in butter until they are soft, add the flour, and pour in the milk little by little. ",
    "A compiler reads the source, builds a tree of it, and gives each name the place where it was declared. ",
    "In the second half the goalkeeper saved three shots before the visitors scored from a corner. ",
    "The court held that the contract was void, because neither side had read the terms of delivery. ",
    "Glaciers carry stones from the mountains into the valley and leave them there when they melt. ",
    "She tuned the violin, closed the window against the noise of the street, and began with the slow movement. ",
)
"""Never changed, or vectors that were kept could not be compared."""


@dataclass(frozen=True, slots=True)
class CanarySet:
    """Fixed texts, some short ones and a long one, as they are sent in one role."""

    wire: str | None
    """The request's own input type."""
    rung: int = 0

    def texts(self, limit: int | None) -> tuple[str, ...]:
        """The texts.

        Args:
            limit: tokens that the model reads of a text; None: not known.
        """
        size = RUNGS[self.rung] if limit is None else min(RUNGS[self.rung], int(limit * BYTES_A_TOKEN))
        return *SHORT, long_text(size)

    def below(self) -> set[CanarySet]:
        """What is proved with it."""
        return {CanarySet(self.wire, rung) for rung in range(self.rung + 1)}


def long_text(size: int) -> str:
    """A text of so many bytes. What it is about changes all the time, so what is cut off at its end is missed."""
    step = max(1, size // 8 // 100)
    """Sentences on one thing: an eighth of the text."""
    told = (SENTENCES[(at // step) % len(SENTENCES)] for at in range(size // 90 + 1))
    return "".join(told)[:size].rstrip()


def rung_of(size: int, limit: int | None) -> int:
    """Which set proves texts of up to `size` bytes, of which `limit` tokens are read."""
    last = len(RUNGS) - 1
    whole = (
        last if limit is None else next((at for at, most in enumerate(RUNGS) if most >= limit * BYTES_A_TOKEN), last)
    )
    return min(whole, next((at for at, most in enumerate(COVERED) if size <= most), last))


@without_warnings
def difference(ours: Mapping[int, Vectors], theirs: Mapping[int, Vectors]) -> tuple[float, str]:
    """How far vectors of the same texts are apart.

    Args:
        ours: vector by place of the text.
        theirs: those of the reference; only what both have is compared.

    Returns:
        The largest 1 - cosine; and what is wrong with it, "" where they are of one space.
    """
    places = sorted(ours.keys() & theirs.keys())
    if not places:
        return 0.0, ""
    first, second = ours[places[0]], theirs[places[0]]
    if first.shape != second.shape:
        return 2.0, f"{first.shape[0]} dimensions in place of {second.shape[0]}"
    left, right = (np.stack([each[at] for at in places]).astype(np.float64) for each in (ours, theirs))
    long, usual = np.linalg.norm(left, axis=1), np.linalg.norm(right, axis=1)
    apart = 1 - (left * right).sum(axis=1) / np.maximum(long * usual, 1e-300)
    worst = int(np.argmax(apart))
    far = float(apart[worst])
    if not far <= TOLERANCE:
        return far, f"1 - cosine is {far:.3g} on text {places[worst]}, over {TOLERANCE:g}"
    ratios = long / np.maximum(usual, 1e-300)
    stretched = float(ratios[np.argmax(np.abs(ratios - 1))])
    if abs(stretched - 1) > STRETCH:
        return far, f"its vectors are {stretched:.3g} times as long"
    return far, ""


def reference_key(identity: Identity, each: CanarySet, texts: Sequence[str]) -> bytes:
    """Where a cache holds what the vectors of a space have to agree with."""
    return _keys(("embedbridge-reference-1", identity.fingerprint), each, ["\n".join(texts)])[0]


def week_of(wall: float) -> int:
    """The number of a week, for which a proof holds."""
    return int(wall // LIFETIME)


def proof_keys(
    identity: Identity, endpoint: Endpoint, each: CanarySet, texts: Sequence[str], wall: float
) -> list[bytes]:
    """Where a cache holds what an endpoint has answered in this week."""
    own = endpoint.identity.fingerprint if endpoint.identity else ""
    parts = ("embedbridge-proof-1", identity.fingerprint, own, endpoint.mark, str(week_of(wall)))
    return _keys(parts, each, texts)


def told_key(identity: Identity, endpoint: Endpoint, told: Sequence[str], wall: float) -> bytes:
    """Where a cache holds that an endpoint has proved its vectors in this week, when its answers told that."""
    own = endpoint.identity.fingerprint if endpoint.identity else ""
    parts = ("embedbridge-told-1", identity.fingerprint, own, endpoint.mark, str(week_of(wall)))
    return make_keys(join(parts), [join(told)])[0]


def _keys(parts: tuple[str, ...], each: CanarySet, texts: Sequence[str]) -> list[bytes]:
    base = join((*parts, "" if each.wire is None else f"={each.wire}", str(each.rung)))
    return make_keys(base, [text.encode() for text in texts])


def mark_of(secret: str) -> str:
    """Tells keys apart that are used at one address: four bytes of a hash, from which no key can be told."""
    return blake2b(secret.encode(), digest_size=4, person=b"endpoint").hexdigest() if secret else ""
