"""configMap volumes. Upstream: pkg/volume/configmap."""

from tiphys.api.meta import Obj, namespace_of
from tiphys.kubelet.volumes.atomic_writer import File
from tiphys.kubelet.volumes.payload import chosen_files, config_map_data, publish
from tiphys.kubelet.volumes.volume import Context, HostVolume, VolumeError


async def files_of(pod: Obj, source: Obj, mode: int | None, context: Context) -> dict[str, File]:
    """Of a volume's source or of a projected one. Raises VolumeError."""
    name = source.get("name", "")
    optional = bool(source.get("optional"))
    found = await context.sources.config_map(namespace_of(pod), name)
    if found is None and not optional:
        raise VolumeError(f'configmap "{name}" not found')
    missing = "configmap references non-existent config key"
    data = config_map_data(found or {})
    return chosen_files(data, source.get("items"), mode, optional=optional, missing=missing)


async def set_up(pod: Obj, volume: Obj, context: Context) -> HostVolume:
    source = volume["configMap"]
    files = await files_of(pod, source, source.get("defaultMode"), context)
    directory = context.directory("configmap", volume["name"])
    publish(pod, directory, files, in_memory=False)
    return HostVolume(directory, readonly=True)
