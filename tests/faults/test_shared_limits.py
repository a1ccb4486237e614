"""R11: a limit that several processes share: each finds its share from refusals, and none starves."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from embedbridge.testing import FaultServer, RateLimit

WORK = """
import json, sys
from embedbridge import Embedder
url, name, count, size = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
embedder = Embedder("openai:text-embedding-3-small", base_url=url, api_key="sk-test", cache=False, batch_size=1)
report = embedder.embed([f"{name} {number:04} " + "word " * size for number in range(count)]).report
print(json.dumps({"requests": report.requests, "retries": report.retries, "tokens": report.tokens}))
"""

UNDER_WAY = 8
"""Requests that a process has under way at once."""


def run_two(rate, count, size=0):
    """Two processes over one server: what each reports, the statuses in order, and the seconds that it took."""
    with FaultServer(rate=rate) as server:
        command = [sys.executable, "-c", WORK, f"{server.url}/v1"]
        both = [
            subprocess.Popen([*command, name, str(count), str(size)], stdout=subprocess.PIPE) for name in ("one", "two")
        ]
        reports = [json.loads(process.communicate(timeout=300)[0]) for process in both]
        first, *_, last = server.requests
        assert all(times == 1 for times in server.stats.billed.values())
        assert server.stats.texts == 2 * count
        assert sum(report["tokens"] for report in reports) == server.stats.tokens
        return reports, [request.status for request in server.requests], last.at - first.at


@pytest.mark.slow
@pytest.mark.parametrize(("shape", "told"), [("bucket", True), ("sliding", False)], ids=["told", "silent"])
def test_two_processes_find_their_shares_of_one_limit(shape, told):
    check_shares(RateLimit(requests=16, window=1.0, shape=shape, tells=told), 120)


@pytest.mark.long
@pytest.mark.parametrize("told", [True, False], ids=["told", "silent"])
@pytest.mark.parametrize("shape", ["bucket", "sliding", "fixed"])
def test_two_processes_find_their_shares_of_five_requests_a_second(shape, told):
    check_shares(RateLimit(requests=5, window=1.0, shape=shape, tells=told), 120)


@pytest.mark.long
@pytest.mark.parametrize("told", [True, False], ids=["told", "silent"])
def test_two_processes_find_their_shares_of_a_limit_of_tokens(told):
    check_shares(RateLimit(tokens=5 * 55, window=1.0, tells=told), 120, size=40)


def check_shares(rate, count, size=0):
    """Two processes, `count` requests each, of which all are answered.

    What each has under way at the first refusal may be refused; of the other answers, at most one in ten is a 429. The
    usual five retries are enough for each.
    """
    reports, statuses, seconds = run_two(rate, count, size)
    figures = f"{rate.shape}, {'told' if rate.tells else 'silent'}: {statuses.count(429)} of {len(statuses)} are 429"
    print(f"{figures}, {seconds:.0f} s")  # noqa: T201 - figures
    assert [report["requests"] - report["retries"] for report in reports] == [count, count]
    assert statuses.count(429) <= 2 * UNDER_WAY + len(statuses) / 10
