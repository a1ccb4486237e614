"""The state of one call, which several threads change at the same time."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from embedbridge import EmbeddingError
from embedbridge._core.cutting import send_parts
from embedbridge._core.keys import keys_of
from embedbridge._core.outcome import error_of
from embedbridge._core.tokens import Measured

from .parts import make_job, make_setting

TEXTS, PIECES = 16, 60


@pytest.fixture
def _many_switches():
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("_many_switches")
def test_texts_that_are_split_side_by_side_keep_their_own_pieces():
    for _ in range(20):
        job = make_job(make_setting(policy="mean"), [f"text {row}" for row in range(TEXTS)])

        def split(row, job=job):
            send_parts(job, row, Measured(PIECES, tuple((f"{row}.{part}", 1) for part in range(PIECES))))
            first = job.pieces[row][0]
            send_parts(job, first, Measured(2, ((f"{row}.0.0", 1), (f"{row}.0.1", 1))))

        with ThreadPoolExecutor(TEXTS) as threads:
            list(threads.map(split, range(TEXTS)))
        assert len(job.keys) == len(job.texts) == len(job.sizes) == len(job.have) == TEXTS * (1 + PIECES + 2)
        for row in range(TEXTS):
            pieces = [f"{row}.0.0", f"{row}.0.1", *(f"{row}.{part}" for part in range(1, PIECES))]
            assert [job.texts[piece] for piece in job.pieces[row]] == pieces
            assert keys_of(job.shared, job.role.rules, [piece.encode() for piece in pieces]) == [
                job.keys[piece] for piece in job.pieces[row]
            ]


def test_a_text_that_got_neither_a_vector_nor_an_error_is_an_error_with_a_name():
    job = make_job(make_setting(), ["one", "two"])
    error = error_of(job)
    assert type(error) is EmbeddingError
    assert error.failed_indices == (0, 1)
