"""A build with everything that a profile has: its registry, its node's network, its zygote.

One build at a time: all share the unpacked layers and the cache.
"""

import contextlib
import fcntl
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tiphys.cli.output import CommandError
from tiphys.cluster import node_network
from tiphys.cluster import profile as profiles
from tiphys.cluster.cgroup_parents import remove_empty_parents
from tiphys.cluster.profile import Profile, Roots
from tiphys.kubelet.security import MASKED_PATHS, READONLY_PATHS
from tiphys.lib.clock import SystemClock
from tiphys.lib.netlink import netns
from tiphys.lib.resolv_conf import machine_resolvers
from tiphys.runtime.build import dockerfile, source_tree
from tiphys.runtime.build.builder import Build, BuildError, Options, Parts
from tiphys.runtime.build.cache import StepCache
from tiphys.runtime.build.dockerfile import Dockerfile
from tiphys.runtime.build.layer_store import LayerStore
from tiphys.runtime.build.run_step import Runner
from tiphys.runtime.build.source_tree import SourceTree
from tiphys.runtime.config import RuntimeConfig
from tiphys.runtime.images import bundled, registry_pull, stored_image
from tiphys.runtime.images.distribution import Credentials, PullError
from tiphys.runtime.images.pull import machine
from tiphys.runtime.images.reference import Reference, parse
from tiphys.runtime.images.registry_storage import RegistryStorage
from tiphys.runtime.images.stored_image import StoredImage

CGROUP_ROOT: Final = "/tiphys/.build"  # No profile has a name with a dot.
DOCKERFILE_BYTES_MAX: Final = 4 << 20


@dataclass(frozen=True)
class Request:
    """What is to be built. `file` "" is the context's Dockerfile; context "-" has no files."""

    profile: str
    context: str
    file: str
    names: Sequence[Reference]
    options: Options
    pull: bool = False
    quiet: bool = False
    certs_dir: str = ""


async def build(
    storage: RegistryStorage,
    request: Request,
    login: Callable[[str], Credentials],
    say: Callable[[str], None],
    output: Callable[[bytes], None],
) -> str:
    """Returns the image's id. Raises: BuildError, DockerfileError, CommandError, OSError."""
    text, context = _inputs(request)
    parsed = dockerfile.parse(text)
    cache = Path(storage.directory).parent / "build"
    with _alone(cache, say), storage.writing():
        runner = Runner(
            _runtime_config(request.profile, cache),
            masked_paths=MASKED_PATHS,
            readonly_paths=READONLY_PATHS,
            dns={"servers": machine_resolvers()},
        )
        parts = Parts(
            context=context,
            layers=LayerStore(storage, runner.images, request.options.epoch),
            cache=StepCache(str(cache / "steps")),
            runner=runner,
            fetch=_Fetch(storage, request, login, say).image,
            say=say,
            output=output,
            machine=machine(),
            clock=SystemClock(),
        )
        return await _run(parsed, request, parts, storage)


async def _run(parsed: Dockerfile, request: Request, parts: Parts, storage: RegistryStorage) -> str:
    try:
        async with parts.runner.opened():
            made = await Build(parsed, request.options, parts).run()
    finally:
        remove_empty_parents(CGROUP_ROOT)
    identity, document = stored_image.write(storage, made.whole(), made.layers)
    for reference in request.names:
        storage.put_manifest(reference, document)
    parts.cache.trim()
    kept = {layer.diff_id for layer in made.layers}
    for digest in {digest for _, digest in storage.list()}:
        with contextlib.suppress(OSError, ValueError, KeyError):
            image = stored_image.read(storage, digest, parts.machine)
            kept |= {layer.diff_id for layer in image.layers}
    parts.layers.sweep(kept)
    return identity


def _inputs(request: Request) -> tuple[str, SourceTree]:
    """The Dockerfile's text and the context. Raises: CommandError."""
    if request.context == "-":
        return sys.stdin.read(DOCKERFILE_BYTES_MAX), SourceTree(os.devnull)
    if "://" in request.context or request.context.startswith("git@"):
        raise CommandError(
            "only a directory can be a context", fix="fetch it first", reason="IMAGE_BUILD"
        )
    if not os.path.isdir(request.context):
        raise CommandError(
            f"unable to prepare context: path {request.context!r} not found",
            fix="the last argument is the directory of the Dockerfile, often .",
            reason="IMAGE_BUILD",
        )
    path = request.file or os.path.join(request.context, "Dockerfile")
    try:
        if path == "-":
            text = sys.stdin.read(DOCKERFILE_BYTES_MAX)
        else:
            with open(path) as file:
                text = file.read(DOCKERFILE_BYTES_MAX)
        return text, source_tree.context(request.context, path)
    except (OSError, UnicodeDecodeError, ValueError) as exc:
        raise CommandError(
            f"failed to read the Dockerfile: {exc}", fix="use -f FILE", reason="IMAGE_BUILD"
        ) from exc


@contextlib.contextmanager
def _alone(cache: Path, say: Callable[[str], None]) -> Iterator[None]:
    cache.mkdir(parents=True, exist_ok=True, mode=0o711)
    with (cache / ".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Waiting for another build to end")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _runtime_config(name: str, cache: Path) -> RuntimeConfig:
    profile = profiles.load(Roots.from_environment(os.environ), name)
    namespaces, zygote = _of_node(profile) if profile else ([], "")
    state = Roots.from_environment(os.environ).run / ".build"
    return RuntimeConfig(
        profile=name,
        node_name="build",
        socket_path=str(state / "runtime.sock"),
        root_dir=str(cache),
        state_dir=str(state),
        cgroup_root=CGROUP_ROOT,
        zygote_socket=zygote,
        namespaces=namespaces,
    )


def _of_node(profile: Profile) -> tuple[list[tuple[str, int]], str]:
    """The namespaces of the first node that runs, and the profile's zygote.

    Its own zygote a build starts on the machine; with a node it takes the one that is ready.
    """
    for node in profile.running_nodes:
        if netns.is_alive(node_network.network_namespace(profile, node)):
            paths = node_network.namespaces(profile, node)
            return [(str(path), kind) for path, kind in paths], str(profile.zygote_socket)
    return [], ""


class _Fetch:
    """Base images: those of the registry first, bundled ones made, others pulled."""

    def __init__(
        self,
        storage: RegistryStorage,
        request: Request,
        login: Callable[[str], Credentials],
        say: Callable[[str], None],
    ) -> None:
        self._storage = storage
        self._request = request
        self._login = login
        self._say = say

    async def image(self, name: str) -> StoredImage:
        """Raises: BuildError."""
        try:
            reference = parse(name)
            await self._make_present(reference)
            found = stored_image.find(self._storage, reference, machine())
        except (ValueError, KeyError, OSError, PullError) as exc:
            fix = "check its name, or bring it here: tiphys image load FILE"
            raise BuildError(f"base image {name}: {exc}", fix=fix) from exc
        assert found is not None
        return found

    async def _make_present(self, reference: Reference) -> None:
        is_bundled = any(str(reference) in recipe.names for recipe in bundled.RECIPES)
        present = self._storage.resolve(reference) is not None
        if is_bundled and not present:
            bundled.build(self._storage)
        elif not present or (self._request.pull and not is_bundled):
            login = self._login(reference.host)
            certs = self._request.certs_dir
            pull = registry_pull.pull
            await pull(self._storage, reference, login, machine(), self._say, certs)
