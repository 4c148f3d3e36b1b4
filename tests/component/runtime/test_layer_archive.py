"""A layer survives the way from overlayfs into an archive and back, whatever is in it."""

import hashlib
import io
import os
import stat
import tarfile
from pathlib import Path

import pytest

from tiphys.runtime.build.mounted import View, with_files
from tiphys.runtime.images import layers, manifest
from tiphys.runtime.images.layer_archive import HashingFile, pack
from tiphys.runtime.images.layers import LayerError
from tiphys.runtime.oci.rootfs import Rootfs

pytestmark = pytest.mark.root
CAPABILITY = bytes.fromhex("0100000202000000800000000000000000000000")


def packed(upper: Path, *lower: Path, latest_time: int | None = None) -> bytes:
    output = io.BytesIO()
    pack(str(upper), output, [str(path) for path in lower], latest_time)
    return output.getvalue()


def unpacked(directory: Path, data: bytes) -> Path:
    digest = manifest.digest_of(data)
    layers.unpack(io.BytesIO(data), manifest.LAYER_TAR, str(directory), digest)
    return directory / layers.directory_name(digest)


def listing(root: Path) -> list[tuple[object, ...]]:
    """All that a layer is about: kinds, modes, owners, times, contents, links, attributes."""
    found: list[tuple[object, ...]] = []
    inodes: dict[int, str] = {}
    for at, directories, files in os.walk(root):
        for name in sorted(directories + files):
            path = os.path.join(at, name)
            status = os.lstat(path)
            kind = stat.S_IFMT(status.st_mode)
            content: object = None
            if stat.S_ISREG(kind):
                content = Path(path).read_bytes()
            elif stat.S_ISLNK(kind):
                content = os.readlink(path)
            elif not stat.S_ISDIR(kind):
                content = status.st_rdev
            names = sorted(os.listxattr(path, follow_symlinks=False))
            attributes = [(n, os.getxattr(path, n, follow_symlinks=False)) for n in names]
            first = inodes.setdefault(status.st_ino, path.removeprefix(str(root)))
            times = int(status.st_mtime)
            row = (path.removeprefix(str(root)), status.st_mode, status.st_uid, status.st_gid)
            found.append((*row, times, content, attributes, first))
    return sorted(found, key=str)


def a_full_layer(upper: Path) -> None:
    (upper / "d").mkdir(parents=True)
    (upper / "d" / "file").write_bytes(b"x" * 100_000)
    os.link(upper / "d" / "file", upper / "a-link")
    os.symlink("/nowhere/é", upper / "d" / "symlink")
    os.mkfifo(upper / "fifo", 0o640)
    os.mknod(upper / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(upper / "d" / "gone", stat.S_IFCHR, os.makedev(0, 0))
    (upper / "opaque").mkdir()
    os.setxattr(upper / "opaque", "trusted.overlay.opaque", b"y")
    os.setxattr(upper / "d", "user.note", "gr\xfc\xdfe".encode() + b"\xff")
    (upper / ("n" * 120)).mkdir()
    (upper / ("n" * 120) / ("m" * 200)).write_text("long")
    os.chown(upper / "d" / "file", 1234, 5_000_000)
    os.setxattr(upper / "d" / "file", "security.capability", CAPABILITY)
    os.chmod(upper / "d" / "file", 0o4750)
    os.chown(upper / "d" / "symlink", 7, 8, follow_symlinks=False)
    for at, directories, files in os.walk(upper):
        for name in directories + files:
            os.utime(os.path.join(at, name), (10**9, 10**9), follow_symlinks=False)


def test_a_layer_comes_back_as_it_was(tmp_path: Path) -> None:
    upper, below = tmp_path / "upper", tmp_path / "below"
    a_full_layer(upper)
    (below / "opaque").mkdir(parents=True)
    data = packed(upper, below)
    again = unpacked(tmp_path, data)
    different = [
        (one, two)
        for one, two in zip(listing(upper), listing(again), strict=True)
        # Times of links, whiteouts and nodes are nobody's concern.
        if one[:4] + one[5:] != two[:4] + two[5:]
    ]
    assert different == []
    assert packed(again, below, latest_time=10**9) == packed(upper, below, latest_time=10**9)


def test_the_same_files_give_the_same_bytes_and_times_are_bounded(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        for file in ("b", "a") if name == "one" else ("a", "b"):
            (tmp_path / name / file).write_text(file)
    found = {packed(tmp_path / name, latest_time=1000) for name in ("one", "two")}
    assert len(found) == 1
    with tarfile.open(fileobj=io.BytesIO(found.pop())) as archive:
        assert [(m.name, m.mtime, m.uname) for m in archive] == [("a", 1000, ""), ("b", 1000, "")]


def test_what_overlayfs_writes_is_packed(tmp_path: Path) -> None:
    """Removals, replaced directories and new ones, made by the kernel itself."""
    base = tmp_path / "base"
    for name in ("gone", "replaced", "kept"):
        (base / name).mkdir(parents=True)
        (base / name / "x").write_text(name)
    for name in ("upper", "work", "merged"):
        (tmp_path / name).mkdir()

    def work(roots: list[Rootfs]) -> None:
        merged = Path(roots[0].path)
        for path in (merged / "gone", merged / "replaced"):
            (path / "x").unlink()
            path.rmdir()
        (merged / "replaced").mkdir()
        (merged / "replaced" / "y").write_text("new")
        (merged / "kept" / "x").rename(merged / "kept" / "z")
        (merged / "new").mkdir()

    places = [str(tmp_path / name) for name in ("merged", "upper", "work")]
    with_files([View(str(tmp_path), ["base"], *places)], work)
    with tarfile.open(fileobj=io.BytesIO(packed(tmp_path / "upper", base))) as archive:
        names = [member.name for member in archive]
    assert names == [
        ".wh.gone", "kept", "kept/.wh.x", "kept/z", "new",
        "replaced", "replaced/.wh..wh..opq", "replaced/y",
    ]  # fmt: skip


def test_contents_left_in_a_lower_layer_are_refused(tmp_path: Path) -> None:
    (tmp_path / "upper" / "moved").mkdir(parents=True)
    os.setxattr(tmp_path / "upper" / "moved", "trusted.overlay.redirect", b"/old")
    with pytest.raises(LayerError, match="moved: its contents lie in a lower layer"):
        packed(tmp_path / "upper")


def test_mounts_of_a_look_at_an_image_are_seen_by_nobody(tmp_path: Path) -> None:
    for name in ("base", "upper", "work", "merged"):
        (tmp_path / name).mkdir()
    seen: list[str] = []

    def work(roots: list[Rootfs]) -> None:
        seen.append(Path("/proc/thread-self/mountinfo").read_text())
        raise OSError("enough")

    view = View(str(tmp_path), ["base"], *(str(tmp_path / n) for n in ("merged", "upper", "work")))
    with pytest.raises(OSError, match="enough"):
        with_files([view], work)
    assert str(tmp_path) in seen[0]
    assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()


def test_a_hashing_file_tells_digest_and_size(tmp_path: Path) -> None:
    output, proof = io.BytesIO(), hashlib.sha256()
    writer = HashingFile(output, proof)
    (tmp_path / "f").write_text("1")
    pack(str(tmp_path), writer)
    data = output.getvalue()
    assert (writer.size_bytes, proof.hexdigest()) == (len(data), hashlib.sha256(data).hexdigest())
