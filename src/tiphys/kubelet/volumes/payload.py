"""Keys of config maps and secrets as files. Upstream: pkg/volume/configmap, secret MakePayload."""

import base64
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from tiphys.api.meta import Obj
from tiphys.kubelet import mounts
from tiphys.kubelet.volumes.atomic_writer import File, PathError, write_files
from tiphys.kubelet.volumes.volume import DEFAULT_MODE, VolumeError, fs_group


def config_map_data(config_map: Obj) -> dict[str, bytes]:
    data = {key: str(text).encode() for key, text in (config_map.get("data") or {}).items()}
    return data | _decoded(config_map.get("binaryData"))


def secret_data(secret: Obj) -> dict[str, bytes]:
    return _decoded(secret.get("data"))


def _decoded(data: Mapping[str, str] | None) -> dict[str, bytes]:
    return {key: base64.b64decode(text or "") for key, text in (data or {}).items()}


def chosen_files(
    data: Mapping[str, bytes],
    items: Iterable[Obj] | None,
    mode: int | None,
    *,
    optional: bool,
    missing: str,
) -> dict[str, File]:
    """All keys, or the items' keys at their paths.

    `missing` is the error's text without the key. Raises VolumeError.
    """
    default = DEFAULT_MODE if mode is None else mode
    if not items:
        return {key: File(value, default) for key, value in data.items()}
    files = {}
    for item in items:
        key = item["key"]
        if key in data:
            own = item.get("mode")
            files[item["path"]] = File(data[key], default if own is None else own)
        elif not optional:
            raise VolumeError(f"{missing}: {key}")
    return files


def publish(pod: Obj, directory: Path, files: Mapping[str, File], *, in_memory: bool) -> None:
    """Write files into directory, which is made at first. Raises VolumeError, OSError."""
    if not directory.is_dir():
        directory.mkdir(parents=True)
        directory.chmod(0o777)
    # Looked at every time: after a reboot the directory is there, its tmpfs is not.
    if in_memory and not os.path.ismount(directory):
        mounts.mount_tmpfs(directory)
    version = f"{os.times().elapsed:.9f}.{os.urandom(4).hex()}"
    try:
        write_files(directory, files, version, fs_group(pod))
    except PathError as exc:
        raise VolumeError(str(exc)) from exc
