"""Ray Data on two nodes, each with an object store of its own; a hosted API over sockets, and one Valkey for both."""

from __future__ import annotations

import sys
import threading

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
NODE = {"num_cpus": 2, "object_store_memory": 100 * 2**20, "include_dashboard": False}
TEXTS = [f"text {number}" for number in range(400)]


@pytest.fixture
def cluster():
    """A head, to which this process is connected, and a second node."""
    cluster = Cluster(initialize_head=True, head_node_args={**NODE, "node_ip_address": HEAD})
    cluster.add_node(**NODE, node_ip_address=SECOND)
    ray.init(address=cluster.address, log_to_driver=False, _node_ip_address=HEAD)
    ray.data.DataContext.get_current().enable_progress_bars = False
    yield cluster
    ray.shutdown()
    cluster.shutdown()


@pytest.fixture
def options(server, valkey):
    return {
        "model": "openai:text-embedding-3-small",
        "dimensions": 64,
        "base_url": f"{server.url}/v1",
        "api_key": "sk-a-key-for-ray",
        "cache": valkey.url,
        "batch_size": 20,
        "provider_options": {"request_items": 20},
    }


def embedded(options):
    """Vectors by id. The rows are made on both nodes, so those of a node that dies are lost with it."""
    rows = ray.data.range(len(TEXTS), override_num_blocks=20).map(lambda row: row | {"text": f"text {row['id']}"})
    found = {row["id"]: row["embedding"] for row in embed_dataset(rows, options=options, batch_size=20).take_all()}
    return np.array([found[number] for number in range(len(TEXTS))], dtype=np.float32)


def actors_on(node):
    """The processes of the embedders at work on a node."""
    [raylet] = node.all_processes["raylet"]
    return actors_below(psutil.Process(raylet.process.pid))


def kill_actor(cluster, node):  # noqa: ARG001 - called as kill_node is
    actors_on(node)[0].kill()


def kill_node(cluster, node):
    cluster.remove_node(node, allow_graceful=False)


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
