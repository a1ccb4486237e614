"""A batch is made once: what was answered with an error, or was not heard, is looked for, and not made a second time.

No vendor says when its list of batches has a new one, nor for how long it goes on with a request whose answer nobody
hears. So a batch that is not in the list is `not sure` for `DOUBT` seconds, and only then are its texts free to be
handed over again. If it comes up after all, it is cancelled.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING

from embedbridge._core.kinds import Kind
from embedbridge._core.retry import PASSING, as_error
from embedbridge._core.types import Batch
from embedbridge._threads.telling import warn
from embedbridge.errors import CacheWarning, EmbeddingError, RequestFailed

from . import desk as desks
from .desk import Desk
from .ledger import CREATING, ENDED, WAITING, WRITTEN, Entry, Ledger
from .statuses import LOST, NOT_MADE, UNSURE

if TYPE_CHECKING:
    from embedbridge.providers._batch_api import Remote

DOUBT = 900.0
"""Seconds: ten minutes, for which the vendors' SDKs wait for an answer, and as servers therefore work at one; and five
for the list, which is behind by seconds where anybody has looked."""
WATCHED = 86_400.0
"""Seconds for which a batch that was given up is looked for: the longest that a vendor works at one."""
NOT_BEGUN = {401, 403}
"""Statuses of requests that nobody has looked at: whose key may not make batches may not list them."""
UNSENT = {Kind.CONNECTION, Kind.TIMEOUT, Kind.CONFIGURATION, Kind.TLS}
"""What a failure without an answer means that may have come before the request was sent."""


def create(desk: Desk, tag: str, file: str, sample: Batch) -> Remote:
    """Have a batch made of a file. Raises `EmbeddingError` where it was not, or where that is not sure.

    Not even a refusal proves that there is none, as it may be a gateway's: it is looked for each time.
    """
    for number in count(1):
        try:
            remote = desk.api.create(file, tag, sample, timeout=desk.timeout)
        except RequestFailed as failure:
            desk.ledger.heard(tag, UNSURE, why_unsure(tag))
            if failure.status not in NOT_BEGUN:
                desk.sleep(desks.SETTLING)
                if (found := find_made(desk, tag)) is not None:
                    return found
            if not is_refused(failure):
                error = as_error(failure, desk.where)
                error.args = (f"{error} (whether the batch was made is {UNSURE}: {why_unsure(tag)})",)
                raise error from failure
            pause = desk.shared.backoff.pause(number, failure)
            if pause is None:
                give_up(desk, tag, f"refused: status {failure.status}" if failure.status else "no connection")
                raise as_error(failure, desk.where) from failure
            desk.sleep(pause)
            desk.ledger.creating(tag)  # it is still ours to make
        else:
            return remote if number == 1 else find_made(desk, tag) or remote
    raise AssertionError


def is_refused(failure: RequestFailed) -> bool:
    """Whether the vendor, or who answers for it, says no, or was never reached."""
    if failure.status is None:
        return failure.kind in UNSENT and not failure.billed
    return failure.status < 500 and failure.status not in PASSING


def why_unsure(tag: str) -> str:
    """What becomes of a batch that may have been made."""
    minutes = round(DOUBT / 60)
    return (
        f"submit and collect look for it again, and its texts are handed over anew {minutes} minutes after it was "
        f"asked for, if it is not in the vendor's list by then, or as soon as you forget batch {tag}"
    )


def find_made(desk: Desk, tag: str) -> Remote | None:
    """The batch of this tag, if the vendor lists one."""
    found = desk.persist(lambda: desk.api.find([tag], timeout=lambda: desk.timeout))
    return only_first(desk, found[tag]) if tag in found else None


def only_first(desk: Desk, remotes: Sequence[Remote]) -> Remote:
    """The first one of batches of the same texts. The others are cancelled."""
    first, *later = remotes
    for remote in later:
        cancel_second(desk, remote, f"batch {first.id} has the same texts")
    return first


def cancel_second(desk: Desk, remote: Remote, why: str) -> None:
    """Cancel a batch that must not be, and tell so, unless that was done before."""
    if "cancel" in remote.state.lower() and not remote.answered:
        return
    if not remote.ended:
        desk.persist(lambda: desk.api.cancel(remote.id, timeout=desk.timeout))
    done = "it has ended, and is billed besides" if remote.ended else "it is cancelled, if it is not too late"
    warn(f"{desk.where}: batch {remote.id} was made besides: {why}; {done}", CacheWarning)


def cancel_surplus(desk: Desk, entries: Iterable[Entry]) -> None:
    """Cancel what the vendor has besides batches that were made: what is between here and there may ask twice.

    Nobody hears of the second one, and only the vendor's list has it. That of an unknown name is left alone where the
    list does not have ours, as it may be ours under another name.
    """
    now = desk.ledger.now()
    made = [each for each in entries if each.remote and each.state not in LOST]
    made = [each for each in made if each.stage == WAITING or 0 <= now - each.at < DOUBT]
    found = find_all(desk, made)
    for entry in made:
        others = [remote for remote in found.get(entry.tag, ()) if remote.id != entry.remote]
        if others and len(others) == len(found[entry.tag]):
            names = ", ".join(remote.id for remote in others)
            told = f"the vendor lists {names} for the texts of batch {entry.remote}, and not that one"
            warn(f"{desk.where}: {told}: see whether both are paid for", CacheWarning)
            continue
        for remote in others:
            cancel_second(desk, remote, f"batch {entry.remote} has the same texts")


def give_up(desk: Desk, tag: str, why: str) -> None:
    """Have the texts of a batch that was not made handed over by whoever wants to, and its money spent."""
    give_up_in(desk.ledger, tag, why)
    desk.shared.purse.let_go(tag, unused=True)


def give_up_in(ledger: Ledger, tag: str, why: str) -> None:
    """Have the texts of a batch handed over by whoever wants to: it counts as not made."""
    ledger.heard(tag, NOT_MADE, why)
    ledger.end(tag)


def settle(desk: Desk) -> None:
    """See to what has come to no end. Only who has the right to hand over may call it."""
    entries = desk.awaited()
    for entry in entries:
        if entry.stage == WRITTEN:  # nobody was asked to make it
            desk.ledger.drop(entry.tag)
    with suppress(EmbeddingError):  # what was given up holds nobody up
        cancel_late(desk, [entry for entry in entries if is_watched(desk, entry)])
    doubtful = [entry for entry in entries if entry.stage == CREATING]
    if not doubtful:
        return
    desk.sleep(desks.SETTLING)  # in full, as clocks on walls may be set
    now, found = desk.ledger.now(), find_all(desk, doubtful)
    for entry in doubtful:
        if entry.tag in found:
            remote = only_first(desk, found[entry.tag])
            desk.ledger.made(entry.tag, remote.id, remote.state)
        else:
            doubt(desk, entry, now - entry.at)


def find_all(desk: Desk, entries: Sequence[Entry]) -> dict[str, list[Remote]]:
    """The batches that the vendor lists for entries."""
    tags = [entry.tag for entry in entries]
    return desk.persist(lambda: desk.api.find(tags, timeout=lambda: desk.timeout)) if tags else {}


def cancel_late(desk: Desk, given_up: Sequence[Entry]) -> None:
    """Cancel what was made after all, of batches that were given up."""
    found = find_all(desk, given_up)
    for entry in given_up:
        for remote in found.get(entry.tag, ()):
            cancel_second(desk, remote, "its texts were free to be handed over again")
            desk.ledger.heard(entry.tag, "cancelled", f"it came up as {remote.id} when its texts were free again")


def doubt(desk: Desk, entry: Entry, age: float) -> None:
    """Leave a batch that the list does not have `not sure`, or give it up."""
    if age >= DOUBT:
        give_up(desk, entry.tag, f"{round(age / 60)} minutes after it was asked for it is not in the vendor's list")
        return
    desk.ledger.heard(entry.tag, UNSURE, why_unsure(entry.tag))
    if age < 0:  # the clock was set back: from now on
        desk.ledger.creating(entry.tag)


def is_watched(desk: Desk, entry: Entry) -> bool:
    """Whether a batch that was given up may still come up."""
    return entry.stage == ENDED and entry.state == NOT_MADE and 0 <= desk.ledger.now() - entry.at < WATCHED
