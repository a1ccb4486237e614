"""The lines of a file of answers: each is checked as an ordinary answer is, and stored under the keys of its texts.

Dimensions that neither an option nor the catalogue nor the cache says are those of most vectors of the first file:
its first line may be the one that is wrong, and would have all others refused for ever.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from embedbridge._core.model_names import Named
from embedbridge._core.prepare import is_utf8
from embedbridge._core.replies import Sound, check_reply
from embedbridge._core.tokens import tally
from embedbridge._core.types import Reply, Vectors
from embedbridge.errors import EmbeddingError, InvalidResponseError, ProviderUnavailableError, RequestFailed

from .desk import Desk
from .ledger import Entry, Text

if TYPE_CHECKING:
    from embedbridge.providers._batch_api import Answered

AT_ONCE = 512
"""Texts that are stored and marked together, or those of one line where it has more."""
NO_LINE = "not a line of an answer"


class TornFileError(ProviderUnavailableError):
    """A file of answers did not come whole. What came is kept."""


@dataclass(slots=True)
class Sheaf:
    """Vectors that are stored together."""

    texts: list[Text] = field(default_factory=list)
    vectors: list[Vectors] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    lines: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Seen:
    """Lines that came, by hashes of their names."""

    answered: set[int] = field(default_factory=set)
    """With an answer."""
    failed: set[int] = field(default_factory=set)
    """With an error; the vendor may count them as answers."""


def find_width(desk: Desk, entry: Entry, lines: Iterable[bytes]) -> None:
    """Have the dimensions known. Raises `InvalidResponseError` where no number is that of most vectors."""
    shared, key, widths = desk.shared, desk.shared.width_key, Counter[int]()
    if shared.width is not None:
        return
    if key and (held := desk.store.hold_width(key, None)) is not None:
        shared.agree(held, cached=True)
        return
    for line in lines:
        try:
            answered, texts = _read(desk, entry, line)
            if answered.reply is not None and texts:
                sound = check(desk, answered.reply, len(texts))
                widths[sound.vectors.shape[1]] += len(sound.positions)
        except RequestFailed:
            continue  # it is told when it is taken in
    if not widths:
        return
    ((usual, times),) = widths.most_common(1)
    if 2 * times <= widths.total():
        told = " and ".join(map(str, sorted(widths)))
        raise InvalidResponseError(
            f"{desk.where}: vectors of {told} dimensions, none of them of most: set dimensions=, and collect again",
            kind="width",
        )
    held = desk.store.hold_width(key, usual) if key else None
    shared.agree(held or usual)


def take_lines(desk: Desk, entry: Entry, lines: Iterable[bytes], seen: Seen) -> Counter[str]:
    """Take in lines, in whatever order they are, and note in `seen` which came.

    Raises `TornFileError` for a file whose last line is none.
    """
    odd, sheaf, torn = Counter[str](), Sheaf(), False
    for line in lines:
        if not line.strip():
            continue
        torn = False
        try:
            _take_line(desk, entry, line, sheaf, seen)
        except RequestFailed as failure:
            odd[str(failure) if failure.kind else failure.code] += 1
            torn = str(failure) == NO_LINE and not (seen.answered and failure.kind == "no_data")
            if failure.kind == "no_data":  # an answer, as the vendor counts them
                seen.answered.add(hash(line))
        if len(sheaf.texts) >= AT_ONCE:
            store(desk, entry.tag, sheaf)
            sheaf = Sheaf()
        if desk.stop.is_set():
            desk.sleep(0)
    store(desk, entry.tag, sheaf)
    if torn:  # the last line is none: a page in place of the file, or a connection that ended early
        raise torn_file(desk, entry)
    return odd


def torn_file(desk: Desk, entry: Entry) -> TornFileError:
    """The error for answers of which some are missing."""
    told = f"{desk.where}: answers of batch {entry.remote} did not come whole; what came is kept, collect again"
    return TornFileError(f"{told} (or, if the rest is gone for good, forget the batch)")


def _read(desk: Desk, entry: Entry, line: bytes) -> tuple[Answered, list[Text]]:
    """A line, and the texts that it is about. Raises `RequestFailed` for what is no line."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        raise RequestFailed(NO_LINE, kind="not_json") from None
    try:
        answered = desk.api.read_line(record)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise RequestFailed(NO_LINE, kind="no_data") from None
    return answered, desk.ledger.texts(entry.tag, answered.name) if is_utf8(answered.name) else []


def _take_line(desk: Desk, entry: Entry, line: bytes, sheaf: Sheaf, seen: Seen) -> None:
    """Check a line and put its vectors into the sheaf. Raises `RequestFailed` for what comes to nothing."""
    answered, texts = _read(desk, entry, line)
    if answered.reply is not None:
        seen.answered.add(hash(answered.name))
    elif texts:
        seen.failed.add(hash(answered.name))
    if answered.name in sheaf.lines or (texts and all(text.billed is not None for text in texts)):
        return  # it came before
    if answered.reply is None:
        raise RequestFailed("", code=answered.reason)
    if not texts:
        raise RequestFailed("a line that nobody asked for", kind="index")
    sound = check(desk, answered.reply, len(texts))
    sizes, counted = [text.size for text in texts], {at: text.counted for at, text in enumerate(texts) if text.counted}
    tokens = tally(counted, sizes, range(len(texts)), answered.reply.tokens)
    sheaf.lines.add(answered.name)
    sheaf.texts += [texts[position] for position in sound.positions]
    sheaf.tokens += [tokens[position] for position in sound.positions]
    sheaf.vectors.append(sound.vectors)
    if sound.faults:
        raise RequestFailed(f"a vector is {next(iter(sound.faults.values()))}", kind="value", billed=True)


def check(desk: Desk, reply: Reply, texts: int) -> Sound:
    """The vectors of an answer that passes all checks of an ordinary one. Raises `RequestFailed`."""
    shared = desk.shared
    if shared.names.judge(reply.model) in {Named.SIBLING, Named.FOREIGN}:
        raise RequestFailed(f"the answer is from model {reply.model!r}", kind="model", billed=True)
    return check_reply(reply, texts, width=shared.width, zeros=shared.accept_zeros)


def store(desk: Desk, tag: str, sheaf: Sheaf) -> None:
    """Store vectors, then mark their texts: in this order none is lost. Raises `EmbeddingError`."""
    if not sheaf.texts:
        return
    before = [text.whole or tokens for text, tokens in zip(sheaf.texts, sheaf.tokens, strict=True)]
    try:
        desk.store.store_now(
            [text.kept_under for text in sheaf.texts], np.concatenate(sheaf.vectors), sheaf.tokens, before
        )
    except Exception as error:
        told = f"{desk.where}: the cache cannot store what came back ({type(error).__name__}); it is not lost: "
        raise EmbeddingError(f"{told}collect again once the cache works") from error
    desk.ledger.mark_stored(tag, sheaf.texts, sheaf.tokens)
