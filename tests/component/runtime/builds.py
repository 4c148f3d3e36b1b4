"""A builder with a registry of its own, below a directory."""

import asyncio
import contextlib
import os
import shutil
import uuid
from pathlib import Path
from typing import Any

from tiphys.lib.clock import SystemClock
from tiphys.runtime.build import dockerfile, source_tree
from tiphys.runtime.build.builder import Build, Options, Parts
from tiphys.runtime.build.cache import StepCache
from tiphys.runtime.build.layer_store import LayerStore
from tiphys.runtime.build.run_step import Runner
from tiphys.runtime.build.source_tree import SourceTree
from tiphys.runtime.build.state import State
from tiphys.runtime.config import RuntimeConfig
from tiphys.runtime.images import bundled, manifest, stored_image
from tiphys.runtime.images.pull import machine
from tiphys.runtime.images.reference import parse
from tiphys.runtime.images.registry_storage import RegistryStorage
from tiphys.runtime.images.stored_image import StoredImage
from tiphys.runtime.oci.rootfs import Rootfs


class Bench:
    """Builds what a test writes into `context`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.context = directory / "context"
        self.context.mkdir(parents=True)
        self.storage = RegistryStorage(str(directory / "registry"))
        bundled.build(self.storage)
        self.said: list[str] = []
        self.output = b""
        name = f"t{uuid.uuid4().hex[:8]}"
        self.config = RuntimeConfig(
            profile=name,
            node_name="build",
            socket_path=str(directory / "run" / "r.sock"),
            root_dir=str(directory / "build"),
            state_dir=str(directory / "run" / "state"),
            cgroup_root=f"/{name}",
        )

    def file(self, name: str, text: str | bytes, mode: int = 0o644) -> None:
        path = self.context / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        path.chmod(mode)

    def build(self, text: str, name: str = "t/x:1", **options: Any) -> State:
        """Raises: BuildError, DockerfileError."""
        self.said, self.output = [], b""
        made = asyncio.run(self._build(text, Options(**options)))
        _, document = stored_image.write(self.storage, made.whole(), made.layers)
        self.storage.put_manifest(parse(name), document)
        return made

    async def _build(self, text: str, options: Options) -> State:
        self.runner = Runner(self.config)
        self.layers = LayerStore(self.storage, self.runner.images, options.epoch)
        parts = Parts(
            context=self._tree(),
            layers=self.layers,
            cache=StepCache(str(self.directory / "build" / "steps")),
            runner=self.runner,
            fetch=self._fetch,
            say=self.said.append,
            output=self._take,
            machine=machine(),
            clock=SystemClock(),
        )
        async with self.runner.opened():
            return await Build(dockerfile.parse(text), options, parts).run()

    def _tree(self) -> SourceTree:
        return source_tree.context(str(self.context))

    def _take(self, data: bytes) -> None:
        self.output += data

    async def _fetch(self, name: str) -> StoredImage:
        found = stored_image.find(self.storage, parse(name), machine())
        assert found is not None
        return found

    def look(self, made: State, path: str) -> tuple[int, int, int, bytes | str | list[str]]:
        """Mode, owner, group and content of a place in the image."""

        def work(root: Rootfs) -> tuple[int, int, int, bytes | str | list[str]]:
            full = os.path.join(root.path, path.lstrip("/"))
            status = os.lstat(full)
            content: bytes | str | list[str]
            if os.path.islink(full):
                content = os.readlink(full)
            elif os.path.isdir(full):
                content = sorted(os.listdir(full))
            else:
                content = Path(full).read_bytes()
            return status.st_mode & 0o7777, status.st_uid, status.st_gid, content

        return self.layers.looked_at(made.layers, work)

    def cached(self) -> int:
        return self.said.count(" ---> Using cache")

    def image_id(self, made: State) -> str:
        return manifest.digest_of(manifest.encode(made.whole()))

    def forget(self) -> None:
        """Nothing is known any more: no layer, no step."""
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self.directory / "build")
