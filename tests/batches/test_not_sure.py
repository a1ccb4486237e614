"""A vendor whose list of batches is behind, and whose answers are errors or are not heard: nothing is made twice."""

import time

import pytest

from embedbridge import AuthenticationError, EmbeddingError, batch
from embedbridge._batch import making
from embedbridge.errors import CacheWarning
from embedbridge.providers import _openai_batches

pytestmark = pytest.mark.one_flow
TEXTS = [f"text {number}" for number in range(20)]


@pytest.fixture
def step(server, monkeypatch):
    """Moves the clocks of the vendor and of this machine on."""
    real, moved = time.time, [0.0]
    monkeypatch.setattr(time, "time", lambda: real() + moved[0])

    def on(seconds):
        moved[0] += seconds
        server.batches.advance(seconds)

    return on


def makes(request):
    return request.method == "POST" and request.path.endswith("/batches")


@pytest.fixture(params=["500", "504", "408", "cut"])
def unheard(request, server):
    """The next batch is made, and its maker does not hear of it."""

    def spoil():
        if request.param == "cut":
            server.on(makes, "truncate", times=1)
        else:
            server.batches.script(f"unheard:status={request.param}")

    return spoil


@pytest.mark.usefixtures("_short_pauses")
def test_what_a_list_shows_a_minute_later_is_made_once(caller, server, embedder, step, unheard):
    server.batches.lag, server.batches.seconds = 60.0, 3600.0
    unheard()
    with pytest.raises(EmbeddingError, match="whether the batch was made is not sure"):
        caller.call(batch, "submit", embedder(), TEXTS)
    for _ in range(3):
        done = caller.call(batch, "submit", embedder(), [*TEXTS, "one more"])
        assert done.texts + done.pending == 21
        assert done.pending >= 20
        step(10)
    assert [each.state for each in caller.call(batch, "status", embedder())] == ["not sure", "in_progress"]
    step(60)
    assert [each.state for each in caller.call(batch, "status", embedder())] == ["in_progress"] * 2
    step(3600)
    assert [each.stored for each in caller.call(batch, "collect", embedder())] == [20, 1]
    assert len(server.batches.made) == 2
    assert server.stats.again() == {}


@pytest.mark.usefixtures("_short_pauses")
def test_what_was_not_made_is_handed_over_when_that_is_sure(caller, server, embedder, step):
    server.on(makes, "500", times=1)
    with pytest.raises(EmbeddingError, match="15 minutes after it was asked for"):
        caller.call(batch, "submit", embedder(), TEXTS)
    step(making.DOUBT - 60)
    assert caller.call(batch, "submit", embedder(), TEXTS).pending == 20
    step(-3600)  # the clock is set back: the waiting begins anew
    assert caller.call(batch, "submit", embedder(), TEXTS).pending == 20
    step(making.DOUBT - 60)
    assert caller.call(batch, "submit", embedder(), TEXTS).pending == 20
    step(61)
    assert caller.call(batch, "submit", embedder(), TEXTS).texts == 20
    assert caller.call(batch, "list", embedder())[0].state == "not made"
    assert len(server.batches.made) == 1


@pytest.mark.usefixtures("_short_pauses")
def test_the_user_may_say_that_it_was_not_made_and_if_it_was_it_is_cancelled(caller, server, embedder, step):
    server.batches.lag, server.batches.seconds = 60.0, 3600.0
    server.batches.script("unheard:status=500")
    with pytest.raises(EmbeddingError, match="as soon as you forget batch"):
        caller.call(batch, "submit", embedder(), TEXTS)
    (unsure,) = caller.call(batch, "list", embedder())
    down = [True]
    server.on(lambda _: down[0], "500")  # nobody is asked
    (forgotten,) = caller.call(batch, "forget", embedder(), unsure.id)
    assert (forgotten.id, forgotten.state, forgotten.ended) == (unsure.id, "not made", True)
    down[0] = False
    assert caller.call(batch, "submit", embedder(), TEXTS).texts == 20
    step(60)
    with pytest.warns(CacheWarning, match="its texts were free to be handed over again; it is cancelled"):
        caller.call(batch, "collect", embedder())
    first, second = server.batches.made
    assert (first.cancelled, second.cancelled) == (True, False)
    assert [each.state for each in caller.call(batch, "list", embedder())] == ["cancelled", "in_progress"]
    step(3600)
    caller.call(batch, "collect", embedder())
    assert server.stats.again() == {}


