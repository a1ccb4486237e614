"""What a cache and a ledger know: where either cannot be read nothing is sent, and one ledger is one, whoever asks."""

import contextlib
import sqlite3
import threading
import time
from functools import partial

import numpy as np
import pytest

from embedbridge import ConfigurationError, DeadlineExceededError, Embedder, PendingError, batch
from embedbridge._batch import redis_ledger
from embedbridge._batch.desk import ledger_of
from embedbridge._batch.ledger import Busy
from embedbridge._core import flow
from embedbridge.cache import DiskCache, MemoryCache, RedisCache, TieredCache
from embedbridge.errors import CacheWarning, EmbeddingError
from embedbridge.providers._openai_batches import OpenAIBatches

TEXTS = [f"text {number} of a corpus" for number in range(30)]


def entries_of(folder):
    (file,) = (folder / "entries").glob("*.db")
    return file


# The cache.


@pytest.mark.filterwarnings("ignore::embedbridge.errors.CacheWarning")
def test_a_cache_that_cannot_be_read_counts_as_no_empty_one(caller, server, embedder, tmp_path):
    def spoil(folder):
        entries_of(folder).write_bytes(b"no database at all" * 500)

    def block(folder):
        file = entries_of(folder)
        file.rename(folder / "elsewhere")
        file.mkdir()

    faults = []
    for number, (how, tiers) in enumerate(
        (how, tiers) for how in (spoil, block) for tiers in ([], ["memory"], [tmp_path / "far"])
    ):
        folder, texts = tmp_path / str(number), [f"{text} {number}" for text in TEXTS]
        first = embedder(cache=folder)
        first.embed(texts)
        first.close()
        server.reset()
        how(folder)
        ours = embedder(cache=[folder, *tiers] if tiers else folder)
        try:
            caller.call(batch, "submit", ours, texts)
            faults.append((number, "handed over"))
        except EmbeddingError as error:
            if "nothing was handed over" not in str(error) or len(server.requests.counts):
                faults.append((number, str(error), server.requests.counts))
    assert faults == []


@pytest.mark.filterwarnings("ignore::embedbridge.errors.CacheWarning")
def test_a_redis_that_is_away_counts_as_no_empty_cache(server, embedder, start_valkey):
    valkey = start_valkey()
    ours = embedder(cache=RedisCache(valkey.url))
    ours.embed(TEXTS)
    valkey.kill()
    server.reset()
    for _ in range(2):  # the second time during the pause after a fault
        with pytest.raises(EmbeddingError, match=r"cannot be used|cannot be read"):
            batch.submit(ours, TEXTS)
    assert server.requests.counts == {}


# The ledger.


def test_a_damaged_ledger_is_named_and_left_as_it_is(caller, server, embedder, tmp_path):
    batch.submit(embedder(), TEXTS)
    ledger = tmp_path / "batches.db"
    whole = ledger.read_bytes()
    broken = b"no ledger" + whole[9:]
    ledger.write_bytes(broken)
    before = len(server.batches.made)
    for name, given in (("submit", [TEXTS]), ("collect", []), ("status", []), ("cancel", []), ("list", [])):
        with pytest.raises(EmbeddingError, match=r"batches.db, cannot be used .* it is damaged, and left as it is"):
            caller.call(batch, name, embedder(), *given)
    assert (len(server.batches.made), ledger.read_bytes()) == (before, broken)
    with pytest.warns(CacheWarning, match="may be paid for again"):
        caller.embed(embedder(batch="skip"), TEXTS[:1])
    ledger.write_bytes(whole)
    assert caller.call(batch, "collect", embedder())[0].stored == 30


def test_a_ledger_of_a_later_version_is_not_touched(embedder, tmp_path):
    batch.submit(embedder(), TEXTS)
    with contextlib.closing(sqlite3.connect(tmp_path / "batches.db")) as ledger:
        ledger.execute("PRAGMA user_version = 99")
    with pytest.raises(EmbeddingError, match="a later version of embedbridge"):
        batch.submit(embedder(), TEXTS)


def test_a_redis_has_one_ledger_however_it_is_named(caller, server, embedder, valkey):
    server.batches.seconds = 3600
    at = valkey.url.partition("//")[2].partition("/")[0]
    port = at.partition(":")[2]
    names = [f"redis://{at}/0", f"redis://localhost:{port}", f"valkey://{at}/", f"redis://{at}?db=0"]
    caller.call(batch, "submit", embedder(cache=names[0]), TEXTS)
    for name in names[1:]:
        done = caller.call(batch, "submit", embedder(cache=name), TEXTS)
        assert (name, done.texts, done.pending) == (name, 0, 30)
    assert len(server.batches.made) == 1
    server.batches.advance(3600)
    (came,) = caller.call(batch, "collect", embedder(cache=names[2]))  # by another machine, as it were
    assert came.stored == 30
    result = caller.embed(embedder(cache=names[3]), TEXTS)
    assert result.report.requests == 0
    with contextlib.closing(valkey.client()) as client:
        left = [key for key in client.scan_iter() if key.startswith(b"embedbridge:batch:")]
        assert len(left) == 2  # the batch, and that there is one: no text of it is locked
        assert not [key for key in left if b"sk-" in key]


