"""The pytest plugin: fixtures of clusters, a marker for what they should be, stories of failures.

    def test_scaling(tiphys_cluster): ...

    @pytest.mark.tiphys(nodes=3, time="frozen")
    def test_eviction(tiphys_cluster): ...

Everything of Tiphys is imported when a test first wants a cluster, so that other tests pay nothing.
"""

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tiphys.testing.cluster import Cluster

_clusters: pytest.StashKey[list["Cluster"]] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("tiphys", "clusters of tests")
    group.addoption(
        "--tiphys-nodes", type=int, default=1, help="simulated nodes of each cluster (1)"
    )
    group.addoption("--tiphys-seed", type=int, default=0, help="seed of names and order (0)")
    group.addoption(
        "--tiphys-time",
        choices=("flowing", "frozen"),
        default="flowing",
        help="whether a cluster's time passes by itself (flowing)",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "tiphys(**options): what tiphys_cluster is to be; the arguments of tiphys.testing.Cluster",
    )


@pytest.fixture
def tiphys_cluster(request: pytest.FixtureRequest) -> Iterator["Cluster"]:
    """A fresh cluster for this test alone."""
    marker = request.node.get_closest_marker("tiphys")
    given = dict(marker.kwargs) if marker is not None else {}
    yield from _running(request, given)


@pytest.fixture(scope="session")
def tiphys_session_cluster(request: pytest.FixtureRequest) -> Iterator["Cluster"]:
    """One cluster for the whole session: for tests that keep to namespaces of their own."""
    yield from _running(request, {})


def _running(request: pytest.FixtureRequest, given: dict[str, Any]) -> Iterator["Cluster"]:
    from tiphys.testing.cluster import Cluster

    config = request.config
    options = {
        "nodes": config.getoption("--tiphys-nodes"),
        "seed": config.getoption("--tiphys-seed"),
        "time": config.getoption("--tiphys-time"),
    }
    with Cluster(**(options | given)) as cluster:
        request.node.stash.setdefault(_clusters, []).append(cluster)
        yield cluster
        request.node.stash[_clusters].remove(cluster)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test's report tells what happened in its cluster."""
    report = yield
    if report.when == "call" and report.failed:
        for cluster in item.stash.get(_clusters, []) + item.session.stash.get(_clusters, []):
            report.sections.append(("tiphys cluster", cluster.story()))
    return report
