"""A batch is made once: whatever was answered, or was not heard, it is looked for before another is made."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from embedbridge._core.purse import Booking
from embedbridge._core.retry import PASSING, as_error
from embedbridge._core.types import Batch
from embedbridge.errors import RequestFailed

from . import desk as desks
from .desk import Desk
from .ledger import CREATING, WRITTEN

if TYPE_CHECKING:
    from embedbridge.providers._batch_api import Remote


def create(desk: Desk, tag: str, file: str, sample: Batch, booking: Booking) -> Remote:
    """Have a batch made of a file, once, whatever becomes of the vendor's answers.

    No failure proves that there is none, not even a refusal, which may be a gateway's: it is looked for each time.
    """
    for number in count(1):
        try:
            return desk.api.create(file, tag, sample, timeout=desk.timeout)
        except RequestFailed as failure:
            desk.sleep(desks.SETTLING)
            found = desk.persist(lambda: desk.api.find([tag], timeout=lambda: desk.timeout))
            if tag in found:
                return found[tag]
            pause = desk.shared.backoff.pause(number, failure)
            if pause is None:
                if is_refused(failure):
                    desk.ledger.drop(tag)
                    desk.shared.purse.settle(booking, 0)
                raise as_error(failure, desk.where) from failure
            desk.sleep(pause)
            desk.ledger.creating(tag)  # it is still ours to make
    raise AssertionError


def is_refused(failure: RequestFailed) -> bool:
    """Whether the vendor, or who answers for it, says no."""
    return failure.status is not None and failure.status < 500 and failure.status not in PASSING


def settle(desk: Desk) -> None:
    """See to what processes that were killed have left. Only who has the right to hand over may call it."""
    doubtful = []
    for entry in desk.entries():
        if entry.stage == WRITTEN:  # nobody was asked to make it
            desk.ledger.drop(entry.tag)
        elif entry.stage == CREATING:
            doubtful.append(entry)
    if not doubtful:
        return
    desk.sleep(desks.SETTLING)  # in full, as clocks on walls may be set back
    found = desk.persist(lambda: desk.api.find([entry.tag for entry in doubtful], timeout=lambda: desk.timeout))
    for entry in doubtful:
        if entry.tag in found:
            desk.ledger.made(entry.tag, found[entry.tag].id, found[entry.tag].state)
        else:
            desk.ledger.drop(entry.tag)
