"""One cluster of one node for all tests of a run; each test has a namespace of its own."""

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.clusters import Cluster, until

_numbers = itertools.count(1)

# Files whose clusters take a minute or more: run by `make e2e`, beside what is marked there itself.
SLOW = {
    "test_autoscaling",
    "test_clients",
    "test_cloud",
    "test_custom_resources",
    "test_dashboard",
    "test_faults",
    "test_half_gone",
    "test_images",
    "test_ingress",
    "test_isolation",
    "test_join",
    "test_learn",
    "test_logging",
    "test_monitoring",
    "test_net",
    "test_prometheus",
    "test_proxy_modes",
    "test_run",
    "test_words",
    "test_workloads",
}


_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _HERE not in item.path.parents:  # pytest shows everything that it collected.
            continue
        item.add_marker(pytest.mark.e2e)
        if item.path.stem in SLOW:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    assert os.geteuid() == 0, "clusters with nodes need root"
    found = Cluster(f"e2e{os.getpid() % 10000}")
    try:
        found.start()
        yield found
    finally:
        found.delete()


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    name = f"t{next(_numbers)}"
    cluster.kubectl("create", "namespace", name)
    until(lambda: "default" in cluster.kubectl("get", "sa", "-n", name), what="ServiceAccount")
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")
