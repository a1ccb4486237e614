"""A replica that answers otherwise than the others gives no vector to anybody: neither returned nor stored."""

from __future__ import annotations

import asyncio
import time
import warnings

import pytest

from embedbridge import ProviderUnavailableError, SpaceMismatchError
from embedbridge._core.proof import LIFETIME, SHORT
from embedbridge.testing import FaultServer, no_waiting
from support.scene import WIDTH, NearlyServer, corpus, scene

pytestmark = pytest.mark.one_flow

OTHERS = {
    "another model": lambda: NearlyServer(lambda text: f"{text} as another model reads it"),
    "a prefix of its own": lambda: NearlyServer("passage: ".__add__),
    "another dimension": lambda: FaultServer(width=WIDTH // 2),
    "lower case": lambda: NearlyServer(str.lower),
    "fewer characters": lambda: NearlyServer(lambda text: text[:200]),
    "stripped texts": lambda: NearlyServer(str.strip),
}
"""How the second server differs."""


def embed(caller, these, texts, **options):
    """The result, and what was warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = caller.embed(these.embedder(batch_size=2, **options), texts)
    these.check(texts, result.vectors)
    return result, [str(each.message) for each in caught]


def test_a_replica_of_another_space_is_asked_for_no_text_and_its_vectors_are_stored_nowhere(caller, tmp_path):
    texts, faults = corpus(16), []
    for name, make in OTHERS.items():
        folder = tmp_path / name
        with scene(FaultServer(width=WIDTH), make()) as these:
            embed(caller, these, texts[:1], cache=folder)  # by the first, which is the one to agree with
            _, told = embed(caller, these, texts, cache=folder)
            if sum("left out" in each for each in told) != 1:
                faults.append(f"{name}: warned of {len(told)} times: {told}")
            if asked := set(these.servers[1].stats.billed) & set(texts):
                faults.append(f"{name}: was asked for {len(asked)} texts")
            these.servers[1].reset()
            paid = these.servers[0].stats.calls
            result, _ = embed(caller, these, texts, cache=folder)
            if result.report.requests or these.servers[0].stats.calls != paid:
                faults.append(f"{name}: the cache lacked something")
    assert not faults


def test_where_only_a_replica_of_another_space_is_left_the_call_fails_and_the_figures_are_told(caller, tmp_path):
    texts = corpus(2, "others")
    with scene(FaultServer(width=WIDTH), NearlyServer("passage: ".__add__)) as these:
        embed(caller, these, corpus(2), cache=tmp_path)
        these.servers[0].stop()
        embedder = these.embedder(cache=tmp_path, max_retries=1, base_url=f"{these.servers[0].url}/v1")
        figures = "1 - cosine is .*no other can be had: .*(refused|connect)"
        with (
            pytest.warns(UserWarning, match="1 - cosine is"),
            pytest.raises(SpaceMismatchError, match=figures) as caught,
        ):
            caller.embed(embedder, texts)
        assert isinstance(caught.value.__cause__, ProviderUnavailableError)
        assert not set(these.servers[1].stats.billed) & set(texts)


def test_a_replica_that_becomes_another_is_noticed_when_it_says_so(caller):
    """Its answers name another model from then on."""
    with scene(FaultServer(width=WIDTH), NearlyServer(str)) as these:
        embedder = these.embedder(batch_size=2)
        caller.embed(embedder, corpus(40, "before"))
        assert these.servers[1].stats.served
        these.servers[1].change = "passage: ".__add__
        these.servers[1].on(lambda _: True, "othermodel:name=another")
        texts = corpus(40)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = caller.embed(embedder, texts)
        these.check(texts, result.vectors)


class TurnsServer(FaultServer):
    """An address where models answer in turn: `turn` gives the name that an answer tells, and whether it is right."""

    def __init__(self, turn):
        super().__init__(width=WIDTH)
        self.turn, self.answered = turn, 0

    async def _work(self, request, *rest):
        name, right = self.turn(self.answered)
        self.answered += 1
        if not right:
            request.read = [f"{text} as another model reads it" for text in request.read]
        headers, body = await super()._work(request, *rest)
        return headers | {"x-model-version": name}, body


TURNS = {
    "another model every other time": lambda at: ("ab"[at % 2], at % 2 == 0),
    "another model two times of three": lambda at: ("abc"[at % 3], at % 3 == 0),
    "one that was right once": lambda at: ("ab"[at // 4 % 2], at < 8 or at // 4 % 2 == 0),
}


def test_an_address_where_models_take_turns_gives_no_vector_of_one_that_has_not_proved_itself(caller, tmp_path):
    texts, faults = corpus(24), []
    for name, turn in TURNS.items():
        with scene(FaultServer(width=WIDTH), TurnsServer(turn)) as these, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            options = {"batch_size": 2, "concurrency": 1, "cache": tmp_path / name, "max_retries": 1}
            caller.embed(these.embedder(**options), corpus(2, "first"))
            these.servers[0].on(lambda _: True, "503")
            with no_waiting(), pytest.raises(SpaceMismatchError, match="1 - cosine is"):
                caller.embed(these.embedder(**options), texts)
            these.servers[0].reset()
            these.check(texts, caller.embed(these.embedder(**options), texts).vectors)
            if these.servers[1].answered < 2:
                faults.append(f"{name}: it was hardly asked")
    assert not faults


def test_an_address_where_servers_of_the_model_take_turns_serves(caller):
    """Each turn that is noticed costs proofs."""
    with scene(FaultServer(width=WIDTH), TurnsServer(lambda at: ("ab"[at // 4 % 2], True))) as these:
        embedder = these.embedder(batch_size=2, concurrency=1)
        caller.embed(embedder, corpus(2, "first"))
        these.servers[0].on(lambda _: True, "503")
        texts = corpus(24)
        with no_waiting():
            these.check(texts, caller.embed(embedder, texts).vectors)
        assert set(these.servers[1].stats.billed) >= set(texts)
        assert these.servers[1].stats.calls < 3 * len(texts)


@pytest.mark.parametrize("how", ["refused", "reset", "reset:at=mid", "close:at=headers", "502"])
def test_a_server_that_comes_back_as_another_model_after_one_broken_connection_gives_no_vector(caller, tmp_path, how):
    """Nor does it to the next process, which would believe what it had proved."""
    with scene(FaultServer(width=WIDTH), NearlyServer(str)) as these, no_waiting():
        first, second = these.servers
        options = {"cache": tmp_path, "batch_size": 2, "concurrency": 1}
        embedder = these.embedder(**options)

        def embed_past_the_first(name, embedder=embedder):
            """Vectors by the second, if that one can."""
            first.on(lambda _: True, "503", times=1)
            these.check(corpus(2, name), caller.embed(embedder, corpus(2, name)).vectors)

        caller.embed(embedder, corpus(2))
        embed_past_the_first("before")
        assert second.stats.billed.keys() >= set(corpus(2, "before"))
        if how == "refused":
            second.stop()
        else:
            second.on(lambda _: True, how, times=1)
        embed_past_the_first("while it breaks")
        second.stop()
        second.change = "another model reads ".__add__
        second.start()
        for one in (embedder, these.embedder(**options)):
            with pytest.warns(UserWarning, match="1 - cosine is"):
                embed_past_the_first(f"after {id(one)}", one)
        asked = set(second.stats.billed)
        assert not [text for text in asked if text.startswith("after")]
        second.change = str
        embed_past_the_first("again", these.embedder(**options))
        assert second.stats.billed.keys() >= set(corpus(2, "again"))


class BreakingServer(FaultServer):
    """Breaks the connection of one text's request while it works on a proof."""

    def __init__(self):
        super().__init__(width=WIDTH)
        self.proofs, self.asked_again = 0, asyncio.Event()

    async def _work(self, request, *rest):
        if "broken" in request.read:
            await self.asked_again.wait()
            raise ConnectionResetError
        self.proofs += SHORT[0] in request.read
        if self.proofs == 2:
            self.asked_again.set()
            await asyncio.sleep(0.3)
        return await super()._work(request, *rest)


def test_a_proof_during_which_a_connection_breaks_shows_nothing_of_who_answers_then(caller):
    with scene(BreakingServer(), FaultServer(width=WIDTH)) as these, no_waiting():
        first, _ = these.servers
        entries = these.entries()
        entries[0] |= {"weight": 1000}
        embedder = these.embedder(endpoints=entries, batch_size=1, concurrency=2)
        caller.embed(embedder, corpus(1))
        first.on(lambda request: "broken" not in request.items, "header:server=another")  # has it prove itself again
        texts = ["broken", "other"]
        these.check(texts, caller.embed(embedder, texts).vectors)
        these.check(["after"], caller.embed(embedder, ["after"]).vectors)
        assert first.proofs == 3


@pytest.mark.parametrize("cache", [False, "memory"])
def test_a_proof_holds_for_a_week_in_a_process_that_runs_on(caller, monkeypatch, cache):
    later = [0.0]
    monkeypatch.setattr(time, "time", lambda now=time.time: now() + later[0])
    with scene(FaultServer(width=WIDTH), NearlyServer(str)) as these, no_waiting():
        first, second = these.servers
        embedder = these.embedder(cache=cache, batch_size=2, concurrency=1)
        for text in ("before", "during"):
            first.script("503")
            caller.embed(embedder, [text])
        assert second.stats.billed.keys() >= {"during"}
        later[0], second.change = LIFETIME, "another model reads ".__add__
        first.script("503")
        with pytest.warns(UserWarning, match="1 - cosine is"):
            these.check(["after"], caller.embed(embedder, ["after"]).vectors)
        assert "after" not in second.stats.billed
