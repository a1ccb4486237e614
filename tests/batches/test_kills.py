"""Killed with -9 at any point, nothing is handed over twice, and nothing that came back is lost."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from embedbridge import Embedder
from embedbridge.testing import FaultServer
from support import batch_client

from .conftest import WIDTH

KILLS = 20


def a_night_with_kills(cache: Path | str, count: int) -> None:
    """Kill the program at twenty points of one night."""
    texts = batch_client.texts_of(count)
    with FaultServer() as server:
        url = f"{server.url}/v1"
        command = [sys.executable, batch_client.__file__, url, cache, str(count), str(KILLS)]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=1200, check=False)
        assert (ran.returncode, ran.stderr) == (0, "")
        assert ran.stdout.split() == [*map(str, range(1, KILLS + 1)), "whole"]
        handed = Counter(text for made in server.batches.made for _, body in made.asked for text in body["input"])
        assert set(handed.values()) == {1}
        assert set(server.stats.billed.values()) == {1}
        ours = Embedder("openai:text-embedding-3-small", base_url=url, api_key="k", cache=cache, dimensions=WIDTH)
        result = ours.embed(texts)
        assert result.report.requests == 0
        np.testing.assert_array_equal(result.vectors, server.vectors(texts, dims=WIDTH))


@pytest.mark.slow
def test_a_program_that_is_killed_at_twenty_points_pays_once(tmp_path):
    a_night_with_kills(tmp_path, 2_000)


@pytest.mark.slow
def test_a_program_that_is_killed_at_twenty_points_pays_once_with_its_ledger_in_redis(valkey):
    a_night_with_kills(valkey.url, 1_000)


@pytest.mark.long
def test_a_program_with_fifty_thousand_texts_that_is_killed_at_twenty_points_pays_once(tmp_path):
    a_night_with_kills(tmp_path, 50_000)
