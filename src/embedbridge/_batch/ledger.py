"""What is on its way: which texts were handed over in which batch.

A ledger holds keys of the cache and numbers, but no text and no API key. A key stands in it once, so no text can be in
two batches. A batch is written down before anything of it is sent.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from embedbridge.errors import EmbeddingError

WRITTEN, CREATING, WAITING, ENDED = "written", "creating", "waiting", "ended"
"""The stages of a batch: written down; being made by the vendor; made; and its answers are in the cache."""
STAGES = (WRITTEN, CREATING, WAITING, ENDED)
MOST_SAID = 1000
"""Characters of what a vendor says."""
TAKEN_OVER = "the right to hand over was lost to another process, as after a long sleep of this machine; submit again"
BUSY_NOW = "another process hands over texts at this moment; try again later"


@dataclass(frozen=True, slots=True)
class Text:
    """One text of a batch."""

    key: bytes
    """Under which an ordinary call looks for its vector."""
    line: str
    position: int
    """In its line."""
    kept_under: bytes
    """Under which its vector is stored."""
    size: int
    """Bytes of what is sent."""
    counted: int | None
    """Tokens of what is sent, where someone has counted."""
    whole: int | None
    """Tokens of the whole text, where it was cut."""
    billed: int | None = None
    """Tokens, once its vector is stored."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One batch."""

    tag: str
    """What the vendor's metadata name it by."""
    identity: str
    """Fingerprint of what decides its vectors."""
    model: str
    role: str
    made_by: str
    """The options of its embedder, as JSON, without secrets."""
    stage: str
    at: float
    """When it was last written down, in seconds of the clock on the wall."""
    remote: str
    """The vendor's name of it; "" where it is not known to be made."""
    state: str
    """The vendor's word, as it was last heard."""
    reason: str
    texts: int
    lines: int
    tokens: int
    """Estimated, when it was handed over."""
    stored: int
    """Texts whose vectors came back sound; known at its end."""
    billed: int
    """Tokens of these."""
    price: float | None
    """Ordinary dollars for a million tokens, when it was handed over."""
    share: float
    """The part of it that the batch costs."""

    @property
    def name(self) -> str:
        """The vendor's name of it; ours where the vendor is not known to have made it."""
        return self.remote or self.tag


class Busy(EmbeddingError):  # noqa: N818 - it is no fault
    """Another process hands over texts at this moment."""


class Ledger(Protocol):
    """What is written down of batches. Methods raise `EmbeddingError` where that cannot be read or written."""

    def now(self) -> float:
        """Seconds of the clock that `Entry.at` is read from."""
        ...

    def entries(self) -> list[Entry]:
        """All batches, in the order in which they were written down."""
        ...

    def pending(self, keys: Sequence[bytes], *, stored: bool = False) -> dict[bytes, str]:
        """Those keys whose vectors are on their way → the tags of their batches.

        With `stored`, also those that came, in a batch not yet ended.
        """
        ...

    def texts(self, tag: str, line: str) -> list[Text]:
        """The texts of a line, in its order; none of a line that is not in the batch."""
        ...

    def write_down(self, entry: Entry, texts: Iterable[Text]) -> None:
        """Write a batch down before anything of it is sent. Raises where a text is in another batch."""
        ...

    def creating(self, tag: str) -> None:
        """The vendor is about to be asked to make it. Raises where another process has dropped it meanwhile."""
        ...

    def made(self, tag: str, remote: str, state: str) -> bool:
        """The vendor has made it; False where another process has dropped it meanwhile, or given it up."""
        ...

    def heard(self, tag: str, state: str, reason: str = "") -> None:
        """What the vendor says of it."""
        ...

    def drop(self, tag: str) -> None:
        """It was never made: its texts may be handed over anew."""
        ...

    def mark_stored(self, tag: str, texts: Sequence[Text], billed: Sequence[int]) -> None:
        """The vectors of texts are in the cache."""
        ...

    def end(self, tag: str) -> bool:
        """Its answers are all in the cache: texts without one may be handed over anew. False: that was known."""
        ...

    def submitting(self, patience: float) -> AbstractContextManager[None]:
        """The right to hand over, which one process at a time has. Raises `Busy` after `patience` seconds."""
        ...


class StagedLedger(Ledger):
    """How a batch goes from one stage to the next, for ledgers that can change a batch if it is at some stage."""

    @abstractmethod
    def _set(self, tag: str, stages: Collection[str], **values: Any) -> bool:
        """Change a batch that is at one of these stages; False where it is not, or is not there."""

    def creating(self, tag: str) -> None:
        if not self._set(tag, (WRITTEN, CREATING), stage=CREATING, at=self.now()):
            raise EmbeddingError(TAKEN_OVER)

    def made(self, tag: str, remote: str, state: str) -> bool:
        return self._set(tag, (CREATING,), stage=WAITING, remote=remote, state=shown(state), reason="", at=self.now())

    def heard(self, tag: str, state: str, reason: str = "") -> None:
        self._set(tag, STAGES, state=shown(state), reason=shown(reason))


def shown(said: str) -> str:
    """A vendor's words, as far as they can be written down and read."""
    return said[:MOST_SAID].encode("utf-8", "replace").decode()
