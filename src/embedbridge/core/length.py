"""Texts that are longer than the model reads: found, then cut, split or refused, before they are sent and after.

Read `fit` for what is done before a request, `correct` for what is done when the server has refused one for its length.
A text is cut by the model's own tokenizer where there is one here, by the server's where it has one, and otherwise by
the tokens per byte of texts of its kind that the server has counted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from .deadlines import call_in_time
from .effects import Flow, WouldDeadlock, inquire, wait
from .errors import InputTooLongError, RequestFailed
from .job import Job
from .retry import as_error
from .tokens import READ, Counter, Measured, measure
from .types import Batch, Vectors

COUNTED = "tokens were being counted"
FACTS_TIMEOUT = 2.0
"""Seconds that a server has to publish its limits, once per process; it is asked when it has refused a text first, so a
server that reads everything, or has nothing to publish, is never asked and costs nothing."""
CORRECTIONS = 8
"""How often one text is cut again; each cut takes away a quarter at least where the server names no numbers."""
ROUNDS = 6
"""How often the server's tokenizer is asked while the place of a cut is sought."""
NEAR = 64
"""A cut is good when it gives away at most one part in so many of what the model reads."""
CAREFUL = 0.96
"""The share of a limit that is filled with tokens which were estimated."""
UNNAMED = 0.75
"""The share of a text that is kept when nobody names a number."""
SHORTEST = 64
"""Characters; no model finds so short a text too long, whatever the server says."""
AT_ONCE = 4
"""Suspects of a refused batch that are sent by themselves first, or a quarter of them where there are more."""
BY_SERVER = "the server's own tokenizer"
BY_RATE = "estimate, by what the server has counted"


@dataclass(slots=True)
class Correction:
    """What to do in place of a refused batch."""

    send: list[int] = field(default_factory=list)
    """Rows to send now; of these, the ones in `Job.alone` by themselves."""
    halve: bool = False
    """Nothing tells which text is too long: send the batch by halves."""
    fit: list[int] = field(default_factory=list)
    """Rows to measure anew, by what has been learnt by then, and to send after that."""


def fit(job: Job, rows: Sequence[int]) -> Flow[list[int]]:
    """Apply the length policy before anything is sent; returns the rows that were split into pieces."""
    limit = job.text_limit()
    if limit is None:
        return []
    job.measured.update(rows)
    may_exceed, texts, sizes = job.setting.may_exceed, job.texts, job.sizes
    suspects = [row for row in rows if row not in job.parent and may_exceed(texts[row], sizes[row], limit)]
    if suspects and job.setting.learnt.text_tokens is not None and not job.estimating:
        exact = yield from call_in_time(job, lambda: job.setting.counter().exact, COUNTED)
        if not exact:
            return (yield from fit_as_learnt(job, suspects, limit))
    if not suspects:
        return []
    return (yield from call_in_time(job, partial(shorten, job, suspects, limit), COUNTED))


def shorten(job: Job, rows: Sequence[int], limit: int) -> list[int]:
    """Count the tokens of rows that may be too long, and cut, refuse or split them; returns those that were split."""
    setting, split, refused = job.setting, [], {}
    counter = setting.counter()
    job.report.counter = counter.name
    for row in rows:
        if job.stop is not None:
            break  # the call has ended meanwhile
        if job.counted.get(row, limit + 1) <= limit:
            continue
        try:
            found = measure(job.texts[row], counter, limit=limit, policy=setting.policy, prefix=job.route.prefix)
        except InputTooLongError as error:
            refused[row] = error
            continue
        job.counted[row] = found.tokens
        if len(found.parts) > 1:
            job.split(row, found)
            split.append(row)
        elif found.parts[0][0] != job.texts[row]:
            job.cut(row, found)
    if refused:
        job.refuse(refused)
    return split


def count_all(job: Job, rows: Sequence[int], counter: Counter) -> None:
    """Count the tokens of rows that are not counted yet, where that is exact. Very long texts are left to `shorten`."""
    if counter.exact:
        uncounted = [row for row in rows if row not in job.counted and job.sizes[row] <= READ]
        for row, tokens in zip(uncounted, counter.counts([job.texts[row] for row in uncounted]), strict=True):
            job.counted[row] = tokens + counter.overhead


def fit_as_learnt(job: Job, suspects: Iterable[int], limit: int) -> Flow[list[int]]:
    """`fit` where the server has refused a text before; returns the rows that were split.

    Texts that are surely short enough by what was counted of their kind cost nothing. Without a tokenizer, those that
    may be too long are sent by themselves, and the server decides.
    """
    learnt, texts, sizes, told = job.setting.learnt, job.texts, job.sizes, job.told
    bounds = {row: learnt.bounds(texts[row], sizes[row]) for row in suspects}
    unsure = [row for row, (_, most) in bounds.items() if most > limit and row not in told]
    counts = yield from count(job, [texts[row] for row in unsure])
    for row, tokens in zip(unsure, counts or (), strict=False):
        job.tell(row, tokens)
    long: dict[int, float] = {row: told[row] for row in bounds if told.get(row, 0) > limit}
    if long and job.setting.policy == "error":
        job.refuse({row: too_long(told[row], limit) for row in long})
        return []
    split = yield from shorten_to(job, long, limit, exact=True)
    rest = [row for row in unsure if row not in told]
    sure = [row for row in rest if bounds[row][0] > limit and job.setting.policy != "error"]
    job.alone.update(row for row in rest if row not in sure)
    guessed = {row: learnt.guess(texts[row], sizes[row]) for row in sure}
    return split + (yield from shorten_to(job, guessed, limit, exact=False))


