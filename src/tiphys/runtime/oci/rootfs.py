"""The file system of a container: overlay, kernel file systems, mounts, masks, pivot_root.

Runs in the forked child, in its new mount and PID namespaces. Every place inside the image is
found with openat2(RESOLVE_IN_ROOT) and acted on through the descriptor, never by its name again:
an image full of symbolic links cannot lead a mount outside of its root (CVE-2021-30465,
CVE-2024-45310). Sources of mounts are taken as detached copies before anything else changes.

Source: OCI runtime-spec config.md#mounts, config-linux.md#default-filesystems.
"""

import contextlib
import errno
import os
import stat
from typing import Any, Final

from tiphys.runtime import syscalls as sys

OVERLAY_OPTIONS_MAX: Final = 4095  # One page, mount(2).
LINKS_MAX: Final = 40  # As the kernel's MAXSYMLINKS.
_PLACE: Final = os.O_PATH
_DEVICES: Final = (
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
)
_LINKS: Final = (
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
)
_ATTRIBUTES: Final = {
    "ro": sys.MOUNT_ATTR_RDONLY,
    "nosuid": sys.MOUNT_ATTR_NOSUID,
    "nodev": sys.MOUNT_ATTR_NODEV,
    "noexec": sys.MOUNT_ATTR_NOEXEC,
}
_PROPAGATION: Final = {
    "rprivate": sys.MS_PRIVATE,
    "rslave": sys.MS_SLAVE,
    "rshared": sys.MS_SHARED,
}


def take_sources(mounts: list[dict[str, Any]]) -> list[int]:
    """Detached copies of the sources of bind mounts, -1 for the other mounts.

    Raises: OSError naming the source that is missing.
    """
    trees = []
    for mount in mounts:
        if mount["type"] != "bind":
            trees.append(-1)
            continue
        flags = sys.OPEN_TREE_CLONE
        if "rbind" in mount["options"]:
            flags |= sys.AT_RECURSIVE
        trees.append(sys.open_tree(mount["source"], flags))
    return trees


def take_namespace_root(namespace: int, home: int) -> int:
    """A detached copy of the root mount of another mount namespace (the pod's /dev/shm)."""
    root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    sys.setns(namespace, sys.CLONE_NEWNS)
    tree = sys.open_tree("/", sys.OPEN_TREE_CLONE)
    sys.enter_mount_namespace(home, root)
    os.close(root)
    return tree


def mount_overlay(root: dict[str, Any]) -> None:
    """Mount the image's layers with the container's own on top at root["merged"]."""
    os.chdir(root["layers_dir"])  # Relative names: the options must fit in a page.
    options = f"lowerdir={':'.join(root['layers'])}"
    options += f",upperdir={root['upper']},workdir={root['work']}"
    if len(options) > OVERLAY_OPTIONS_MAX:
        raise OSError(errno.E2BIG, "image has too many layers", root["merged"])
    sys.mount("overlay", root["merged"], "overlay", 0, options)
    os.chdir("/")


def enter_new_namespaces() -> None:
    """Own mounts and own view of cgroups; nothing mounted from here on reaches the node."""
    sys.unshare(sys.CLONE_NEWNS | sys.CLONE_NEWCGROUP)
    sys.mount("", "/", "", sys.MS_REC | sys.MS_PRIVATE)


