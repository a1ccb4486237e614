"""Taking in what came back: each line is checked as an ordinary answer is, and stored under the keys of its texts.

It may be broken off anywhere and begun anew: what is stored is known, and storing it again changes nothing.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from embedbridge import events
from embedbridge._core.model_names import Named
from embedbridge._core.replies import Sound, check_reply
from embedbridge._core.tokens import tally
from embedbridge._core.types import Reply, Vectors
from embedbridge.errors import (
    AuthenticationError,
    ConfigurationError,
    EmbeddingError,
    ProviderUnavailableError,
    RequestFailed,
)

from .desk import Desk
from .handing import settle
from .ledger import ENDED, WAITING, Entry, Text

if TYPE_CHECKING:
    from embedbridge.providers._batch_api import Remote

AT_ONCE = 512
"""Texts that are stored and marked together, or those of one line where it has more."""
BYTES_A_NUMBER = 64
BYTES_A_LINE = 4096
WIDEST = 16_384
NOT_FOUND = "not found"
NO_LINE = "not a line of an answer"
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds between two looks."""


@dataclass(slots=True)
class Sheaf:
    """Vectors that are stored together."""

    texts: list[Text] = field(default_factory=list)
    vectors: list[Vectors] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    lines: set[str] = field(default_factory=set)


def collect(desk: Desk, entries: Iterable[Entry]) -> None:
    """Take in the answers of all batches that have ended; of the others, note how far they are.

    What is wrong with one of them keeps no other waiting: its error is raised at the end.
    """
    failure: EmbeddingError | None = None
    for entry in entries:
        try:
            if (remote := look_at(desk, entry)) is not None and remote.ended:
                take_batch(desk, entry, remote)
        except (AuthenticationError, ProviderUnavailableError):
            raise  # the others would meet the same
        except EmbeddingError as error:
            failure = failure or error
    if failure is not None:
        raise failure


def look_at(desk: Desk, entry: Entry) -> Remote | None:
    """Ask the vendor how far a batch is, and write it down; None where it does not know, or nothing is awaited."""
    if entry.stage != WAITING:
        return None
    try:
        remote = desk.persist(lambda: desk.api.look(entry.remote, timeout=desk.timeout))
    except EmbeddingError as error:
        if not (isinstance(error.__cause__, RequestFailed) and error.__cause__.status == 404):
            raise
        desk.ledger.heard(entry.tag, NOT_FOUND, "the vendor knows no such batch under this key; cancel it to forget it")
        return None
    desk.ledger.heard(entry.tag, remote.state, remote.reason)
    return remote


def take_batch(desk: Desk, entry: Entry, remote: Remote) -> None:
    """Take in what came of a batch."""
    odd: Counter[str] = Counter()
    for file in remote.files:
        odd += take_file(desk, entry, file)
    told = ", ".join(f"{reason} ({times} lines)" for reason, times in odd.most_common(5))
    desk.ledger.heard(entry.tag, remote.state, "; ".join(filter(None, (remote.reason, told))))
    if desk.ledger.end(entry.tag):
        tell_end(desk, entry)


def tell_end(desk: Desk, entry: Entry) -> None:
    """Tell observers that a batch has ended."""
    ended = next(each for each in desk.entries() if each.tag == entry.tag)
    identity = desk.shared.identity
    whole = None if ended.price is None else ended.billed * ended.price / 1e6
    cost, saved = (None, None) if whole is None else (whole * ended.share, whole * (1 - ended.share))
    desk.shared.emit(
        events.BatchCollected(
            identity.provider, identity.model, ended.remote, ended.texts, ended.stored, ended.billed, cost, saved
        )
    )


def take_file(desk: Desk, entry: Entry, file: str) -> Counter[str]:
    """Take in a file of answers or of errors, line by line; returns how many lines came to nothing, by reason."""
    width = desk.shared.width or WIDEST
    most = (1 << 20) + entry.texts * width * BYTES_A_NUMBER + entry.lines * BYTES_A_LINE
    with TemporaryFile() as content:
        desk.persist(lambda: _download(desk, file, content, most))
        content.seek(0)
        return take_lines(desk, entry, content)