def correct(job: Job, batch: Batch, failure: RequestFailed) -> Flow[Correction]:
    """Find the texts for whose length a batch was refused, and cut or split them; errors are noted in the job."""
    learnt, given = job.setting.learnt, failure.numbers.get("tokens")
    named = failure.numbers.get("limit")
    if named is not None:
        named = min(named, given - 1) if given else named  # some servers mean "fewer than"
        learnt.text_tokens = min(named, learnt.text_tokens or named)
    yield from ask_for_facts(job)
    limit, rows = job.text_limit(), list(batch.rows)
    least = limit or given or 0
    suspects = [row for row in rows if job.setting.may_exceed(job.texts[row], job.sizes[row], least)]
    counts = (yield from count(job, [job.texts[row] for row in suspects])) if len(suspects) > 1 and limit else None
    if counts is not None:
        for row, tokens in zip(suspects, counts, strict=True):
            job.tell(row, tokens)
        suspects = [row for row in suspects if job.told[row] > (limit or 0)]
    elif len(suspects) > 1:
        return one_by_one(job, rows, suspects) if least else Correction(halve=True)
    elif suspects and given:
        job.tell(suspects[0], given)
    if not suspects and len(rows) > 1:  # the request as a whole is too long, or the server counts in another way
        return Correction(halve=True)
    return (yield from correct_rows(job, rows, suspects, limit, failure))


def correct_rows(
    job: Job, rows: Sequence[int], long: Sequence[int], limit: int | None, failure: RequestFailed
) -> Flow[Correction]:
    """Cut, split or give up the rows that are too long. None is, if `rows` is one text that cannot be."""
    given_up: list[int] = []
    split: list[int] = []
    known: dict[int, float] = {}
    for row in long or rows:
        attempt = job.corrections[row] = job.corrections.get(row, 0) + 1
        cut_by_server = job.setting.limits.alone_from is not None and job.setting.policy == "truncate"
        hopeless = not long or cut_by_server or attempt > CORRECTIONS or len(job.texts[row]) < SHORTEST
        if job.setting.policy == "error" or hopeless:
            error = as_error(failure, job.where(row))
            if isinstance(error, InputTooLongError):
                error.tokens, error.limit = job.told.get(row), limit
            job.fail([row], error)
            given_up.append(row)
            continue
        tokens = job.told.get(row) or job.setting.learnt.guess(job.texts[row], job.sizes[row])
        if limit is not None and tokens > limit:
            known[row] = tokens
        else:  # nothing tells how much of it is too much
            split += yield from shorten_to(job, {row: tokens}, max(1, int(tokens * UNNAMED)), exact=False)
    if limit is not None:
        split += yield from shorten_to(job, known, limit, exact=all(row in job.told for row in known))
    job.late.extend(row for row in split if row not in job.parent)
    return Correction(send=[row for row in rows if row not in given_up and row not in split])