def test_in_redis_what_came_to_nothing_is_handed_over_again(server, embedder, valkey):
    for fault in ("expire:share=0.5", "invalid", "never"):
        server.batches.script(fault)
        texts = [f"{text} {fault}" for text in TEXTS]
        ours = embedder(cache=valkey.url, batch_size=10)
        batch.submit(ours, texts)
        batch.cancel(ours)
        (came,) = batch.collect(ours)
        assert came.ended
        assert batch.submit(ours, texts).texts == 30 - came.stored
        assert batch.collect(ours)[0].stored == 30 - came.stored
    assert [each.ended for each in batch.list(embedder(cache=valkey.url))] == [True] * 6
    assert server.stats.again() == {}


def test_who_slept_while_another_took_over_makes_no_batch(server, embedder, valkey, monkeypatch):
    """Its right to hand over has an end in Redis, and whoever comes after drops what it has only written down."""
    monkeypatch.setattr(redis_ledger, "LEASE", 0.3)
    slow, quick = embedder(cache=valkey.url), embedder(cache=valkey.url)
    asleep, goes_on = threading.Event(), threading.Event()

    upload = OpenAIBatches.upload

    def sleepy(api, *args, **options):
        if not asleep.is_set():
            asleep.set()
            goes_on.wait(20)
        return upload(api, *args, **options)

    monkeypatch.setattr(OpenAIBatches, "upload", sleepy)
    caught = []

    def submit():
        try:
            batch.submit(slow, TEXTS)
        except EmbeddingError as error:
            caught.append(error)

    first = threading.Thread(target=submit)
    first.start()
    assert asleep.wait(20)
    done = batch.submit(quick, TEXTS)
    goes_on.set()
    first.join()
    assert (done.texts, [str(each) for each in caught]) == (30, [redis_ledger.TAKEN_OVER])
    assert len(server.batches.made) == 1
    assert batch.collect(quick)[0].stored == 30


def test_a_redis_that_may_forget_what_is_on_its_way_is_warned_of(embedder, start_valkey):
    careless = start_valkey(maxmemory="100mb", **{"maxmemory-policy": "allkeys-lru"})
    with pytest.warns(CacheWarning, match="what is on its way may be forgotten"):
        batch.submit(embedder(cache=careless.url), TEXTS)
    with contextlib.closing(careless.client()) as client:
        client.hset("embedbridge:batch:1:texts", mapping=dict.fromkeys(client.hkeys("embedbridge:batch:1:texts"), "x"))
    with pytest.raises(EmbeddingError, match="cannot be used"), pytest.warns(CacheWarning):
        batch.submit(embedder(cache=careless.url), TEXTS)


def test_one_machine_at_a_time_hands_over(valkey):
    first, second = (ledger_of(RedisCache(valkey.url)) for _ in range(2))
    with first.submitting(1.0), pytest.raises(Busy), second.submitting(0.0):
        pass
    with second.submitting(0.0):
        pass


def test_what_any_tier_has_on_its_way_is_on_its_way(caller, server, embedder, tmp_path, valkey):
    server.batches.seconds = 3600
    near, far = tmp_path / "near", valkey.url
    caller.call(batch, "submit", embedder(cache=near), TEXTS[:10])
    caller.call(batch, "submit", embedder(cache=far), TEXTS[10:20])
    for tiers in ([near, far], ["memory", near, far], [far, near], TieredCache([DiskCache(near), RedisCache(far)])):
        done = caller.call(batch, "submit", embedder(cache=tiers), TEXTS[:20])
        assert (done.texts, done.pending) == (0, 20)
    assert caller.call(batch, "submit", embedder(cache=[near, far, "memory"]), TEXTS).texts == 10
    assert caller.call(batch, "submit", embedder(cache=far), TEXTS[20:]).pending == 10
    server.batches.advance(3600)
    assert {each.stored for each in caller.call(batch, "collect", embedder(cache=[near, far]))} == {10}
    for cache in ([near, far], ["memory", far]):
        assert caller.embed(embedder(cache=cache), TEXTS).report.requests == 0
    with pytest.raises(ConfigurationError, match="gone with the process"):
        batch.submit(embedder(cache=TieredCache([MemoryCache()])), TEXTS)