class Rootfs:
    """A mounted root, not yet pivoted to; `close` gives the descriptor back."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.fd = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def close(self) -> None:
        os.close(self.fd)

    def find(self, path: str) -> int:
        """A descriptor (O_PATH) of what is at path inside the root. Raises: OSError."""
        return sys.openat2(self.fd, path, _PLACE, sys.RESOLVE_IN_ROOT | sys.RESOLVE_NO_MAGICLINKS)

    def make(self, path: str, *, directory: bool, links_left: int = LINKS_MAX) -> int:
        """As `find`, but what is missing of path is made first: directories, at last a file.

        Where a link in the image leads to nothing, what it names is made, inside the root.
        """
        parts = [part for part in path.split("/") if part and part != "."]
        if ".." in parts:
            raise OSError(errno.EINVAL, "mount destination may not contain ..", path)
        at = os.dup(self.fd)
        for index, part in enumerate(parts):
            last = index == len(parts) - 1
            prefix = "/".join(parts[: index + 1])
            try:
                found = self.find(prefix)
            except FileNotFoundError:
                wants_directory = directory or not last
                if (link := _link_at(at, part)) is not None:
                    if not links_left:
                        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path) from None
                    place = os.path.normpath(os.path.join(self._inside(at), link))
                    os.close(self.make(place, directory=wants_directory, links_left=links_left - 1))
                else:
                    self._make_one(at, part, directory=wants_directory)
                found = self.find(prefix)
            os.close(at)
            at = found
        return at

    def make_directory(self, path: str) -> None:
        os.close(self.make(path, directory=True))

    def _inside(self, fd: int) -> str:
        """The absolute path inside the root of what fd is open on."""
        return "/" + os.readlink(f"/proc/self/fd/{fd}").removeprefix(self.path).lstrip("/")

    def _make_one(self, parent: int, name: str, *, directory: bool) -> None:
        if directory:
            os.mkdir(name, 0o755, dir_fd=parent)
        else:
            flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
            os.close(os.open(name, flags, 0o644, dir_fd=parent))

    def kernel_directory(self, path: str) -> int:
        """A directory for /proc, /sys or /dev: itself, not a link (CVE-2019-19921)."""
        with contextlib.suppress(FileExistsError):
            os.mkdir(path, 0o755, dir_fd=self.fd)
        try:
            flags = _PLACE | os.O_DIRECTORY
            return sys.openat2(self.fd, path, flags, sys.RESOLVE_NO_SYMLINKS | sys.RESOLVE_BENEATH)
        except OSError as exc:
            raise OSError(exc.errno, "the image's entry must be a directory", f"/{path}") from exc

    def attach(self, tree: int, target: int) -> None:
        """Attach the mount tree on target; both descriptors are used up."""
        sys.attach_mount(tree, target)
        os.close(tree)
        os.close(target)

    def mount_new(self, kind: str, target: int, options: dict[str, str], attributes: int) -> None:
        self.attach(sys.new_filesystem(kind, options, attributes), target)

    def mount_kernel_filesystems(self, *, sys_writable: bool, shm: int) -> None:
        """/proc, /sys and a fresh /dev with the usual nodes; shm is a detached mount or -1."""
        plain = sys.MOUNT_ATTR_NOSUID | sys.MOUNT_ATTR_NODEV | sys.MOUNT_ATTR_NOEXEC
        self.mount_new("proc", self.kernel_directory("proc"), {}, plain)
        sysfs = plain if sys_writable else plain | sys.MOUNT_ATTR_RDONLY
        self.mount_new("sysfs", self.kernel_directory("sys"), {}, sysfs)
        tmpfs = {"mode": "755", "size": "65536k"}
        self.mount_new("tmpfs", self.kernel_directory("dev"), tmpfs, sys.MOUNT_ATTR_NOSUID)
        self._fill_dev()
        no_exec = sys.MOUNT_ATTR_NOSUID | sys.MOUNT_ATTR_NOEXEC
        pts = {"ptmxmode": "0666", "mode": "0620", "gid": "5"}
        self.mount_new("devpts", self.find("dev/pts"), pts, no_exec)
        self.mount_new("mqueue", self.find("dev/mqueue"), {}, plain)
        if shm >= 0:
            self.attach(shm, self.find("dev/shm"))

    def _fill_dev(self) -> None:
        dev = self.find("dev")
        old = os.umask(0)
        for name, major, minor in _DEVICES:
            os.mknod(name, 0o666 | stat.S_IFCHR, os.makedev(major, minor), dir_fd=dev)
        for name, target in _LINKS:
            os.symlink(target, name, dir_fd=dev)
        for name in ("pts", "shm", "mqueue"):
            os.mkdir(name, 0o755, dir_fd=dev)
        os.umask(old)
        os.close(dev)

    def mount_cgroups(self, mounts: dict[str, str], trees: list[int], *, writable: bool) -> None:
        """The container's own groups at /sys/fs/cgroup: one below each controller, or with v2
        (the name is "") one for all. Read-only unless writable."""
        plain = sys.MOUNT_ATTR_NOSUID | sys.MOUNT_ATTR_NODEV | sys.MOUNT_ATTR_NOEXEC
        read_only = 0 if writable else sys.MOUNT_ATTR_RDONLY
        for tree in trees:
            sys.mount_setattr(tree, set_flags=plain | read_only, recursive=False)
        place = "sys/fs/cgroup"
        if list(mounts) == [""]:
            self.attach(trees[0], self.find(place))
            return
        self.mount_new("tmpfs", self.find(place), {"mode": "755"}, plain)
        for name, tree in zip(mounts, trees, strict=True):
            self.attach(tree, self.make(f"{place}/{name}", directory=True))
        top = self.find(place)
        sys.mount_setattr(top, set_flags=read_only, recursive=False)
        os.close(top)

    def make_device(self, device: dict[str, Any]) -> None:
        """A device node that the pod asks for, with the host's numbers."""
        path = device["path"].strip("/")
        parent = self.make(os.path.dirname(path), directory=True)
        kind = stat.S_IFBLK if device["type"] == "b" else stat.S_IFCHR
        numbers = os.makedev(device["major"], device["minor"])
        os.mknod(os.path.basename(path), kind | device["fileMode"], numbers, dir_fd=parent)
        os.close(parent)

    def mount(self, mount: dict[str, Any], tree: int) -> None:
        """One mount of the spec; tree is its source from `take_sources`."""
        attributes = 0
        for option in mount["options"]:
            attributes |= _ATTRIBUTES.get(option, 0)
        if mount["type"] == "image":
            tree = self._image_tree(mount["layers"], mount["subPath"], mount["layersDir"])
        elif mount["type"] != "bind":
            options = dict(o.split("=", 1) for o in mount["options"] if "=" in o)
            target = self.make(mount["destination"], directory=True)
            self.mount_new(mount["type"], target, options, attributes)
            return
        # The propagation of the copy is set while it is detached, read-only before it is seen.
        kind = next(
            (_PROPAGATION[o] for o in mount["options"] if o in _PROPAGATION), sys.MS_PRIVATE
        )
        sys.mount_setattr(tree, propagation=kind, recursive=True)
        if attributes:
            recursive = "rro" in mount["options"]
            sys.mount_setattr(tree, set_flags=attributes, recursive=recursive)
        directory = stat.S_ISDIR(os.stat(tree).st_mode)
        self.attach(tree, self.make(mount["destination"], directory=directory))

    def _image_tree(self, layers: list[str], sub_path: str, layers_dir: str) -> int:
        """A detached mount of (a part of) an image's files."""
        top = os.path.join(layers_dir, layers[0])
        if len(layers) > 1:
            # On top of our root for a moment: nothing else is ours to mount on.
            top = self.path
            os.chdir(layers_dir)
            sys.mount("overlay", top, "overlay", sys.MS_RDONLY, f"lowerdir={':'.join(layers)}")
            os.chdir("/")
        try:
            at = os.open(top, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            resolve = sys.RESOLVE_IN_ROOT | sys.RESOLVE_NO_MAGICLINKS
            found = sys.openat2(at, sub_path or ".", _PLACE, resolve)
            tree = _copy(found)
            os.close(found)
            os.close(at)
        finally:
            if len(layers) > 1:
                sys.umount(top)
        return tree

    def mask(self, path: str) -> None:
        """Hide path: a file behind /dev/null, a directory behind an empty read-only tmpfs."""
        try:
            target = self.find(path)
        except (FileNotFoundError, NotADirectoryError):
            return
        if stat.S_ISDIR(os.stat(target).st_mode):
            self.mount_new("tmpfs", target, {"size": "0"}, sys.MOUNT_ATTR_RDONLY)
            return
        null = self.find("dev/null")
        found = os.stat(null)
        # CVE-2025-31133: what we bind must be the null device and nothing else.
        if not stat.S_ISCHR(found.st_mode) or found.st_rdev != os.makedev(1, 3):
            raise OSError(errno.EINVAL, "not the null device", "/dev/null")
        self.attach(_copy(null), target)
        os.close(null)

    def make_read_only(self, path: str) -> None:
        """Cover path with a read-only copy of itself."""
        try:
            target = self.find(path)
        except (FileNotFoundError, NotADirectoryError):
            return
        tree = _copy(target)
        sys.mount_setattr(tree, set_flags=sys.MOUNT_ATTR_RDONLY, recursive=True)
        self.attach(tree, target)

    def make_root_read_only(self) -> None:
        sys.mount_setattr(self.fd, set_flags=sys.MOUNT_ATTR_RDONLY, recursive=False)

    def bind_console(self, slave: int) -> None:
        """Put the terminal at /dev/console."""
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        dev = self.find("dev")
        os.close(os.open("console", flags, 0o600, dir_fd=dev))
        os.close(dev)
        self.attach(_copy(slave), self.find("dev/console"))

    def pivot(self) -> None:
        """Make this the root and drop the node's files from the namespace."""
        os.fchdir(self.fd)
        sys.pivot_root(".", ".")
        # The old root is now stacked on the new one, at the current directory.
        sys.umount(".", sys.MNT_DETACH)
        os.chdir("/")


def _link_at(parent: int, name: str) -> str | None:
    try:
        return os.readlink(name, dir_fd=parent)
    except OSError:
        return None


def _copy(fd: int) -> int:
    return sys.open_tree("", sys.OPEN_TREE_CLONE | sys.AT_EMPTY_PATH | sys.AT_RECURSIVE, fd)
