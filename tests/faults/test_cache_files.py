"""A cache whose file, disk or clock is at fault: right vectors, one warning, and what is kept is not paid for again."""

import contextlib
import dataclasses
import os
import random
import shutil
import time

import pytest

from cache.parts import check_integrity, database, one_warning, read_only, small_disk
from embedbridge.cache import DiskCache
from embedbridge.events import BatchFinished

from . import case
from .apis import OPENAI
from .client import about, corpus

pytestmark = [pytest.mark.one_flow, pytest.mark.parametrize("api", [OPENAI], ids=str)]

DAY = 86_400
YEARS = 3650 * DAY


@case(38)
def test_a_power_cut_in_the_log_keeps_a_beginning_of_what_was_paid(client, tmp_path):
    """Row 38: whole batches, without holes."""
    texts, rng, before = corpus(100), random.Random(38), client.open(batch_size=10)
    for start in range(0, 100, 10):
        client.embed(texts[start : start + 10], embedder=before)
    for kind in ("cut", "zero", "noise") * 2:
        client.folder = shutil.copytree(tmp_path / "cache", tmp_path / f"copy-{rng.random()}")
        log = database(client.folder).with_name("cache.db-wal")
        log.with_name("cache.db-shm").unlink()
        size = log.stat().st_size
        at = rng.randrange(size)
        with about((kind, at)):
            with log.open("r+b") as stream:
                stream.seek(at)
                stream.write(bytes(size - at) if kind == "zero" else rng.randbytes(size - at))
                stream.truncate(at if kind == "cut" else size)
            again = client.pays_for(texts, batch_size=10)
            assert client.server.stats.billed == client.once(texts[100 - again :])
            assert again % 10 == 0
            check_integrity(client.folder)


@case(39)
@pytest.mark.filterwarnings("ignore::embedbridge.CacheWarning")  # of a bit that hits the table and not a value
def test_twenty_turned_bits_give_no_wrong_vector_and_only_what_they_hit_is_paid_again(client, tmp_path):
    """Row 39."""
    texts = client.fill(200)
    for seed in range(3):
        client.folder = shutil.copytree(tmp_path / "cache", tmp_path / f"copy-{seed}")
        rng, data = random.Random(seed), bytearray(database(client.folder).read_bytes())
        for _ in range(20):
            data[rng.randrange(8192, len(data))] ^= 1 << rng.randrange(8)
        database(client.folder).write_bytes(data)
        with about(seed):
            assert 0 < client.pays_for(texts) <= 40


def zero_header(file):
    with file.open("r+b") as stream:
        stream.write(bytes(100))


