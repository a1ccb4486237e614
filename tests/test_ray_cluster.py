"""Ray Data on two nodes, each with an object store of its own; a hosted API over sockets, and one Valkey for both."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from inspect import signature
from pathlib import Path

import numpy as np
import pytest

from embedbridge.testing.limits import Latency
from support.ray_actors import actors_below
from support.waiting import until

psutil = pytest.importorskip("psutil")
ray = pytest.importorskip("ray", reason="needs ray[data]")

from ray.cluster_utils import Cluster  # noqa: E402 - needs Ray

from embedbridge.ray_data import embed_dataset  # noqa: E402 - needs Ray

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="needs a loopback address for each node"),
    # Ray's own, of files and threads that it leaves to the end of the process, and of small data sets.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore:The minimum number of concurrent actors:UserWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
HEAD, SECOND = "127.0.0.2", "127.0.0.3"  # 127.0.0.1 Ray takes for the machine's outer address
NODE = {"object_store_memory": 100 * 2**20, "include_dashboard": False}
README = (Path(__file__).parents[1] / "README.md").read_text()
TEXTS = [f"text {number}" for number in range(400)]


@pytest.fixture
def processors():
    """Of each node."""
    return 1


@pytest.fixture
def cluster(processors, server, monkeypatch):
    """A head, to which this process is connected, and a second node; both have the API's key and its address."""
    node = NODE | {"num_cpus": processors}
    monkeypatch.setenv("OPENAI_API_KEY", "sk-on-the-nodes")
    monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
    cluster = Cluster(initialize_head=True, head_node_args=node | {"node_ip_address": HEAD})
    cluster.add_node(**node, node_ip_address=SECOND)
    ray.init(address=cluster.address, log_to_driver=False, _node_ip_address=HEAD)
    ray.data.DataContext.get_current().enable_progress_bars = False
    yield cluster
    ray.shutdown()
    cluster.shutdown()


@pytest.fixture
def options(valkey):
    return {
        "model": "openai:text-embedding-3-small",
        "dimensions": 64,
        "cache": valkey.url,
        "batch_size": 20,
        "provider_options": {"request_items": 20},
    }


def embedded(options):
    """Vectors by id. The rows are made on both nodes, so those of a node that dies are lost with it."""
    rows = ray.data.range(len(TEXTS), override_num_blocks=20).map(lambda row: row | {"text": f"text {row['id']}"})
    done = embed_dataset(rows, options=options, batch_size=20, num_cpus=0.1)  # with a share, Ray spreads the actors
    found = {row["id"]: row["embedding"] for row in done.take_all()}
    return np.array([found[number] for number in range(len(TEXTS))], dtype=np.float32)


def actors_on(node):
    """The processes of the embedders at work on a node."""
    [raylet] = node.all_processes["raylet"]
    return actors_below(psutil.Process(raylet.process.pid))


def kill_actor(cluster, node):  # noqa: ARG001 - called as kill_node is
    actors_on(node)[0].kill()


def kill_node(cluster, node):
    cluster.remove_node(node, allow_graceful=False)


@pytest.mark.parametrize("processors", [2])
@pytest.mark.parametrize("kill", [kill_actor, kill_node])
def test_what_dies_on_another_node_loses_nothing_and_a_rerun_asks_for_nothing(cluster, server, options, kill):
    server.latency = Latency(base=1)
    [second] = cluster.worker_nodes
    struck = []

    def strike():
        until(lambda: server.stats.served >= 2 and actors_on(cluster.head_node) and actors_on(second), 60)
        kill(cluster, second)
        struck.append(second)
        server.latency = Latency()

    killer = threading.Thread(target=strike)
    killer.start()
    vectors = embedded(options)
    killer.join()
    assert struck
    assert np.array_equal(vectors, server.vectors(TEXTS, dims=64))
    assert set(server.stats.billed) == set(TEXTS)
    assert len(server.stats.again()) <= 20  # the one request that the dead actor had under way
    calls = server.stats.calls
    assert np.array_equal(embedded(options), vectors)
    assert server.stats.calls == calls


@pytest.mark.skipif("mode" not in signature(ray.data.Dataset.write_parquet).parameters, reason="needs a newer Ray")
def test_the_readme_s_script_ends_on_nodes_of_one_processor_and_may_be_run_again(cluster, server, valkey, tmp_path):
    import pyarrow as pa
    import pyarrow.dataset
    import pyarrow.parquet

    [script] = [block for block in re.findall(r"```py\n(.*?)```", README, re.DOTALL) if "embed_dataset(" in block]
    places = {"corpus/": f"{tmp_path}/corpus", "vectors/": f"{tmp_path}/vectors", "redis://cache:6379/0": valkey.url}
    for place, here in places.items():
        assert f'"{place}"' in script
        script = script.replace(f'"{place}"', f'"{here}"')
    (tmp_path / "corpus").mkdir()
    pa.parquet.write_table(pa.table({"text": TEXTS}), tmp_path / "corpus" / "texts.parquet")
    (tmp_path / "script.py").write_text(script)
    environment = os.environ | {"RAY_ADDRESS": cluster.address}
    for _ in range(2):
        subprocess.run([sys.executable, tmp_path / "script.py"], env=environment, timeout=240, check=True)
    table = pa.dataset.dataset(tmp_path / "vectors").to_table()
    assert table.schema.field("embedding").type == pa.list_(pa.float32(), 1536)
    assert sorted(table["text"].to_pylist()) == sorted(TEXTS)
    assert dict(server.stats.billed) == dict.fromkeys(TEXTS, 1)
