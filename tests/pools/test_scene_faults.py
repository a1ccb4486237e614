"""A fault of the battery at one of two servers, after both have proved their vectors: the other one does the work."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from embedbridge.testing import FaultServer, no_waiting
from faults.apis import APIS, KEY, OPENAI
from support.scene import corpus

REFUSALS = (
    "401",
    "403",
    "404:message=model not found",
    "408",
    "429:retry-after=1",
    "500",
    "502",
    "503",
    "quota",
    "html",
)
REFUSALS += ("error200", "redirect", "hang")
BROKEN = ("reset", "reset:at=mid", "close:at=headers", "truncate", "stall", "badgzip", "badutf8", "chunked:cut=1")
WRONG = ("drop", "extra", "empty", "nan", "inf", "null", "nullvalue", "string", "zero", "dims", "ragged", "emptyvec")
WRONG += ("nodata",)
SPECS = (*REFUSALS, *BROKEN, *WRONG)
FEW = ("403", "429:retry-after=1", "500", "quota", "hang", "reset:at=mid", "truncate", "shuffle", "nan", "dims")
TEXTS = corpus(24)


def always(_):
    return True


def have_served(caller, embedder, servers):
    """Have each of two servers prove its vectors and answer, while the other one refuses."""
    for server, other in (servers, servers[::-1]):
        refuses = [other]
        other.on(lambda _, refuses=refuses: bool(refuses), "503")
        caller.embed(embedder, corpus(2, f"before, by {server.port}"))
        refuses.clear()
        assert server.stats.served


def find_fault(caller, api, spec, folder):
    """What is wrong with a call during which one of two servers has the fault; "" where nothing is."""
    with FaultServer() as ill, FaultServer() as well, no_waiting(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        entries = [{"base_url": server.url + api.path, "api_key": KEY} for server in (ill, well)]
        embedder = api.embedder(well, endpoints=entries, cache=folder, batch_size=2, timeout=1, concurrency=4)
        have_served(caller, embedder, (ill, well))
        caller.embed(embedder, corpus(24, "before"))
        ill.on(always, spec)
        vectors = caller.embed(embedder, TEXTS).vectors
        if not np.array_equal(vectors, api.vectors(well, TEXTS)):
            return "a vector is wrong"
        billed = {text: times for text, times in well.stats.billed.items() if text in set(map(api.sent, TEXTS))}
        if set(billed.values()) != {1}:
            return f"the sound server was paid twice: {billed}"
        again = api.embedder(well, endpoints=entries, cache=folder)
        if caller.embed(again, TEXTS).report.requests:
            return "not all of it was stored"
    return ""


def check(caller, apis, specs, folder):
    faults = []
    for api in apis:
        for at, spec in enumerate(specs):
            try:
                wrong = find_fault(caller, api, spec, folder / f"{api}-{at}")
            except Exception as error:
                wrong = f"{type(error).__name__}: {error}"
            if wrong:
                faults.append(f"{api}, {spec}: {wrong}")
    assert not faults, "\n".join(faults)


@pytest.mark.slow
def test_a_fault_at_one_of_two_servers_costs_no_text_and_no_vector(caller, tmp_path):
    """Each fault in one mode; the long test has all of them in both."""
    check(caller, (OPENAI,), FEW[caller.mode == "async" :: 2], tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("api", APIS, ids=str)
def test_a_fault_at_one_of_two_servers_of_any_api_costs_no_text_and_no_vector(caller, api, tmp_path):
    check(caller, (api,), SPECS, tmp_path)
