"""One cluster for each test module."""

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

import pytest

from component.kubelet.cluster import SmallCluster
from component.runtime.rig import Rig
from tiphys.runtime.images import bundled
from tiphys.runtime.images.registry_storage import RegistryStorage

Result = TypeVar("Result")


class Live:
    """A cluster and the loop that it runs in."""

    def __init__(self, runner: asyncio.Runner, cluster: SmallCluster) -> None:
        self._runner = runner
        self.cluster = cluster

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self._runner.run(work)


@pytest.fixture(scope="session")
def storage(tmp_path_factory: pytest.TempPathFactory) -> RegistryStorage:
    found = RegistryStorage(str(tmp_path_factory.mktemp("registry")))
    bundled.build(found)
    return found


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, storage: RegistryStorage) -> Iterator[Live]:
    rig = Rig(tmp_path_factory.mktemp("node"), storage)
    with asyncio.Runner() as runner:
        cluster = SmallCluster(
            tmp_path_factory.mktemp("kubelet"), rig.fields["socket_path"], rig.fields["cgroup_root"]
        )
        try:
            runner.run(rig.start())
            runner.run(cluster.start())
            yield Live(runner, cluster)
        finally:
            runner.run(cluster.close())
            runner.run(rig.close())
