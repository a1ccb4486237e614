"""Cuts or splits texts whose tokens are counted elsewhere: by the server's own tokenizer, or by texts of their kind.

`length.py` decides which texts. A cut is sought by asking the server how many tokens a beginning has; where it cannot
be asked, a beginning is estimated, and a little less is taken.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field

from .effects import Flow, Inquire, Wait, WouldDeadlock
from .job import Job
from .keys import keys_of
from .servers import Server
from .tokens import OVERHANG, Measured
from .types import Vectors

FACTS_TIMEOUT = 2.0
"""Seconds that a server has to publish its limits, once per process. It is asked when it has refused a text first: a
server that reads everything is never asked, so one that has nothing to publish costs nothing."""
SIDE_BY_SIDE = 8
"""Small requests under way at once, where as many requests for vectors may be."""
ROUNDS = 6
"""How often the server's tokenizer is asked while the place of a cut is sought."""
NEAR = 64
"""A cut is good when it gives away at most one part in so many of what the model reads."""
CAREFUL = 0.96
"""The share of a limit that is filled with tokens which were estimated."""
BY_SERVER = "the server's own tokenizer"
BY_KIND = "estimate, by what the server has counted of other texts"


@dataclass(slots=True)
class Search:
    """The search for the longest beginning of a text that has at most `limit` tokens."""

    text: str
    limit: int
    most: float
    """Tokens of the whole text, or of the shortest beginning that is too long."""
    least_end: int
    """Characters that are kept in any case: the prefix and one more."""
    too_far: int = field(init=False)
    end: int = 0
    """Characters of the longest beginning that fits, and its tokens."""
    tokens: float = 0

    def __post_init__(self) -> None:
        self.too_far = len(self.text)

    def next_end(self, target: float) -> int:
        """Where the text has about `target` tokens, between the places that are known."""
        share = (target - self.tokens) / max(1.0, self.most - self.tokens)
        end = self.end + int((self.too_far - self.end) * min(0.99, max(0.01, share)))
        return max(min(end, self.too_far - 1), self.end + 1, min(self.least_end, len(self.text)))

    def learn(self, end: int, tokens: int) -> None:
        """The beginning up to `end` has so many tokens."""
        if tokens > self.limit:
            self.too_far, self.most = end, tokens
        else:
            self.end, self.tokens = end, tokens

    def guess(self, end: int) -> None:
        """Take a beginning as it is, its tokens estimated."""
        share = (end - self.end) / max(1, self.too_far - self.end)
        tokens = self.tokens + (self.most - self.tokens) * share
        self.end, self.tokens = end, min(self.limit, math.ceil(tokens))

    @property
    def done(self) -> bool:
        """Whether it cannot be found much better."""
        return bool(self.end) and (self.limit - self.tokens <= self.limit // NEAR or self.too_far - self.end <= 1)

    def found(self) -> tuple[str, int]:
        """The beginning, and its tokens; half of the text, for the server to judge, where no beginning fits."""
        if not self.end:
            return self.text[: self.too_far // 2 or 1], self.limit
        return self.text[: self.end], int(self.tokens)


def shorten_to(job: Job, long: Mapping[int, float], limit: int) -> Flow[list[int]]:
    """Cut or split rows, of which each has so many tokens, to at most `limit`; returns the rows that were split."""
    if not long:
        return []
    limit = min(limit, job.shared.learnt.fits or limit)
    job.report.counter = BY_SERVER if job.shared.learnt.tokenizer else BY_KIND
    if job.shared.policy == "mean":
        for row, tokens in long.items():
            yield from split_row(job, row, tokens, limit)
        return list(long)
    kept = yield from cut_texts(job, long, limit)
    job.guessed.update(kept.keys() - job.told.keys() - job.cuts.keys())
    for row, (text, tokens) in kept.items():
        send_beginning(job, row, Measured(max(math.ceil(long[row]), tokens + 1), ((text, tokens),)))
    if job.shared.limits.alone_from is not None and not job.shared.learnt.tokenizer:
        job.alone.update(kept)  # so that the server tells how many tokens were kept
    return []


def cut_texts(job: Job, long: Mapping[int, float], limit: int) -> Flow[dict[int, tuple[str, int]]]:
    """The beginning of each text that has at most `limit` tokens, and how many."""
    texts = {row: job.texts[row] for row in long}
    searches = {row: Search(text, limit, long[row], len(job.head_of(text)) + 1) for row, text in texts.items()}
    target = limit if job.shared.learnt.tokenizer else limit * CAREFUL
    for _ in range(ROUNDS):
        under_way = [(search, search.next_end(target)) for search in searches.values() if not search.done]
        counts = yield from count_by_server(job, [search.text[:end] for search, end in under_way])
        if counts is None:
            for search, end in under_way:
                search.guess(end)
            break
        for (search, end), tokens in zip(under_way, counts, strict=True):
            search.learn(end, tokens)
    return {row: search.found() for row, search in searches.items()}


def split_row(job: Job, row: int, tokens: float, limit: int) -> Flow[None]:
    """Split a text into pieces of about equal length that fit."""
    text = job.texts[row]
    prefix = job.head_of(text)
    body = text[len(prefix) :]
    ahead = tokens * len(prefix) / max(1, len(text)) + 2
    number = max(2, math.ceil(tokens / max(1.0, limit * CAREFUL - ahead)))
    size = max(1, math.ceil(len(body) / number))
    pieces = [prefix + body[at : at + size] for at in range(0, len(body), size)]
    pieces, counts = yield from count_pieces(job, pieces, limit)
    each = counts or [max(1, round(tokens * len(piece) / len(text))) for piece in pieces]
    send_parts(job, row, Measured(math.ceil(tokens), tuple(zip(pieces, each, strict=True))))


def count_pieces(job: Job, pieces: list[str], limit: int) -> Flow[tuple[list[str], list[int] | None]]:
    """The pieces and their tokens, if the server counts them; one that is too long becomes two."""
    counts = yield from count_by_server(job, pieces)
    for _ in range(ROUNDS):
        if not counts or max(counts) <= limit:
            break
        parts = (_halved(job, piece) if n > limit else [piece] for piece, n in zip(pieces, counts, strict=True))
        pieces = [part for each in parts for part in each]
        counts = yield from count_by_server(job, pieces)
    return pieces, counts


def _halved(job: Job, piece: str) -> list[str]:
    prefix = job.head_of(piece)
    body = piece[len(prefix) :]
    middle = len(body) // 2
    return [prefix + body[:middle], prefix + body[middle:]] if middle else [piece]


def count_by_server(job: Job, texts: Sequence[str]) -> Flow[list[int] | None]:
    """Tokens of texts by the server's own tokenizer, special ones included; None where it has none."""
    server, learnt = job.shared.server, job.shared.learnt
    if not texts:
        return []
    if server is None or not learnt.tokenizer:
        return None
    inquiries = server.count_inquiries(learnt.tokenizer, texts)
    answers = yield Inquire(inquiries, job.timeout(), side_by_side(job))
    lacking = [at for at, answer in enumerate(answers) if answer is None]
    if 0 < len(lacking) < max(2, len(texts)):  # a connection may have been closed meanwhile
        again = yield Inquire([inquiries[at] for at in lacking], job.timeout(), side_by_side(job))
        for at, answer in zip(lacking, again, strict=True):
            answers[at] = answer
    counts = server.read_counts(learnt.tokenizer, answers)
    if counts is None and not job.out_of_time():
        learnt.tokenizer = ""  # it answers no more: what it has counted so far has to do
    return counts


def side_by_side(job: Job) -> int:
    """Small requests under way at once."""
    return min(SIDE_BY_SIDE, job.shared.limits.concurrency)


def ask_for_facts(job: Job) -> Flow[None]:
    """Have the server asked for what it publishes, once per process. Others wait for the answer."""
    server, learnt = job.shared.server, job.shared.learnt
    if server is None or learnt.settled:
        return
    mine: Future[Vectors | None] = Future()
    learnt.asked.append(mine)
    if learnt.asked[0] is mine:
        yield from take_facts(job, server, mine)
    else:
        with suppress(TimeoutError, WouldDeadlock):
            yield Wait(learnt.asked[0], None, min(FACTS_TIMEOUT, job.timeout()))
    learnt.settled = True  # also where who asked was given up, or is in the process that this one was forked from


def take_facts(job: Job, server: Server, done: Future[Vectors | None]) -> Flow[None]:
    """Ask the server for what it publishes."""
    try:
        answers = yield Inquire(server.fact_inquiries(), min(FACTS_TIMEOUT, job.timeout()), side_by_side(job))
        job.shared.learnt.take(server.read_facts(answers))
    finally:
        done.set_result(None)


def send_beginning(job: Job, row: int, found: Measured) -> None:
    """Send only the beginning of a text; where the model itself cuts, a little more, see `OVERHANG`."""
    ((text, kept),) = found.parts
    if job.shared.limits.model_truncates:
        text, kept = job.texts[row][: len(text) + OVERHANG], found.read
    job.told.pop(row, None)
    whole = max(found.tokens, job.cuts.get(row, (0, 0))[0])
    job.counted[row], job.cuts[row] = kept, (whole, kept)
    job.texts[row], job.sizes[row] = text, len(text.encode())


def send_parts(job: Job, row: int, found: Measured) -> None:
    """Add rows for the parts of a text; those of a part, which the server has refused, take its place."""
    whole = job.parent.get(row, row)
    texts = [text for text, _ in found.parts]
    encoded = [text.encode() for text in texts]
    keys = keys_of(job.shared, job.role.rules, encoded)
    with job.lock:  # batches that are delivered side by side split texts at the same time
        parts = list(range(len(job.keys), len(job.keys) + len(texts)))
        job.keys += keys
        job.texts += texts
        job.sizes += [len(text) for text in encoded]
        job.have += [False] * len(texts)
        job.counted.update(zip(parts, (tokens for _, tokens in found.parts), strict=True))
        job.parent.update(dict.fromkeys(parts, whole))
        if whole != row:
            job.replaced.add(row)
            at = job.pieces[whole].index(row)
            job.pieces[whole][at : at + 1] = parts
        else:
            job.counted[row], job.cuts[row] = found.tokens, (found.tokens, found.tokens)
            job.pieces[row] = parts