def _download(desk: Desk, file: str, content: BinaryIO, most: int) -> None:
    content.seek(0)
    content.truncate()
    desk.api.download(file, content, most=most, timeout=desk.timeout + most / 1e6)


def take_lines(desk: Desk, entry: Entry, lines: Iterable[bytes]) -> Counter[str]:
    """Take in lines, in whatever order they are. Raises `ProviderUnavailableError` for a file that is not whole."""
    odd, sheaf, torn = Counter[str](), Sheaf(), False
    for line in lines:
        if not line.strip():
            continue
        strange = odd[NO_LINE]
        try:
            _take_line(desk, entry, line, sheaf)
        except RequestFailed as failure:
            odd[str(failure) if failure.kind else failure.code] += 1
        torn = odd[NO_LINE] > strange
        if len(sheaf.texts) >= AT_ONCE:
            store(desk, sheaf)
            sheaf = Sheaf()
        if desk.stop.is_set():
            desk.sleep(0)
    store(desk, sheaf)
    if torn:  # the last line is none: a page in place of the file, or a connection that ended early
        raise ProviderUnavailableError(f"{desk.where}: answers did not come whole; what came is kept, collect again")
    return odd


def _take_line(desk: Desk, entry: Entry, line: bytes, sheaf: Sheaf) -> None:
    """Check a line and put its vectors into the sheaf. Raises `RequestFailed` for what comes to nothing."""
    try:
        answered = desk.api.read_line(json.loads(line))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise RequestFailed(NO_LINE, kind="not_json") from None
    texts = [] if answered.name in sheaf.lines else desk.ledger.texts(entry.tag, answered.name)
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
    shared, key = desk.shared, desk.shared.width_key
    if shared.names.judge(reply.model) in {Named.SIBLING, Named.FOREIGN}:
        raise RequestFailed(f"the answer is from model {reply.model!r}", kind="model", billed=True)
    if shared.width is None and key and (held := desk.store.hold_width(key, None)) is not None:
        shared.agree(held, cached=True)
    sound = check_reply(reply, texts, width=shared.width, zeros=shared.accept_zeros)
    width = sound.vectors.shape[1]
    if sound.positions:
        held = desk.store.hold_width(key, width) if key else None
        if held not in {None, width} or not shared.agree(width):
            raise RequestFailed(f"vectors of {width} dimensions, others have {held or shared.width}", kind="width")
    return sound


def store(desk: Desk, sheaf: Sheaf) -> None:
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
    desk.ledger.mark_stored(sheaf.texts, sheaf.tokens)


def look(desk: Desk, entries: Iterable[Entry]) -> None:
    """Ask the vendor how far batches are, and write it down."""
    for entry in entries:
        look_at(desk, entry)


def cancel(desk: Desk, entries: Iterable[Entry]) -> None:
    """Have the vendor end batches early; forget those that it does not know."""
    for entry in entries:
        if entry.stage == WAITING:
            desk.persist(partial(desk.api.cancel, entry.remote, timeout=desk.timeout))
            if look_at(desk, entry) is None:
                desk.ledger.end(entry.tag)


def find_lost(desk: Desk) -> None:
    """Have batches known whose making nobody has seen the end of, unless another process is at it."""
    if all(entry.stage in {WAITING, ENDED} for entry in desk.entries()):
        return
    with desk.ledger.submitting(0.0):
        settle(desk)


def chosen(desk: Desk, names: Sequence[str] | None) -> list[Entry]:
    """The batches of these names, the vendor's; None: all. Raises `ConfigurationError` for an unknown one."""
    entries = desk.entries()
    if names is None:
        return entries
    known = {entry.remote: entry for entry in entries if entry.remote}
    for name in names:
        if name not in known:
            raise ConfigurationError(
                f"{desk.where}: no batch {name!r} is in the ledger; it has {', '.join(known) or 'none'}"
            )
    return [known[name] for name in names]


def pauses() -> Iterator[float]:
    """Seconds between looks, longer each time."""
    pause = FIRST_PAUSE
    while True:
        yield pause
        pause = min(LONGEST_PAUSE, 2 * pause)
