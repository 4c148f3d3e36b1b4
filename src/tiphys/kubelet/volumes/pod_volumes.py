"""All volumes of a pod: set up, kept up to date, torn down."""

import contextlib
import logging
import shutil
from pathlib import Path
from typing import Final

from tiphys.api.meta import Obj, at
from tiphys.kubelet import mounts
from tiphys.kubelet.volumes import (
    config_map,
    downward_api,
    empty_dir,
    host_path,
    image,
    persistent_volume_claim,
    projected,
    secret,
)
from tiphys.kubelet.volumes.volume import Context, HostVolume, SetUp, VolumeError

log = logging.getLogger(__name__)

KINDS: Final[dict[str, SetUp]] = {
    "configMap": config_map.set_up,
    "downwardAPI": downward_api.set_up,
    "emptyDir": empty_dir.set_up,
    "ephemeral": persistent_volume_claim.set_up,
    "hostPath": host_path.set_up,
    "image": image.set_up,
    "persistentVolumeClaim": persistent_volume_claim.set_up,
    "projected": projected.set_up,
    "secret": secret.set_up,
}


async def set_up_volumes(pod: Obj, context: Context) -> dict[str, HostVolume]:
    """Every volume by name. Raises VolumeError with upstream's text for the event."""
    found: dict[str, HostVolume] = {}
    for volume in at(pod, "spec", "volumes", default=[]):
        kind = next((k for k in KINDS if k in volume), "emptyDir")
        try:
            found[volume["name"]] = await KINDS[kind](pod, volume, context)
        except (VolumeError, OSError) as exc:
            raise VolumeError(
                f'MountVolume.SetUp failed for volume "{volume["name"]}" : {exc}'
            ) from exc
    return found


def tear_down(directory: Path) -> None:
    """Unmount and remove a pod's directory; what is left is tried again at the next start."""
    if not directory.exists():
        return
    for point in mounts.mounts_below(directory):
        with contextlib.suppress(OSError):
            mounts.unmount(point)
    if left := mounts.mounts_below(directory):
        # Removing below a mount would delete what belongs to somebody else.
        log.warning("volumes could not be unmounted", extra={"first": left[0]})
        return
    shutil.rmtree(directory, ignore_errors=True)
