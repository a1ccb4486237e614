"""Taking in what came back, asking how far it is, and ending it early.

It may be broken off anywhere and begun anew: what is stored is known, and storing it again changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, BinaryIO

from embedbridge import events
from embedbridge._core.types import Report
from embedbridge._threads.telling import warn
from embedbridge.errors import (
    AuthenticationError,
    CacheWarning,
    ConfigurationError,
    DeadlineExceededError,
    EmbeddingError,
    ProviderUnavailableError,
    RequestFailed,
)

from .answers import Seen, TornFileError, find_width, take_lines, torn_file
from .desk import Desk, scratch_file
from .ledger import ENDED, WAITING, Busy, Entry, Ledger
from .making import cancel_surplus, give_up_in, is_watched, settle
from .statuses import ANSWERS_GONE, FORGOTTEN, LOST, NOT_FOUND, NOT_MADE, status_of

if TYPE_CHECKING:
    from embedbridge.providers._batch_api import Remote

BYTES_A_NUMBER = 64
BYTES_A_LINE = 4096
WIDEST = 16_384
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds between two looks."""
PATIENCE = 2 * 86_400.0
"""Seconds after a batch was made, of which its vendor took no more than half: what its files lack then, they lack."""
OF_ALL = (AuthenticationError, DeadlineExceededError, ProviderUnavailableError)
"""Errors after which no other question has an answer."""
TO_FREE = "if that is so for good, cancel or forget it, and its texts can be handed over again"


def collect(desk: Desk, entries: Iterable[Entry]) -> None:
    """Take in the answers of all batches that have ended; of the others, note how far they are.

    What is wrong with one of them keeps no other waiting: its error is raised at the end.
    """
    failure: EmbeddingError | None = None
    away = False
    for entry in entries:
        try:
            if (remote := look_at(desk, entry)) is not None and remote.ended:
                take_batch(desk.of(entry), entry, remote)
        except TornFileError as error:
            failure = failure or error
        except AuthenticationError:
            raise  # the others would meet the same
        except ProviderUnavailableError as error:
            if away:
                raise  # it is not one file that the vendor cannot give, but the vendor
            away, failure = True, failure or error
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
        if not is_gone(error):
            raise
        desk.ledger.heard(entry.tag, NOT_FOUND, f"the vendor knows no such batch under this key; {TO_FREE}")
        return None
    if came_to_nothing(remote):
        desk.shared.purse.let_go(entry.tag, unused=True)
    if entry.state != ANSWERS_GONE:  # which only a file that is there again takes back
        desk.ledger.heard(entry.tag, remote.state, remote.reason)
    return remote


def take_batch(desk: Desk, entry: Entry, remote: Remote) -> None:
    """Take in what came of a batch. Where fewer answers came than the vendor counts, they are fetched once more."""
    for _ in range(2):
        odd, seen = Counter[str](), Seen()
        try:
            for file in remote.files:
                odd += take_file(desk, entry, file, seen)
        except EmbeddingError as error:
            if not is_gone(error):
                raise
            desk.ledger.heard(entry.tag, ANSWERS_GONE, f"the vendor has its answers no more; {TO_FREE}")
            return
        answered, named = len(seen.answered), len(seen.answered | seen.failed)
        if answered >= min(remote.answered, entry.lines) or named >= entry.lines:
            break
    else:
        if desk.ledger.now() - entry.at < PATIENCE:
            raise torn_file(desk, entry)
    errors_alone = not (answered or remote.answered) and named >= entry.lines  # which cost nothing
    desk.shared.purse.let_go(entry.tag, unused=errors_alone)
    if missing := entry.lines - named if remote.answered > answered or not (odd or remote.reason) else 0:
        odd["no answer came"] = missing
    told = ", ".join(f"{reason} ({times} lines)" for reason, times in odd.most_common(5))
    desk.ledger.heard(entry.tag, remote.state, "; ".join(filter(None, (remote.reason, told))))
    if desk.ledger.end(entry.tag):
        tell_end(desk, entry)


def is_gone(error: EmbeddingError) -> bool:
    """Whether the vendor says that there is no such thing, or no longer."""
    return isinstance(error.__cause__, RequestFailed) and error.__cause__.status in {404, 410}


def tell_end(desk: Desk, entry: Entry) -> None:
    """Tell observers that a batch has ended, and count what it cost."""
    ended = next(each for each in desk.ledger.entries() if each.tag == entry.tag)
    told, identity = status_of(ended), desk.shared.identity
    desk.shared.book(Report(tokens=told.tokens, cost=told.cost, saved=None if told.cost is None else 0.0))
    counts = (ended.texts, ended.stored, ended.billed, told.cost, told.saved)
    desk.shared.emit(events.BatchCollected(identity.provider, identity.model, ended.remote, *counts))


