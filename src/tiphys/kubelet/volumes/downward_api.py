"""downwardAPI volumes. Upstream: pkg/volume/downwardapi."""

from tiphys.api.meta import Obj
from tiphys.kubelet.field_ref import FieldRefError, field_value, resource_value
from tiphys.kubelet.volumes.atomic_writer import File
from tiphys.kubelet.volumes.payload import publish
from tiphys.kubelet.volumes.volume import DEFAULT_MODE, Context, HostVolume, VolumeError


def files_of(pod: Obj, items: list[Obj], mode: int | None, context: Context) -> dict[str, File]:
    """Of a volume's items or of a projected source's. Raises VolumeError."""
    default = DEFAULT_MODE if mode is None else mode
    files = {}
    for item in items:
        try:
            if reference := item.get("fieldRef"):
                text = field_value(pod, reference["fieldPath"])
            elif reference := item.get("resourceFieldRef"):
                text = resource_value(pod, {}, reference, context.allocatable)
            else:
                continue
        except FieldRefError as exc:
            raise VolumeError(str(exc)) from exc
        own = item.get("mode")
        files[item["path"]] = File(text.encode(), default if own is None else own)
    return files


async def set_up(pod: Obj, volume: Obj, context: Context) -> HostVolume:
    source = volume["downwardAPI"]
    files = files_of(pod, source.get("items") or [], source.get("defaultMode"), context)
    directory = context.directory("downward-api", volume["name"])
    publish(pod, directory, files, in_memory=True)
    return HostVolume(directory, readonly=True)
