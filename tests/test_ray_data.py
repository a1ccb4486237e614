"""Ray Data: a real local cluster with two actors, a hosted API over sockets, and one Valkey for all of them."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from embedbridge import ConfigurationError, Embedder, EmbeddingError
from embedbridge.cache import MemoryCache
from embedbridge.testing import FaultServer
from embedbridge.testing.limits import Latency
from support.ray_actors import actors_below

psutil = pytest.importorskip("psutil")
ray = pytest.importorskip("ray", reason="needs ray[data]")

from embedbridge.ray_data import _share, as_arrow, embed_dataset  # noqa: E402 - needs Ray

pytestmark = [
    pytest.mark.slow,
    # Ray's own, of files and threads that it leaves to the end of the process, and of small data sets.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore:The minimum number of concurrent actors:UserWarning"),
    pytest.mark.filterwarnings("ignore:Use 'expr' instead of 'fn':UserWarning"),  # which Ray 2.40 does not take
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
MODEL = "openai:text-embedding-3-small"
KEY = "sk-a-key-for-ray"
TEXTS = [f"text {number}" for number in range(400)]


@pytest.fixture(scope="module")
def cluster():
    """Yields the directory of Ray's logs; it keeps all that it can, its export of each job's plan too."""
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setenv("RAY_enable_export_api_write", "1")
    context = ray.init(
        address="local",  # not one that happens to run here
        num_cpus=2,
        include_dashboard=False,
        object_store_memory=100 * 2**20,
        log_to_driver=False,
        _node_ip_address="127.0.0.1",
    )
    ray.data.DataContext.get_current().enable_progress_bars = False
    yield Path(context.address_info["session_dir"])
    ray.shutdown()
    monkeypatch.undo()


@pytest.fixture
def options(server, valkey):
    return {
        "model": MODEL,
        "dimensions": 64,
        "base_url": f"{server.url}/v1",
        "api_key": KEY,
        "cache": valkey.url,
        "batch_size": 20,
        "provider_options": {"request_items": 20},
    }


def rows(blocks=8):
    listed = [{"id": number, "text": text} for number, text in enumerate(TEXTS)]
    return ray.data.from_items(listed, override_num_blocks=blocks)


def taken(dataset):
    """Vectors by id."""
    found = {row["id"]: row["embedding"] for row in dataset.take_all()}
    return np.array([found[number] for number in range(len(TEXTS))], dtype=np.float32)


@pytest.mark.usefixtures("cluster")
def test_each_row_has_the_vector_that_an_embedder_gives_it_and_a_rerun_asks_for_nothing(server, options):
    vectors = taken(embed_dataset(rows(), options=options, batch_size=50))
    assert np.array_equal(vectors, Embedder(**options | {"cache": False}).embed_documents(TEXTS))
    calls = server.stats.calls
    assert np.array_equal(taken(embed_dataset(rows(), options=options, batch_size=37)), vectors)
    assert server.stats.calls == calls


@pytest.mark.usefixtures("cluster")
def test_two_actors_share_the_work_and_pay_each_text_once(server, options):
    server.latency = Latency(base=0.6)  # the second may start a little later
    taken(embed_dataset(rows(), options=options, batch_size=50))
    assert server.stats.again() == {}
    assert server.stats.max_in_flight > 3  # what one actor's batch of 50 makes


@pytest.mark.usefixtures("cluster")
def test_a_pool_and_its_limits_are_divided_among_actors_that_pay_each_text_once(server, options):
    with FaultServer() as second:
        endpoints = [
            {"base_url": f"{each.url}/v1", "api_key": f"{KEY}-{at}", "requests_per_minute": 240}
            for at, each in enumerate((server, second))
        ]
        own = {name: value for name, value in options.items() if name not in {"base_url", "api_key"}}
        found = taken(embed_dataset(rows(), options=own | {"endpoints": endpoints}, batch_size=100))
        assert np.array_equal(found, server.vectors(TEXTS, dims=64))
        billed = server.stats.billed + second.stats.billed
        assert {text: billed[text] for text in TEXTS} == dict.fromkeys(TEXTS, 1)
        for at, each in enumerate((server, second)):
            times = [request.at for request in each.requests]
            assert len(times) <= 4 * (1 + max(times) - min(times)) + 2  # one second's worth at once, then 4 a second
            assert {request.headers["authorization"] for request in each.requests} == {f"Bearer {KEY}-{at}"}


@pytest.mark.usefixtures("cluster")
def test_keys_of_a_pool_may_be_in_the_environment_of_the_nodes_alone(server, options):
    own = {name: value for name, value in options.items() if name not in {"base_url", "api_key"}}
    here = {"base_url": f"{server.url}/v1", "key_env": "KEY_ON_THE_NODES"}
    embed_dataset(rows(), options=own | {"endpoints": [here, here | {"key_env": "SECOND_KEY_THERE"}]})
    with pytest.raises(ConfigurationError, match="its name is not shown"):
        embed_dataset(rows(), options=own | {"endpoints": [here | {"key_env": "skSECRET" * 4}, here]})


@pytest.mark.usefixtures("cluster")
def test_parquet_holds_lists_of_a_fixed_size_that_others_read(server, options, tmp_path):
    import pandas as pd
    import pyarrow as pa
    import pyarrow.dataset

    embed_dataset(rows(), options=options, output="vector").write_parquet(str(tmp_path))
    table = pa.dataset.dataset(tmp_path).to_table()
    assert table.schema.field("vector").type == pa.list_(pa.float32(), 64)
    assert table.column_names == ["id", "text", "vector"]
    frame = pd.read_parquet(tmp_path)
    vectors = np.stack(frame["vector"])
    assert vectors.dtype == np.float32
    assert np.array_equal(vectors, server.vectors(frame["text"], dims=64))
    assert sorted(frame["text"]) == sorted(TEXTS)


@pytest.mark.usefixtures("cluster")
def test_a_killed_actor_loses_nothing(server, options):
    server.latency = Latency(base=0.3)
    killed = []

    def kill():
        end = time.monotonic() + 60
        while time.monotonic() < end and not killed:
            if server.stats.calls >= 6 and (found := actors_below(psutil.Process())):
                found[0].kill()
                killed.append(found[0])
            time.sleep(0.05)

    killer = threading.Thread(target=kill)
    killer.start()
    vectors = taken(embed_dataset(rows(), options=options, batch_size=20))
    killer.join()
    assert killed
    assert np.array_equal(vectors, server.vectors(TEXTS, dims=64))
    assert len(server.stats.again()) <= 20  # the one request that the dead actor had under way
    assert set(server.stats.billed) == set(TEXTS)


@pytest.mark.usefixtures("cluster")
def test_actors_leave_room_for_the_stages_before_them(options):
    texts = ray.data.range(100).map(lambda row: {"text": f"number {row['id']}"})
    assert embed_dataset(texts, options=options).count() == 100


@pytest.mark.usefixtures("cluster")
def test_what_fails_later_is_named_with_its_place_and_shows_neither_text_nor_key(server, options, cluster):
    listed = ray.data.from_items([{"text": "a private text"}, {"text": None}])
    with pytest.raises(ray.exceptions.RayTaskError) as caught:
        embed_dataset(listed, options=options).take_all()
    assert "embedbridge.errors.InvalidInputError: text 1 is None" in str(caught.value)
    assert "within a batch of 2 rows; the texts are those of 'text'" in str(caught.value)
    server.on(lambda _: True, "401")
    with pytest.raises(ray.exceptions.RayTaskError, match="AuthenticationError") as refused:
        embed_dataset(rows(), options=options).take_all()
    for error in (caught, refused):
        assert KEY not in f"{error.value!r}{error.value}"
        assert "a private text" not in f"{error.value!r}{error.value}"
    assert KEY not in repr(embed_dataset(listed, options=options))
    logs = [path.read_bytes() for path in cluster.glob("logs/**/*") if path.is_file()]
    assert any(b"EmbedColumn" in log for log in logs)
    assert not any(KEY.encode() in log or b"a private text" in log for log in logs)


@pytest.mark.usefixtures("cluster")
def test_empty_blocks_among_full_ones_do_not_loosen_the_lists(options, tmp_path):
    import pyarrow as pa
    import pyarrow.dataset

    some = rows().filter(lambda row: row["id"] < 120)
    embed_dataset(some, options=options, batch_size=50).write_parquet(str(tmp_path))
    table = pa.dataset.dataset(tmp_path).to_table()
    assert table.schema.field("embedding").type == pa.list_(pa.float32(), 64)
    assert sorted(table["id"].to_pylist()) == list(range(120))


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({}, "column 'text' is not in the dataset; it has 'other'"),
        ({"column": "other", "output": "other"}, "output 'other' is a column of the dataset already"),
    ],
)
def test_a_column_that_turns_out_to_be_missing_or_taken_is_named_before_anything_is_paid(
    server, options, columns, told
):
    later = ray.data.range(10).map(lambda row: {"other": str(row["id"])})
    with pytest.raises(ray.exceptions.RayTaskError, match=told):
        embed_dataset(later, options=options, **columns).take_all()
    assert server.stats.calls == 0


@pytest.mark.usefixtures("cluster")
def test_the_key_may_be_on_the_nodes_alone():
    assert embed_dataset(rows(), options={"model": "voyage:voyage-4", "cache": False}) is not None
    with pytest.raises(ConfigurationError, match="unknown option 'modle'"):
        embed_dataset(rows(), options={"model": "voyage:voyage-4", "modle": "x"})


@pytest.mark.usefixtures("cluster")
def test_a_key_that_the_nodes_lack_is_asked_for_by_name():
    with pytest.raises(ray.exceptions.ActorDiedError, match="set the environment variable VOYAGE_API_KEY"):
        embed_dataset(rows(), options={"model": "voyage:voyage-4", "cache": False}).take_all()


@pytest.mark.usefixtures("cluster")
def test_what_was_paid_before_a_job_failed_is_not_paid_again(server, options):
    refused = {"text 399"}
    server.on(lambda request: not refused.isdisjoint(request.items), "400:message=not this one")
    with pytest.raises(ray.exceptions.RayTaskError, match=r"InvalidInputError: .*not this one"):
        embed_dataset(rows(), options=options, batch_size=50).take_all()
    assert server.stats.billed
    refused.clear()
    taken(embed_dataset(rows(), options=options, batch_size=50))
    assert set(server.stats.billed) == set(TEXTS)
    assert server.stats.again() == {}


@pytest.mark.usefixtures("cluster")
def test_no_rows_are_no_vectors(server, options):
    none = ray.data.range(10).filter(lambda row: row["id"] > 100).map(lambda row: {"text": str(row["id"])})
    assert embed_dataset(none, options=options).take_all() == []
    assert server.stats.calls == 0


class Unsendable(MemoryCache):
    """As a cache that holds a connection."""

    def __reduce__(self):
        raise TypeError("cannot pickle a connection")


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"column": "txt"}, "column 'txt' is not in the dataset; it has 'id', 'text'"),
        ({"output": "id"}, "output 'id' is a column of the dataset already"),
        ({"actors": 0}, "at least 1"),
        ({"actors": 1.5}, "actors must be a whole number of at least 1, not 1.5"),
        ({"batch_size": 0}, "at least 1"),
        ({"output": None}, "output must be the new column's name, not None"),
        ({"num_cpus": -1}, "num_cpus must be a number of at least 0, not -1"),
        ({"num_gpus": "all"}, "num_gpus must be a number of at least 0, not 'all'"),
        ({"actors": "2"}, "actors must be a whole number of at least 1, not '2'"),
        ({"options": "fake:8"}, "options must be a mapping, as in {'model': …}, not str"),
        ({"input_type": "queries"}, "input_type"),
        ({"options": {"model": "opnai:x"}}, "did you mean 'openai'"),
        ({"options": {"model": "fake:8", "rate_limiter": object()}}, "rate_limiter belongs to one process"),
        (
            {"options": {"model": "fake:8", "cache": Unsendable()}},
            "cache: this Unsendable cannot be sent",
        ),
        ({"options": {"model": "fake:8", "observers": [print]}}, "observers belongs to one process"),
    ],
)
def test_what_is_wrong_is_said_before_anything_runs(changes, told):
    arguments = {"options": {"model": "fake:8", "cache": False}} | changes
    with pytest.raises(EmbeddingError, match=told):
        embed_dataset(rows(), **arguments)


def test_anything_but_a_dataset_is_refused():
    with pytest.raises(ConfigurationError, match=r"must be a ray\.data\.Dataset, not list"):
        embed_dataset(["a text"])


def test_the_budget_is_divided():
    shared = _share({"model": "fake:8", "requests_per_minute": 60, "tokens_per_minute": 9, "max_cost": 3.0}, 3)
    assert shared == {"model": "fake:8", "requests_per_minute": 20, "tokens_per_minute": 3, "max_cost": 1.0}
    assert _share({"requests_per_minute": "60"}, 3) == {"requests_per_minute": 20}
    assert _share({"requests_per_minute": None}, 3) == {"requests_per_minute": None}


@pytest.mark.usefixtures("cluster")
def test_all_actors_together_keep_to_the_rate():
    with FaultServer() as server:
        limited = {"model": MODEL, "base_url": f"{server.url}/v1", "api_key": KEY, "cache": False, "max_retries": 0}
        limited |= {"requests_per_minute": 240, "provider_options": {"request_items": 10}}
        taken(embed_dataset(rows(), options=limited, batch_size=100))
        requests = sorted(request.at for request in server.requests)
    # Each actor may begin with a second's worth at once, and what its client's start held up leaves together.
    # From then on it is two a second each.
    assert len(requests) == 40
    assert requests[-1] - requests[20] > 4


def test_vectors_go_to_arrow_without_a_copy():
    vectors = np.arange(6, dtype=np.float32).reshape(2, 3)
    array = as_arrow(vectors, 3)
    assert array.to_pylist() == [[0, 1, 2], [3, 4, 5]]
    assert array.flatten().buffers()[1].address == vectors.ctypes.data
