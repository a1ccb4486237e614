"""`Caller` runs one text both ways, and closes what it called."""

import asyncio
import threading

import pytest


class Twin:
    """An object with both kinds of method, that remembers where it was called."""

    def __init__(self) -> None:
        self.calls = []
        self.together = threading.Barrier(2), asyncio.Barrier(2)

    def embed(self, texts, **options):
        self.calls.append(("sync", None))
        if texts == "together":
            self.together[0].wait(5)
        return self._answer(texts, options)

    async def aembed(self, texts, **options):
        self.calls.append(("async", asyncio.get_running_loop()))
        if texts == "together":
            await asyncio.wait_for(self.together[1].wait(), 5)
        return self._answer(texts, options)

    def _answer(self, texts, options):
        if texts == "bad":
            raise ValueError(texts)
        return texts, options

    def close(self):
        self.calls.append(("close", None))

    async def aclose(self):
        self.calls.append(("aclose", asyncio.get_running_loop()))


def test_a_call_goes_to_the_method_of_the_mode(caller, mode):
    twin = Twin()
    assert caller.embed(twin, ["a"], input_type="query") == (["a"], {"input_type": "query"})
    assert [way for way, _ in twin.calls] == [mode]


def test_an_error_comes_through(caller):
    with pytest.raises(ValueError, match="bad"):
        caller.embed(Twin(), "bad")


def test_calls_at_once_are_at_once(caller):
    twin = Twin()
    answers = caller.at_once(twin, ["together", "together"])
    assert answers == [("together", {})] * 2


def test_outcomes_at_once_are_in_order_errors_too(caller):
    good, bad = caller.at_once(Twin(), ["good", "bad"])
    assert good == ("good", {})
    assert isinstance(bad, ValueError)


def test_closing_closes_everything_once_on_the_same_loop(caller, mode):
    twin = Twin()
    for _ in range(2):
        caller.embed(twin, ["a"])
    caller.close()
    ways, loops = zip(*twin.calls, strict=True)
    assert ways == (mode, mode, "close" if mode == "sync" else "aclose")
    assert len(set(loops)) == 1