@pytest.mark.usefixtures("_short_pauses")
def test_of_two_batches_with_one_name_the_later_is_cancelled(caller, server, embedder):
    """As a gateway makes two of one request that it has sent again."""
    server.batches.seconds = 3600.0
    server.batches.script("unheard:status=502", "unheard:status=502")
    real = server.batches.make

    def twice(*arguments, **options):
        with pytest.raises(Exception, match="the batch is made"):
            real(*arguments, **options)
        return real(*arguments, **options)

    server.batches.make = twice
    with pytest.warns(CacheWarning, match="has the same texts; it is cancelled"):
        (made,) = caller.call(batch, "submit", embedder(), TEXTS).batches
    first, second = server.batches.made
    assert (made.id, first.cancelled, second.cancelled) == (first.id, False, True)


def test_a_key_that_may_not_make_batches_leaves_nothing_unsure(caller, server, embedder):
    server.on(lambda request: request.path == "/v1/batches", "403")
    with pytest.raises(AuthenticationError):
        caller.call(batch, "submit", embedder(), TEXTS)
    server.reset()
    assert caller.call(batch, "submit", embedder(), TEXTS).texts == 20


@pytest.mark.usefixtures("_short_pauses")
def test_a_vendor_without_a_list_keeps_no_other_batch_waiting(caller, server, embedder):
    batch.submit(embedder(), ["a text"])
    server.on(makes, "500", times=1)
    server.on(lambda request: request.method == "GET" and request.path == "/v1/batches", "404")
    with pytest.raises(EmbeddingError):
        caller.call(batch, "submit", embedder(), TEXTS)
    with pytest.raises(EmbeddingError):  # that it is not sure of the second
        caller.call(batch, "collect", embedder())
    first, unsure = caller.call(batch, "list", embedder())
    assert (first.stored, unsure.state) == (1, "not sure")
    caller.call(batch, "forget", embedder(), unsure)
    assert caller.call(batch, "submit", embedder(), TEXTS).texts == 20


@pytest.mark.usefixtures("twice")
@pytest.mark.parametrize("step", ["status", "collect", "cancel"])
def test_the_second_batch_of_a_gateway_is_found_and_cancelled(caller, server, embedder, step, monkeypatch):
    monkeypatch.setattr(_openai_batches, "PAGE", 1)  # a page may end between the two
    server.batches.seconds = 3600.0
    caller.call(batch, "submit", embedder(), ["a text before"])
    (made,) = caller.call(batch, "submit", embedder(), TEXTS).batches
    *_, surplus, ours = server.batches.made
    assert (ours.id, surplus.cancelled) == (made.id, False)
    with pytest.warns(CacheWarning, match="was made besides: .* it is cancelled") as told:
        caller.call(batch, step, embedder())
    assert f"batch {surplus.id} was made besides: batch {ours.id}" in str(told[1].message)
    assert [each.cancelled for each in server.batches.made] == [True, step == "cancel"] * 2
    caller.call(batch, step, embedder())  # which is told once
    server.batches.advance(3600)
    caller.call(batch, "collect", embedder())
    assert (caller.embed(embedder(), TEXTS).report.requests, server.stats.again()) == (step == "cancel", {})


@pytest.mark.usefixtures("twice")
def test_a_second_batch_that_has_answers_is_told_and_a_list_of_other_names_ends_nothing(server, embedder, tmp_path):
    batch.submit(embedder(), TEXTS)
    with pytest.warns(CacheWarning, match="batch_0002 was made besides: .* has ended, and is billed besides"):
        assert batch.collect(embedder())[0].stored == 20
    server.batches.seconds = 3600.0
    batch.submit(embedder(cache=tmp_path / "b"), TEXTS)
    server.batches.made[-1].metadata.clear()  # the gateway has names of its own
    with pytest.warns(CacheWarning, match="see whether both are paid for"):
        batch.status(embedder(cache=tmp_path / "b"))
    assert not any(each.cancelled for each in server.batches.made)
    server.on(lambda request: request.method == "GET" and request.path == "/v1/batches", "404")
    with pytest.warns(CacheWarning, match="whether the vendor has a batch twice, and bills it twice, is not known"):
        assert not batch.status(embedder(cache=tmp_path / "b"))[0].ended