def halve(file):
    os.truncate(file, file.stat().st_size // 2)


def write_text(file):
    file.write_text("this is no database\n" * 1000)


@case(40)
@pytest.mark.parametrize("harm", [zero_header, halve, write_text])
def test_a_file_that_is_no_cache_is_set_aside_with_one_warning_and_the_job_ends_well(client, harm):
    """Row 40."""
    texts = client.fill(100)
    harm(database(client.folder))
    with one_warning(r"damaged.*cache\.db\.corrupt-"):
        assert client.pays_for(texts) <= 100
    assert client.pays_for(texts) == 0
    assert list(database(client.folder).parent.glob("*.corrupt-*"))


@pytest.fixture
def _two_megabytes(client):
    """The cache's folder is a file system of its own that is soon full."""
    client.folder.mkdir()
    with small_disk(client.folder, 2):
        yield


@case(41)
@pytest.mark.usefixtures("_two_megabytes")
def test_a_disk_that_fills_half_way_costs_one_warning_and_no_vector(client, server):
    """Row 41: what found no room waits in memory, and is found there."""
    embedder, texts = client.open(batch_size=50), corpus(500)
    with one_warning("full|space"):
        client.embed(texts, embedder=embedder)
        client.embed(texts, embedder=embedder)
        assert server.stats.billed == client.once(texts)
        client.caller.call(embedder, "close")
    assert 0 < DiskCache(client.folder).stats().entries < 500


@case(41)
@pytest.mark.usefixtures("_two_megabytes")
def test_a_disk_that_is_full_from_the_start_costs_one_warning_and_no_vector(client, server):
    """Row 41."""
    with contextlib.suppress(OSError), (client.folder / "ballast").open("wb", buffering=0) as ballast:
        while True:
            ballast.write(bytes(4096))
    embedder = client.open()
    with one_warning():
        client.embed(corpus(50), embedder=embedder)
        client.embed(corpus(50), embedder=embedder)
        assert server.stats.billed == client.once(corpus(50))
        client.caller.call(embedder, "close")


@case(42)
def test_a_read_only_directory_serves_its_hits_and_one_warning_says_that_nothing_is_added(client, server):
    """Row 42."""
    texts = client.fill(20)
    with read_only(client.folder):
        assert client.pays_for(texts) == 0
        embedder = client.open()
        with one_warning("cannot be written"):
            for _ in range(2):
                client.embed(corpus(30), embedder=embedder)
                client.embed(corpus(40), embedder=embedder)
        assert server.stats.billed == client.once(corpus(40)[20:])


@case(48)
@pytest.mark.parametrize("limit", [None, 10**8])
def test_a_clock_that_goes_astray_expires_nothing_that_is_young(client, limit):
    """Row 48: a day back, ten years ahead for one call, and back."""
    now = [time.time()]

    def cache():
        return DiskCache(client.folder, ttl=7 * DAY, size_limit=limit, clock=lambda: now[0])

    texts = corpus(40)
    assert client.pays_for(texts[:20], cache=cache()) == 20
    now[0] -= DAY
    assert client.pays_for(texts[:30], cache=cache()) == 10
    now[0] += YEARS
    assert client.pays_for(texts[30:], cache=cache()) == 10
    now[0] -= YEARS - DAY
    assert client.pays_for(texts, cache=cache()) == 0


@case(50)
@pytest.mark.parametrize("umask", [0o000, 0o022])
def test_only_the_owner_can_enter_the_cache_whatever_the_umask(client, umask):
    """Row 50."""
    before = os.umask(umask)
    try:
        client.embed(corpus(3))
    finally:
        os.umask(before)
    places = [client.folder / "entries", *(client.folder / "entries").iterdir()]
    assert {oct(place.stat().st_mode & 0o777) for place in places} <= {"0o700", "0o600"}
    assert client.folder.stat().st_mode & 0o777 == 0o700


@case(50)
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives directories away")
def test_a_directory_of_another_user_is_not_used(client, server):
    """Row 50."""
    client.folder.mkdir()
    os.chown(client.folder, 12345, 12345)
    with one_warning("another user"):
        client.embed(corpus(3))
    assert server.stats.billed == client.once(corpus(3))
    assert not list(client.folder.rglob("cache.db*"))


@case(51)
def test_no_name_leads_out_of_the_directory(client, server, tmp_path):
    """Row 51: a model's name is a label, and never a part of a path."""
    before = {*tmp_path.iterdir()} | {client.folder}
    for name in ("../../x", "/etc/x", "a\\..\\b", "m" * 300, "模型-🙂", "a:b", "%2e%2e"):
        with about(name):
            embedder = dataclasses.replace(client.api, model=name).embedder(server, cache=client.folder)
            assert client.caller.embed(embedder, corpus(2)).report.misses == 2
            assert client.caller.embed(embedder, corpus(2)).report.hits == 2
    assert {*tmp_path.iterdir()} == before
    assert {place.name for place in client.folder.rglob("*")} <= {
        "entries",
        "cache.db",
        "cache.db-wal",
        "cache.db-shm",
    }


@case(52)
def test_a_directory_that_is_deleted_during_a_job_is_made_again(client, server):
    """Row 52: what was stored before is paid for again, and nothing else."""
    batches = []

    def delete(event):
        if isinstance(event, BatchFinished):
            batches.append(event)
            if len(batches) == 5:
                shutil.rmtree(client.folder)

    client.embed(corpus(100), batch_size=10, concurrency=1, observers=[delete])
    assert server.stats.billed == client.once(corpus(100))
    assert client.pays_for(corpus(100)) <= 50
    assert client.pays_for(corpus(100)) == 0
