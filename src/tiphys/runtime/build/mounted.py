"""An image's files, mounted for a moment where nobody else sees it.

The work runs in a thread of its own that has left the process's mount namespace (a thread may, man
2 unshare): when it ends the mount is gone, whatever happened.
"""

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from tiphys.runtime import syscalls as sys
from tiphys.runtime.oci import rootfs
from tiphys.runtime.oci.rootfs import Rootfs

Result = TypeVar("Result")
# Contents stay with their entries, so that the upper directory alone is the difference.
OVERLAY_OPTIONS: Final = "redirect_dir=off,metacopy=off,index=off"


@dataclass(frozen=True)
class View:
    """layers are names below layers_dir, the topmost first; upper "" mounts read-only."""

    layers_dir: str
    layers: Sequence[str]
    merged: str
    upper: str = ""
    work: str = ""


def with_files(views: Sequence[View], work: Callable[[list[Rootfs]], Result]) -> Result:
    """What work returns, given the mounted views. Raises: what work raises, OSError."""
    answer: list[Result] = []
    errors: list[BaseException] = []

    def body() -> None:
        try:
            sys.unshare(sys.CLONE_NEWNS)
            sys.mount("", "/", "", sys.MS_REC | sys.MS_PRIVATE)
            answer.append(_mounted(views, work))
        except BaseException as exc:  # noqa: BLE001  # Handed to the thread that waits.
            errors.append(exc)

    thread = threading.Thread(target=body, name="image files")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return answer[0]


def _mounted(views: Sequence[View], work: Callable[[list[Rootfs]], Result]) -> Result:
    roots: list[Rootfs] = []
    try:
        for view in views:
            _mount(view)
            roots.append(Rootfs(view.merged))
        return work(roots)
    finally:
        for root in roots:
            root.close()


def _mount(view: View) -> None:
    os.chdir(view.layers_dir)  # Relative names: the options must fit in a page.
    options = f"lowerdir={':'.join(view.layers)},{OVERLAY_OPTIONS}"
    if view.upper:
        options += f",upperdir={view.upper},workdir={view.work}"
    if len(options) > rootfs.OVERLAY_OPTIONS_MAX:
        raise OSError("image has too many layers")
    sys.mount("overlay", view.merged, "overlay", 0 if view.upper else sys.MS_RDONLY, options)
    os.chdir("/")
