"""image volumes: an image's files, read-only. The runtime mounts them. Upstream: KEP-4639."""

from tiphys.api.meta import Obj
from tiphys.kubelet.volumes.volume import Context, HostVolume


async def set_up(pod: Obj, volume: Obj, context: Context) -> HostVolume:
    return HostVolume(None, readonly=True, image=volume["image"].get("reference") or "")
