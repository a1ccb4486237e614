"""Which texts are longer than the model reads, and what becomes of them: before they are sent, and after a refusal.

Read `fit` for what is done before a request, `correct` for what is done when the server has refused one for its length.
A text is cut by the model's own tokenizer where there is one here, by the server's where it has one, and otherwise by
the tokens per byte of texts of its kind that the server has counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

from embedbridge.errors import InputTooLongError, RequestFailed

from .blame import Blame, whatever_the_text
from .cutting import ask_for_facts, count_by_server, send_beginning, send_parts, shorten_to
from .deadlines import call_in_time
from .effects import Flow
from .job import Job
from .learnt import UNNAMED
from .lessons import take_count
from .outcome import refuse_long_texts
from .retry import as_error
from .text_sizes import cut_by_size, limit_in_units, too_large
from .tokens import MOST_READ, READ, SPECIAL, Counter, measure
from .types import Batch

COUNTED = "tokens were being counted"
CORRECTIONS = 24
"""How often one text is cut again; each cut takes away a quarter at least where the server names no numbers."""
SHORTEST = 64
"""Characters; no model finds so short a text too long, whatever the server says."""
MOST_COUNTED = 1 << 17
"""Tokens of a text that are counted to compare them with what the server says."""
FEW_SPECIAL = 8
"""Special tokens by which a server's count may be more than ours."""
FEW_MODELS_READ = 8192
"""Tokens; of a longer text only half is kept at a time."""


@dataclass(frozen=True, slots=True)
class Correction:
    """What to do in place of a refused batch."""

    send: list[int] = field(default_factory=list)
    """Rows to send now; of these, the ones in `Job.alone` by themselves."""
    fit: list[int] = field(default_factory=list)
    """Rows to measure anew, by what has been learnt by then, and to send after that."""
    halve: bool = False
    """Nothing tells which text is too long: send the batch by halves."""


def fit(job: Job, rows: Sequence[int]) -> Flow[list[int]]:
    """Apply the length policy before anything is sent; returns the rows that were split into pieces."""
    learnt, may_exceed, split = job.shared.learnt, job.shared.may_exceed, list[int]()
    learns = learnt.text_tokens is not None or bool(learnt.text_sizes)
    job.measured.update(rows if learns else ())
    if learnt.text_sizes:
        split += yield from call_in_time(job, partial(cut_by_size, job, rows), COUNTED)
    limit, texts, sizes = job.text_limit(), job.texts, job.sizes
    if limit is None or job.stop is not None:
        return split
    whole = (row for row in rows if row not in job.parent and row not in split)
    surely_short = 0 if job.shared.limits.normalised else limit - SPECIAL  # most texts are settled by their bytes
    suspects = [row for row in whole if sizes[row] > surely_short and may_exceed(texts[row], sizes[row], limit)]
    if suspects and not learns and not job.estimating and job.shared.limits.alone_from is not None:
        suspects = yield from call_in_time(job, partial(beyond_doubt, job, suspects, limit), COUNTED)
    if suspects and learns and not job.estimating:
        exact = yield from call_in_time(job, lambda: job.shared.counter().exact, COUNTED)
        if not exact or learnt.contradicts or learnt.proved:
            return split + (yield from fit_as_learnt(job, suspects, limit))
    if suspects:
        split += yield from call_in_time(job, partial(shorten, job, suspects, limit), COUNTED)
    return split


def beyond_doubt(job: Job, rows: Sequence[int], limit: int) -> list[int]:
    """Rows that are too long whatever they are: surely so under `error`, else those that are never sent whole.

    Of others the server judges better than an estimate, and what it refuses first teaches what is too long.
    """
    if job.shared.policy == "error":
        return [row for row in rows if job.shared.learnt.bounds(job.texts[row], job.sizes[row])[0] > limit]
    return [row for row in rows if len(job.texts[row]) > MOST_READ]


def shorten(job: Job, rows: Sequence[int], limit: int) -> list[int]:
    """Count the tokens of rows that may be too long, and cut, refuse or split them; returns those that were split."""
    shared, split, refused = job.shared, [], {}
    counter = shared.counter()
    job.report.counter = counter.name
    for row in rows:
        if job.stop is not None:
            break  # the call has ended meanwhile
        if job.counted.get(row, limit + 1) <= limit:
            continue
        try:
            text = job.texts[row]
            found = measure(text, counter, limit=limit, policy=shared.policy, prefix=job.head_of(text))
        except InputTooLongError as error:
            refused[row] = error
            continue
        job.counted[row] = found.tokens
        if len(found.parts) > 1:
            send_parts(job, row, found)
            split.append(row)
        elif found.parts[0][0] != job.texts[row]:
            send_beginning(job, row, found)
    if refused:
        refuse_long_texts(job, refused)
    return split