# Clocks and deadlines.


def test_a_clock_that_is_set_back_holds_nobody_up(server, embedder, monkeypatch):
    with monkeypatch.context() as clock:
        clock.setattr(time, "time", lambda: 4e9)
        server.on(lambda request: request.path == "/v1/batches", "500")
        with pytest.raises(EmbeddingError):
            batch.submit(embedder(max_retries=0), TEXTS)
    server.reset()
    begun = time.monotonic()
    done = batch.submit(embedder(), [*TEXTS, "one more"])
    assert (done.texts, done.pending, len(server.batches.made)) == (1, 30, 1)  # of those nobody is sure
    assert time.monotonic() - begun < 60
    with monkeypatch.context() as clock:
        clock.setattr(time, "time", lambda: 1e9)
        batch.submit(embedder(), ["a third"])
    assert [(each.texts, each.state == "not sure") for each in batch.list(embedder())] == [
        (30, True),
        (1, False),
        (1, False),
    ]


def test_handing_over_keeps_to_the_deadline(caller, server, embedder, tmp_path):
    with ledger_of(DiskCache(tmp_path)).submitting(1.0), pytest.raises(EmbeddingError, match="another process"):
        caller.call(batch, "submit", embedder(deadline=0.5), TEXTS)
    server.on(lambda request: request.path == "/v1/files", "stall")
    with pytest.raises(DeadlineExceededError):
        caller.call(batch, "submit", embedder(deadline=1.0), TEXTS)
    server.reset()
    assert caller.call(batch, "submit", embedder(), TEXTS).texts == 30


def test_unlisted_models_have_the_dimensions_of_most_vectors(server, tmp_path):
    def ours(**options):
        given = {"base_url": f"{server.url}/v1", "api_key": "k", "cache": tmp_path, "document_prefix": ""}
        return Embedder("openai:my-model", **given | options)

    server.batches.script("narrow:line=0;n=8")
    batch.submit(ours(batch_size=10), TEXTS)
    (came,) = batch.collect(ours())
    assert (came.ended, came.stored) == (True, 20)
    result = ours().embed(TEXTS)
    assert (result.report.hits, result.vectors.shape[0]) == (20, 30)
    server.batches.script("narrow:line=0;n=8")
    batch.submit(ours(batch_size=5, cache=tmp_path / "other"), TEXTS[:10])
    with pytest.raises(EmbeddingError, match="none of them of most"):
        batch.collect(ours(cache=tmp_path / "other"))
    assert not batch.list(ours(cache=tmp_path / "other"))[0].ended


# Wider vectors, from which a narrower embedder's are cut.


def test_a_wider_vector_on_its_way_is_on_its_way_to_whoever_wants_it_narrower(caller, server, embedder):
    server.batches.seconds = 3600
    wide, narrow = embedder(dimensions=None), partial(embedder, dimensions=8)
    caller.call(batch, "submit", wide, TEXTS[:20])
    with pytest.raises(PendingError):
        caller.embed(narrow(batch="skip"), TEXTS[:1])
    assert caller.call(narrow(), "estimate", TEXTS).pending == 20
    done = caller.call(batch, "submit", narrow(), TEXTS)
    assert (done.texts, done.pending) == (10, 20)
    server.batches.advance(3600)
    assert [each.stored for each in caller.call(batch, "collect", narrow())] == [20, 10]
    result = caller.embed(narrow(), TEXTS)
    assert result.report.requests == 0
    np.testing.assert_allclose(result.vectors, server.vectors(TEXTS, dims=8), rtol=1e-5)
    assert caller.embed(wide, TEXTS[:20]).report.requests == 0


def test_a_call_waits_for_a_wider_vector(caller, server, embedder, monkeypatch):
    monkeypatch.setattr(flow, "FIRST_LOOK", 0.05)
    server.batches.seconds = 0.2
    caller.call(batch, "submit", embedder(dimensions=None), TEXTS)
    report = caller.embed(embedder(dimensions=8, batch="wait"), TEXTS).report
    assert (report.from_batch, report.requests) == (30, 0)


# Secrets.


def test_a_parameter_of_the_address_is_not_written_down(caller, embedder, tmp_path):
    query = {"query": {"subscription": "hush-hush-0815"}}
    (made,) = caller.call(batch, "submit", embedder(provider_options=query), TEXTS).batches
    assert not [file for file in tmp_path.rglob("*.db") if b"hush-hush" in file.read_bytes()]
    with pytest.raises(ConfigurationError, match="base_url or options, such as headers or query; give those"):
        caller.call(batch, "collect", embedder(), made)
    assert caller.call(batch, "collect", embedder(provider_options=query))[0].stored == 30
