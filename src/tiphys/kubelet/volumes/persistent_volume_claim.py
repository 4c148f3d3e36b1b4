"""Claims bound to volumes that are on this node: hostPath and local.

Upstream: pkg/kubelet/volumemanager desired_state_of_world_populator.go, pkg/volume/local.
"""

from pathlib import Path

from tiphys.api.meta import Obj, at, name_of, namespace_of
from tiphys.kubelet.volumes import host_path
from tiphys.kubelet.volumes.ownership import give_to_group
from tiphys.kubelet.volumes.volume import Context, HostVolume, VolumeError, fs_group


async def set_up(pod: Obj, volume: Obj, context: Context) -> HostVolume:
    source = volume.get("persistentVolumeClaim") or {}
    # A generic ephemeral volume is a claim named after pod and volume.
    name = source.get("claimName") or f"{name_of(pod)}-{volume['name']}"
    claim = await context.sources.claim(namespace_of(pod), name)
    if claim is None:
        raise VolumeError(f'persistentvolumeclaim "{name}" not found')
    bound = at(claim, "spec", "volumeName", default="")
    if not bound or at(claim, "status", "phase") != "Bound":
        raise VolumeError(f"PVC {namespace_of(pod)}/{name} is not bound")
    persistent = await context.sources.persistent_volume(bound)
    if persistent is None:
        raise VolumeError(f'persistentvolume "{bound}" not found')
    spec = persistent["spec"]
    readonly = bool(source.get("readOnly"))
    if path := at(spec, "hostPath", "path"):
        host_path.prepare(Path(path), at(spec, "hostPath", "type", default=""))
        return HostVolume(Path(path), readonly=readonly)
    if path := at(spec, "local", "path"):
        return _local(pod, Path(path), readonly=readonly)
    raise VolumeError(f'no volume plugin matched for persistentvolume "{bound}"')


def _local(pod: Obj, path: Path, *, readonly: bool) -> HostVolume:
    if not path.exists():
        raise VolumeError(f'path "{path}" does not exist')
    group = fs_group(pod)
    if group is not None and not readonly:
        give_to_group(path, group, readonly=False)
    return HostVolume(path, readonly=readonly)
