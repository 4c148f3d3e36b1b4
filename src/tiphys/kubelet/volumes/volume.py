"""What every kind of volume gets and gives.

Upstream: pkg/volume/plugins.go, pkg/kubelet/volumemanager.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from tiphys.api.meta import Obj, at, uid_of
from tiphys.kubelet.pod_spec import all_containers
from tiphys.kubelet.security import effective

DEFAULT_MODE: Final = 0o644


class VolumeError(Exception):
    """The volume cannot be set up now: becomes a FailedMount event; it is tried again."""


class VolumeSources(Protocol):
    """What volumes read from the API, in the pod's namespace."""

    async def config_map(self, namespace: str, name: str) -> Obj | None: ...
    async def secret(self, namespace: str, name: str) -> Obj | None: ...
    async def token(self, pod: Obj, audience: str, seconds: int) -> str:
        """A token of the pod's service account. Raises VolumeError."""
        ...

    async def claim(self, namespace: str, name: str) -> Obj | None: ...
    async def persistent_volume(self, name: str) -> Obj | None: ...


@dataclass(frozen=True, slots=True)
class Context:
    """Where volumes of one pod are, and what they are made from."""

    pod_dir: Path
    sources: VolumeSources
    allocatable: dict[str, str]

    def directory(self, kind: str, name: str) -> Path:
        """`<pod dir>/volumes/kubernetes.io~<kind>/<name>`, as upstream lays it out."""
        return self.pod_dir / "volumes" / f"kubernetes.io~{kind}" / name


@dataclass(frozen=True, slots=True)
class HostVolume:
    """A volume that is set up: what a container's mount of it refers to."""

    path: Path | None
    readonly: bool = False
    image: str = ""


SetUp = Callable[[Obj, Obj, Context], Awaitable[HostVolume]]
"""(pod, volume, context) -> the volume. Idempotent. Raises VolumeError or OSError."""


def fs_group(pod: Obj) -> int | None:
    found = at(pod, "spec", "securityContext", "fsGroup")
    return None if found is None else int(found)


def fs_user(pod: Obj) -> int | None:
    """The user that all containers run as; None where they differ or one does not say.

    Upstream: pkg/volume/util FsUserFrom.
    """
    users = {effective(pod, c).get("runAsUser") for k, c in all_containers(pod) if k != "ephemeral"}
    if len(users) != 1:
        return None
    (user,) = users
    return None if user is None else int(user)


def pod_dir(root: Path, pod: Obj) -> Path:
    return root / "pods" / uid_of(pod)
