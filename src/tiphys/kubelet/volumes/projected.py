"""projected volumes: several sources in one directory. Upstream: pkg/volume/projected."""

from tiphys.api.meta import Obj
from tiphys.kubelet.volumes import config_map, downward_api, secret
from tiphys.kubelet.volumes.atomic_writer import File
from tiphys.kubelet.volumes.payload import publish
from tiphys.kubelet.volumes.volume import (
    DEFAULT_MODE,
    Context,
    HostVolume,
    fs_group,
    fs_user,
)

TOKEN_SECONDS = 3600  # defaults.go SetDefaults_ServiceAccountTokenProjection


async def files_of(pod: Obj, source: Obj, mode: int, context: Context) -> dict[str, File]:
    """Of one source. Raises VolumeError."""
    if inner := source.get("configMap"):
        return await config_map.files_of(pod, inner, mode, context)
    if inner := source.get("secret"):
        return await secret.files_of(pod, inner.get("name", ""), inner, mode, context)
    if inner := source.get("downwardAPI"):
        return downward_api.files_of(pod, inner.get("items") or [], mode, context)
    if inner := source.get("serviceAccountToken"):
        seconds = int(inner.get("expirationSeconds") or TOKEN_SECONDS)
        token = await context.sources.token(pod, inner.get("audience") or "", seconds)
        user = fs_user(pod)
        # A token is for its user alone; a group gets to read it through fsGroup.
        own = 0o600 if user is not None or fs_group(pod) is not None else mode
        return {inner["path"]: File(token.encode(), own, user)}
    return {}


async def set_up(pod: Obj, volume: Obj, context: Context) -> HostVolume:
    projected = volume["projected"]
    mode = projected.get("defaultMode")
    files: dict[str, File] = {}
    for source in projected.get("sources") or []:
        files |= await files_of(pod, source, DEFAULT_MODE if mode is None else mode, context)
    directory = context.directory("projected", volume["name"])
    publish(pod, directory, files, in_memory=True)
    return HostVolume(directory, readonly=True)