def count_all(job: Job, rows: Sequence[int], counter: Counter) -> None:
    """Count the tokens of rows that are not counted yet, where that is exact. Very long texts are left to `shorten`."""
    if counter.exact:
        uncounted = [row for row in rows if row not in job.counted and job.sizes[row] <= READ]
        for row, tokens in zip(uncounted, counter.counts([job.texts[row] for row in uncounted]), strict=True):
            job.counted[row] = tokens + counter.overhead


def fit_as_learnt(job: Job, suspects: Sequence[int], limit: int) -> Flow[list[int]]:
    """`fit` where the server has refused a text before; returns the rows that were split.

    Texts that are surely short enough by what was counted of their kind cost nothing; what is counted of the others may
    unsettle that. Without a tokenizer, those that may be too long are sent by themselves, and the server decides.
    """
    learnt, texts, sizes, told, policy = job.shared.learnt, job.texts, job.sizes, job.told, job.shared.policy
    counts = True
    while counts:
        bounds = yield from call_in_time(
            job, lambda: {row: learnt.bounds(texts[row], sizes[row]) for row in suspects}, COUNTED
        )
        unsure = [row for row, (_, most) in bounds.items() if most > limit and row not in told]
        counts = bool(unsure) and (yield from count_rows(job, unsure))
    long: dict[int, float] = {row: told[row] for row in bounds if told.get(row, 0) > limit}
    if long and policy == "error":
        refuse_long_texts(job, {row: _too_long(told[row], limit) for row in long})
        return []
    uncounted = [row for row in unsure if row not in told]
    may_cut = (row for row in uncounted if policy != "error" and learnt.limits_kind(texts[row]))
    sure = [row for row in may_cut if bounds[row][0] > limit]
    job.alone.update(row for row in uncounted if row not in sure)
    long |= {row: learnt.guess(texts[row], sizes[row]) for row in sure}
    return (yield from shorten_to(job, long, limit))


def count_rows(job: Job, rows: Sequence[int]) -> Flow[bool]:
    """Have the server count the tokens of rows. False: it has no tokenizer."""
    counts = yield from count_by_server(job, [job.texts[row] for row in rows])
    for row, tokens in zip(rows, counts or (), strict=False):
        take_count(job, row, tokens)
    return counts is not None


def correct(job: Job, batch: Batch, failure: RequestFailed) -> Flow[Correction]:
    """Find the texts for whose length a batch was refused, and cut or split them; errors are noted in the job."""
    if failure.numbers.keys() & {"characters", "bytes"}:
        return (yield from correct_size(job, list(batch.rows), failure))
    rows, given = list(batch.rows), failure.numbers.get("tokens")
    learn_limit(job, failure)
    yield from ask_for_facts(job)
    limit = job.text_limit()
    if given and limit and is_of_whole(job, rows, given):
        job.shared.learnt.refused_in_total(job.bytes_of(rows), limit, given)
        return Correction(halve=True)
    suspects, sure = yield from find_suspects(job, rows, failure, limit)
    if not sure and (limit or given):
        return likeliest_first(job, rows, suspects)
    if not sure or (not suspects and len(rows) > 1):  # it is the whole request, or the server counts in another way
        return Correction(halve=True)
    given_up = [row for row in suspects or rows if not suspects or not may_be_corrected(job, row)]
    give_up(job, given_up, failure, limit)
    kept = [row for row in suspects if row not in given_up]
    split = yield from correct_rows(job, kept, limit)
    return Correction(send=[row for row in rows if row not in given_up and row not in split])


def correct_size(job: Job, rows: list[int], failure: RequestFailed) -> Flow[Correction]:
    """`correct` for a limit that the server tells in characters or bytes."""
    learnt, found = job.shared.learnt, limit_in_units([job.texts[row] for row in rows], failure.numbers)
    if found is None and len(rows) > 1:  # it is the whole request
        learnt.refused([job.sizes[row] for row in rows], failure, None)
        return Correction(halve=True)
    if found is not None:
        unit, most = found
        learnt.text_sizes[unit] = max(1, min(most, learnt.text_sizes.get(unit, most)))
    suspects = too_large(job, rows) or rows
    given_up = [row for row in suspects if not may_be_corrected(job, row)]
    give_up(job, given_up, failure, None)
    kept = [row for row in suspects if row not in given_up]
    if found is None:
        split = yield from correct_rows(job, kept, None)
    else:
        split = yield from call_in_time(job, partial(cut_by_size, job, kept), COUNTED)
        job.late.extend(row for row in split if row not in job.parent)
    return Correction(send=[row for row in rows if row not in given_up and row not in split])