def take_file(desk: Desk, entry: Entry, file: str, seen: Seen) -> Counter[str]:
    """Take in a file of answers or of errors, line by line; returns how many lines came to nothing, by reason."""
    width = desk.shared.width or WIDEST
    most = (1 << 20) + entry.texts * width * BYTES_A_NUMBER + entry.lines * BYTES_A_LINE
    with scratch_file(desk) as content:
        desk.persist(lambda: _download(desk, file, content, most))
        content.seek(0)
        find_width(desk, entry, content)
        content.seek(0)
        return take_lines(desk, entry, content, seen)


def _download(desk: Desk, file: str, content: BinaryIO, most: int) -> None:
    content.seek(0)
    content.truncate()
    desk.api.download(file, content, most=most, timeout=desk.timeout + most / 1e6)


def look(desk: Desk, entries: Iterable[Entry]) -> None:
    """Ask the vendor how far batches are, and write it down."""
    for entry in entries:
        look_at(desk, entry)


def cancel(desk: Desk, entries: Iterable[Entry]) -> None:
    """Have the vendor end batches early; forget those that it does not know, or has no answers of."""
    for entry in entries:
        if entry.stage == WAITING and entry.state in LOST:
            forget(desk, [entry])
        elif entry.stage == WAITING:
            desk.persist(partial(desk.api.cancel, entry.remote, timeout=desk.timeout))
            if look_at(desk, entry) is None:
                forget(desk, [entry])


def forget(desk: Desk, entries: Iterable[Entry]) -> None:
    """Wait for batches no more, whatever becomes of them at the vendor."""
    for entry in entries:
        forget_in(desk.ledger, entry)


def forget_in(ledger: Ledger, entry: Entry) -> None:
    """Wait for a batch no more. Its embedder is not needed for it."""
    if entry.stage == WAITING:
        ledger.heard(entry.tag, FORGOTTEN, entry.state)
        ledger.end(entry.tag)
    elif entry.stage != ENDED:
        give_up_in(ledger, entry.tag, FORGOTTEN)


def came_to_nothing(remote: Remote) -> bool:
    """Whether a batch has ended without an answer, so that nothing of it is billed."""
    return remote.empty and not remote.answered


def free_money(desk: Desk) -> None:
    """Have what is kept for batches spent that another process has seen the end of, if they came to nothing."""
    purse = desk.shared.purse
    for entry in desk.awaited():
        if entry.stage == ENDED and purse.keeps(entry.tag):
            with suppress(EmbeddingError, RequestFailed):
                unused = entry.state == NOT_MADE and entry.reason != FORGOTTEN
                if entry.remote:
                    unused = came_to_nothing(desk.api.look(entry.remote, timeout=desk.timeout))
                purse.let_go(entry.tag, unused=unused)


def find_surplus(desk: Desk, entries: Iterable[Entry]) -> None:
    """Cancel second batches of the same texts, of these or of those that have just ended. It keeps nobody waiting."""
    tags = {entry.tag for entry in entries}
    try:
        cancel_surplus(desk, [each for each in desk.awaited() if each.tag in tags or each.stage == ENDED])
    except DeadlineExceededError:
        raise
    except EmbeddingError as error:
        told = f"{error}; so whether the vendor has a batch twice, and bills it twice, is not known"
        warn(told, CacheWarning)


def find_lost(desk: Desk, *, watched: bool = False) -> None:
    """Have batches known whose making nobody has seen the end of, unless another process is at it.

    With `watched`, also look for those that were given up.
    """
    for entry in desk.awaited():
        if entry.stage not in {WAITING, ENDED} or (watched and is_watched(desk, entry)):
            with suppress(Busy), desk.ledger.submitting(0.0):  # else another process is handing over
                settle(desk)
            return


def chosen(desk: Desk, entries: list[Entry], names: Sequence[str] | None) -> list[Entry]:
    """Those of these names, the vendor's; None: all. Raises `ConfigurationError` for an unknown one."""
    if names is None:
        return entries
    known = {entry.name: entry for entry in entries}
    for name in names:
        if name not in known and any(entry.name == name for entry in desk.ledger.entries()):
            told = "was handed over by an embedder of another model, base_url or options, such as headers or query"
            raise ConfigurationError(f"{desk.where}: batch {name!r} {told}; give those")
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
