"""A limit that several share: headers are obeyed, and a refusal teaches everyone to go slower."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

from embedbridge import Embedder
from embedbridge.testing import FaultServer, RateLimit

WORK = """
import sys, json, time
from embedbridge import Embedder
url, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
embedder = Embedder("openai:text-embedding-3-small", base_url=url, api_key="sk-test", cache=False, batch_size=1)
report = embedder.embed([f"{name} {number}" for number in range(count)]).report
print(json.dumps({"requests": report.requests, "retries": report.retries}))
"""


@pytest.mark.parametrize("header", ["x-ratelimit-reset-tokens=700ms", "ratelimit-reset=1"])
def test_a_reset_that_is_told_is_waited_out(caller, server, header):
    """W11: a 429 with nothing but the time of the reset."""
    server.script(f"429:message=slow down+header:{header}", "ok")
    embedder = Embedder("openai:text-embedding-3-small", base_url=f"{server.url}/v1", api_key="sk-test", cache=False)
    begun = time.monotonic()
    report = caller.embed(embedder, ["a"]).report
    assert (report.requests, report.retries) == (2, 1)
    assert time.monotonic() - begun >= 0.6


@pytest.mark.slow
@pytest.mark.parametrize("told", [True, False], ids=["limits are told", "nothing is told"])
def test_two_processes_find_their_shares_of_one_limit(told):
    """R11: both end, and at most one answer in ten is a 429 once they have found their pace."""
    with FaultServer(rate=RateLimit(requests=5, window=1.0, tells=told)) as server:
        command = [sys.executable, "-c", WORK, f"{server.url}/v1"]
        both = [subprocess.Popen([*command, name, "100"], stdout=subprocess.PIPE) for name in ("one", "two")]
        reports = [json.loads(process.communicate(timeout=300)[0]) for process in both]
        assert sum(report["requests"] - report["retries"] for report in reports) == 200
        steady = [request.status for request in server.requests][40:]
        assert steady.count(429) <= len(steady) / 10