def find_suspects(
    job: Job, rows: list[int], failure: RequestFailed, limit: int | None
) -> Flow[tuple[Sequence[int], bool]]:
    """The rows for whose length a request may have been refused, and whether that is sure of each of them."""
    given = failure.numbers.get("tokens")
    least = limit or given or 0
    suspects = [row for row in rows if job.shared.may_exceed(job.texts[row], job.sizes[row], least)]
    if not suspects and len(rows) == 1 and "limit" not in failure.numbers:
        suspects = rows  # the limit that is known is not that of this server
    if len(suspects) == 1:
        yield from compare_counts(job, suspects[0], given, limit)
        if given:
            take_count(job, suspects[0], given)
    elif suspects:
        if not limit or not (yield from count_rows(job, suspects)):
            return suspects, False
        suspects = [row for row in suspects if job.told[row] > limit]
    return suspects, True


def learn_limit(job: Job, failure: RequestFailed) -> None:
    """Learn what is read of a text: as the refusal names it, else as it was known, unless that is contradicted."""
    given, known = failure.numbers.get("tokens"), job.shared.limits.text_tokens
    if "limit" in failure.numbers:
        job.shared.learnt.too_long(given, failure.numbers["limit"])
    else:
        job.shared.learnt.too_long(given if known and given and given > known else None, known)


def compare_counts(job: Job, row: int, given: int | None, limit: int | None) -> Flow[None]:
    """Learn whether the server contradicts the model's own tokenizer about a text that it has refused.

    Args:
        job: the call.
        row: of the text.
        given: its tokens, as the server says.
        limit: tokens that are read of a text, as far as that is known by now.
    """

    def contradicts() -> bool:
        counter = job.shared.counter()
        if not counter.exact:
            return False
        ours = measure(job.texts[row], counter, limit=MOST_COUNTED, policy="truncate").tokens
        return ours + FEW_SPECIAL < given if given else limit is not None and ours <= limit

    if (yield from call_in_time(job, contradicts, COUNTED)):
        job.shared.learnt.contradicts = True


def is_of_whole(job: Job, rows: Sequence[int], tokens: int) -> bool:
    """Whether so many tokens can only be those of all texts of a request, because none of them has so many bytes."""
    return len(rows) > 1 and not any(job.shared.may_exceed(job.texts[row], job.sizes[row], tokens - 1) for row in rows)


def may_be_corrected(job: Job, row: int) -> bool:
    """Whether a text that was refused for its length is sent again, shorter. Counts how often."""
    job.corrections[row] = attempt = job.corrections.get(row, 0) + 1
    hopeless = attempt > CORRECTIONS or len(job.texts[row]) < SHORTEST
    return job.shared.policy != "error" and not hopeless


def give_up(job: Job, rows: Iterable[int], failure: RequestFailed, limit: int | None) -> None:
    """Note that rows are too long."""
    for row in rows:
        # Cut until it is as short as no text can be too long, or so short from the beginning.
        short = len(job.texts[row]) < SHORTEST
        whatever = whatever_the_text(job, row, failure, Blame.SIZE) if short else None
        error = whatever or as_error(failure, job.where(row))
        if isinstance(error, InputTooLongError):
            error.tokens, error.limit = job.told.get(row), limit
        job.fail([row], error, fatal=whatever is not None)


def correct_rows(job: Job, rows: Iterable[int], limit: int | None) -> Flow[list[int]]:
    """Cut or split rows that are too long; returns those that were split."""
    tokens = {row: job.told.get(row) or job.shared.learnt.guess(job.texts[row], job.sizes[row]) for row in rows}
    above = {row: count for row, count in tokens.items() if limit is not None and count > limit}
    known = {row: count for row, count in above.items() if job.shared.learnt.limits_kind(job.texts[row])}
    split = yield from shorten_to(job, known, limit or 1)
    for row in tokens.keys() - known.keys():  # nothing tells how much of it is too much
        whole = job.parent.get(row, row)
        job.groped[whole] = min(job.sizes[row], job.groped.get(whole, job.sizes[row]))
        share = UNNAMED if tokens[row] < FEW_MODELS_READ else 0.5
        split += yield from shorten_to(job, {row: tokens[row]}, max(1, int(tokens[row] * share)))
    job.late.extend(row for row in split if row not in job.parent)
    return split


def likeliest_first(job: Job, rows: Sequence[int], suspects: Sequence[int]) -> Correction:
    """Where nothing tells which text is too long, the likeliest is sent by itself; the others wait for that."""
    first = max(suspects, key=lambda row: job.shared.learnt.guess(job.texts[row], job.sizes[row]))
    job.alone.add(first)
    return Correction(send=[first], fit=[row for row in rows if row != first])


def _too_long(tokens: int, limit: int) -> InputTooLongError:
    return InputTooLongError(f"{tokens} tokens, and the model reads {limit}", tokens=tokens, limit=limit)