def one_by_one(job: Job, rows: Sequence[int], suspects: Sequence[int]) -> Correction:
    """Where nothing tells which text is too long, the likeliest are sent by themselves; the others wait for that."""
    guess = {row: job.setting.learnt.guess(job.texts[row], job.sizes[row]) for row in suspects}
    first = sorted(suspects, key=guess.__getitem__, reverse=True)[: max(AT_ONCE, len(suspects) // 4)]
    job.alone.update(first)
    return Correction(send=first, fit=[row for row in rows if row not in first])


def shorten_to(job: Job, long: Mapping[int, float], limit: int, *, exact: bool) -> Flow[list[int]]:
    """Cut or split rows, of which each has so many tokens, to at most `limit`; returns the rows that were split."""
    if not long:
        return []
    job.report.counter = BY_SERVER if job.setting.learnt.tokenizer else BY_RATE
    if job.setting.policy == "mean":
        return (yield from split_rows(job, long, limit))
    share = 1.0 if exact and job.setting.learnt.tokenizer else CAREFUL
    kept = yield from cut_texts(job, {row: (job.texts[row], tokens) for row, tokens in long.items()}, limit, share)
    for row, (text, tokens) in kept.items():
        job.cut(row, Measured(max(math.ceil(long[row]), tokens + 1), ((text, tokens),)))
    return []


def cut_texts(
    job: Job, long: Mapping[int, tuple[str, float]], limit: int, share: float
) -> Flow[dict[int, tuple[str, int]]]:
    """The beginning of each text that has at most `limit` tokens, and how many: counted by the server if it can."""
    kept: dict[int, tuple[str, int]] = {}
    # For each text: characters that are known to fit, their tokens, and characters that are known to be too many.
    known = {row: (0, 0, len(text), tokens) for row, (text, tokens) in long.items()}
    for attempt in range(ROUNDS):
        open_rows = [row for row in long if row not in kept]
        ends = {row: _end(long[row][0], known[row], limit * share, job.route.prefix) for row in open_rows}
        counts = yield from count(job, [long[row][0][: ends[row]] for row in open_rows])
        if counts is None:
            for row, end in ends.items():
                low_end, low, high_end, high = known[row]
                tokens = low + (high - low) * (end - low_end) / max(1, high_end - low_end)
                kept[row] = long[row][0][:end], min(limit, math.ceil(tokens))
            break
        for row, tokens in zip(open_rows, counts, strict=True):
            low_end, low, high_end, high = known[row]
            if tokens > limit:
                known[row] = low_end, low, ends[row], tokens
                continue
            known[row] = ends[row], tokens, high_end, high
            if limit - tokens <= limit // NEAR or attempt == ROUNDS - 1 or high_end - ends[row] <= 1:
                kept[row] = long[row][0][: ends[row]], tokens
    for row in long:  # what fits least is still right; a text of which no beginning was found is left to the server
        if row not in kept:
            end, tokens, *_ = known[row]
            kept[row] = (long[row][0][:end], tokens) if end else (long[row][0][: len(long[row][0]) // 2 or 1], limit)
    return kept


def _end(text: str, known: tuple[int, float, int, float], target: float, prefix: str) -> int:
    """Where a text has about `target` tokens, between a place where it has too few and one where it has too many."""
    low_end, low, high_end, high = known
    share = (target - low) / max(1.0, high - low)
    end = low_end + int((high_end - low_end) * min(0.99, max(0.01, share)))
    return max(min(end, high_end - 1), low_end + 1, min(len(prefix) + 1, len(text)))


def split_rows(job: Job, long: Mapping[int, float], limit: int) -> Flow[list[int]]:
    """Split texts into pieces of about equal length that fit; a piece that is too long becomes two."""
    prefix = job.route.prefix
    for row, tokens in long.items():
        body = job.texts[row][len(prefix) :]
        ahead = tokens * len(prefix) / max(1, len(job.texts[row])) + 2
        number = max(2, math.ceil(tokens / max(1.0, limit * CAREFUL - ahead)))
        size = max(1, math.ceil(len(body) / number))
        pieces = [prefix + body[at : at + size] for at in range(0, len(body), size)]
        counts = yield from count(job, pieces)
        for _ in range(ROUNDS if counts else 0):
            if counts is None or max(counts) <= limit:
                break
            halved = (_halved(piece, prefix) if n > limit else [piece] for piece, n in zip(pieces, counts, strict=True))
            pieces = [piece for each in halved for piece in each]
            counts = yield from count(job, pieces)
        each = counts or [max(1, round(tokens * len(piece) / len(job.texts[row]))) for piece in pieces]
        whole = math.ceil(tokens)
        if row in job.parent:
            job.split_again(row, Measured(whole, tuple(zip(pieces, each, strict=True))))
        else:
            job.split(row, Measured(whole, tuple(zip(pieces, each, strict=True))))
    return list(long)


def _halved(piece: str, prefix: str) -> Sequence[str]:
    body = piece[len(prefix) :]
    middle = len(body) // 2
    return [prefix + body[:middle], prefix + body[middle:]] if middle else [piece]


def count(job: Job, texts: Sequence[str]) -> Flow[list[int] | None]:
    """Tokens of texts by the server's own tokenizer, special ones included; None where it has none."""
    server, learnt = job.setting.server, job.setting.learnt
    if not texts:
        return []
    if server is None or not learnt.tokenizer:
        return None
    answers = yield from inquire(server.count_inquiries(learnt.tokenizer, texts), job.timeout())
    counts = server.read_counts(learnt.tokenizer, answers)
    if counts is None or len(counts) != len(texts):
        if not job.out_of_time():
            learnt.tokenizer = ""  # it answers no more: what it has counted so far has to do
        return None
    return counts


def ask_for_facts(job: Job) -> Flow[None]:
    """Ask the server for what it publishes, once per process; others wait for the answer as long as it may take."""
    server, learnt = job.setting.server, job.setting.learnt
    if server is None:
        return
    mine: Future[Vectors | None] = Future()
    learnt.asked.append(mine)
    if learnt.asked[0] is not mine:
        with suppress(TimeoutError, WouldDeadlock):
            yield from wait(learnt.asked[0], None, FACTS_TIMEOUT)
        return
    try:
        answers = yield from inquire(server.fact_inquiries(), min(FACTS_TIMEOUT, job.timeout()))
        learnt.take(server.read_facts(answers))
    finally:
        mine.set_result(None)


def too_long(tokens: int, limit: int) -> InputTooLongError:
    """The error of a text whose tokens were counted."""
    return InputTooLongError(f"{tokens} tokens, and the model reads {limit}", tokens=tokens, limit=limit)
