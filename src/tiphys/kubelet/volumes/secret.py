"""secret volumes; they never touch a disk. Upstream: pkg/volume/secret."""

from tiphys.api.meta import Obj, namespace_of
from tiphys.kubelet.volumes.atomic_writer import File
from tiphys.kubelet.volumes.payload import chosen_files, publish, secret_data
from tiphys.kubelet.volumes.volume import Context, HostVolume, VolumeError


async def files_of(
    pod: Obj, name: str, source: Obj, mode: int | None, context: Context
) -> dict[str, File]:
    """Of a volume's source or of a projected one. Raises VolumeError."""
    optional = bool(source.get("optional"))
    found = await context.sources.secret(namespace_of(pod), name)
    if found is None and not optional:
        raise VolumeError(f'secret "{name}" not found')
    missing = "references non-existent secret key"
    data = secret_data(found or {})
    return chosen_files(data, source.get("items"), mode, optional=optional, missing=missing)


async def set_up(pod: Obj, volume: Obj, context: Context) -> HostVolume:
    source = volume["secret"]
    name = source.get("secretName", "")
    files = await files_of(pod, name, source, source.get("defaultMode"), context)
    directory = context.directory("secret", volume["name"])
    publish(pod, directory, files, in_memory=True)
    return HostVolume(directory, readonly=True)
