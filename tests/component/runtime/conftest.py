"""One runtime for each test module, with the bundled images in its registry."""

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

import pytest

from component.runtime.rig import Rig
from tiphys.runtime.images import bundled
from tiphys.runtime.images.registry_storage import RegistryStorage

Result = TypeVar("Result")


class LiveNode:
    """A rig and the loop that its connections belong to."""

    def __init__(self, runner: asyncio.Runner, rig: Rig) -> None:
        self._runner = runner
        self.rig = rig

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self._runner.run(work)


@pytest.fixture(scope="session")
def storage(tmp_path_factory: pytest.TempPathFactory) -> RegistryStorage:
    found = RegistryStorage(str(tmp_path_factory.mktemp("registry")))
    bundled.build(found)
    return found


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, storage: RegistryStorage) -> Iterator[LiveNode]:
    rig = Rig(tmp_path_factory.mktemp("node"), storage)
    with asyncio.Runner() as runner:
        try:
            runner.run(rig.start())
            runner.run(rig.pull())
            yield LiveNode(runner, rig)
        finally:
            runner.run(rig.close())
