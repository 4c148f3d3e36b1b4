"""Archives that lead outside, lie or end early: refused, and nothing of them stays."""

import gzip
import io
import json
import os
import tarfile
import zlib
from pathlib import Path

import pytest

from tiphys.runtime.images import archive, layers, manifest
from tiphys.runtime.images.layers import LayerError
from tiphys.runtime.images.registry_storage import RegistryStorage

REFUSALS = (LayerError, OSError, tarfile.TarError, zlib.error)  # What callers know of.


def a_tar(*entries: tuple[str, bytes, str]) -> bytes:
    """Entries are (name, type, link name); files hold one byte."""
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as packed:
        for name, kind, link in entries:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, link
            info.size = 1 if kind == tarfile.REGTYPE else 0
            packed.addfile(info, io.BytesIO(b"x") if info.size else None)
    return output.getvalue()


HOSTILE = [
    pytest.param(a_tar(("../../evil", tarfile.REGTYPE, "")), "leads outside", id="up"),
    pytest.param(a_tar(("a/../../evil", tarfile.REGTYPE, "")), "leads outside", id="up-inside"),
    pytest.param(
        a_tar(("x", tarfile.LNKTYPE, "../../../etc/passwd")), "leads outside", id="hard-link"
    ),
    pytest.param(a_tar(("f", tarfile.REGTYPE, ""))[:700], None, id="cut-short"),
    pytest.param(gzip.compress(a_tar(("f", tarfile.REGTYPE, "")))[:-20], None, id="broken-gzip"),
    pytest.param(b"\x1f\x8b not really", None, id="no-gzip-at-all"),
]
UNPACKED_ONLY = [
    pytest.param(a_tar(("x", tarfile.LNKTYPE, "missing")), None, id="link-to-nothing"),
    pytest.param(a_tar((".wh..", tarfile.REGTYPE, "")), "whiteout", id="whiteout-of-itself"),
    pytest.param(
        a_tar(("a", tarfile.SYMTYPE, "b"), ("b", tarfile.SYMTYPE, "a"), ("a/x", b"0", "")),
        None,
        id="loop",
    ),
]


def kind(data: bytes) -> str:
    return archive.LAYER_GZIP if data.startswith(b"\x1f\x8b") else manifest.LAYER_TAR


def plain_digest(data: bytes) -> str:
    try:
        return manifest.digest_of(gzip.decompress(data))
    except (OSError, EOFError):
        return manifest.digest_of(data)


def files_below(directory: Path) -> list[str]:
    return [os.path.join(at, name) for at, _, names in os.walk(directory) for name in names]


@pytest.mark.root
@pytest.mark.parametrize(("data", "why"), HOSTILE + UNPACKED_ONLY)
def test_a_node_unpacks_nothing_of_it(tmp_path: Path, data: bytes, why: str | None) -> None:
    target = tmp_path / "layers"
    target.mkdir()
    with pytest.raises(REFUSALS, match=why):
        layers.unpack(io.BytesIO(data), kind(data), str(target), plain_digest(data))
    assert list(target.iterdir()) == []
    assert files_below(tmp_path) == []


@pytest.mark.parametrize(("data", "why"), HOSTILE)
def test_load_keeps_nothing_of_it(tmp_path: Path, data: bytes, why: str | None) -> None:
    good = a_tar(("fine", tarfile.REGTYPE, ""))
    ids = [manifest.digest_of(good), plain_digest(data)]
    config = json.dumps({"rootfs": {"type": "layers", "diff_ids": ids}}).encode()
    row = {"Config": "c", "RepoTags": ["x:1"], "Layers": ["good", "bad"]}
    refused_load(
        tmp_path,
        {"manifest.json": json.dumps([row]).encode(), "c": config, "good": good, "bad": data},
        why,
    )


def a_sparse_file() -> bytes:
    """A file of 1 TiB that is one hole, in the GNU format 1.0 of pax archives."""
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w", format=tarfile.PAX_FORMAT) as packed:
        info = tarfile.TarInfo("GNUSparseFile.0/hole")
        info.pax_headers = {
            "GNU.sparse.major": "1",
            "GNU.sparse.minor": "0",
            "GNU.sparse.name": "hole",
            "GNU.sparse.realsize": str(1 << 40),
        }
        table = b"1\n0\n0\n".ljust(512, b"\0")
        info.size = len(table)
        packed.addfile(info, io.BytesIO(table))
    return output.getvalue()


@pytest.mark.root
def test_a_layer_that_claims_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hole = a_sparse_file()
    with pytest.raises(LayerError, match="larger than"):
        layers.unpack(io.BytesIO(hole), manifest.LAYER_TAR, str(tmp_path), plain_digest(hole))
    monkeypatch.setattr(layers, "LAYER_BYTES_MAX", 1 << 20)
    bomb = gzip.compress(bytes(10 << 20))
    with pytest.raises(LayerError, match="larger than"):
        layers.check(io.BytesIO(bomb), archive.LAYER_GZIP, plain_digest(bomb))
    assert files_below(tmp_path) == []


def test_load_refuses_a_layer_that_is_not_the_one_of_the_config(tmp_path: Path) -> None:
    data = a_tar(("f", tarfile.REGTYPE, ""))
    config = json.dumps({"rootfs": {"diff_ids": ["sha256:" + "0" * 64]}}).encode()
    row = {"Config": "c", "RepoTags": ["x:1"], "Layers": ["l"]}
    parts = {"manifest.json": json.dumps([row]).encode(), "c": config, "l": data}
    refused_load(tmp_path, parts, "the image says")


def test_load_refuses_links_out_of_a_layout_directory(tmp_path: Path) -> None:
    layout = tmp_path / "layout"
    layout.mkdir()
    (tmp_path / "index.json").write_text('{"manifests": []}')
    os.symlink(tmp_path / "index.json", layout / "index.json")
    storage = RegistryStorage(str(tmp_path / "registry"))
    with pytest.raises(archive.ArchiveError):
        archive.load(storage, str(layout))


def refused_load(tmp_path: Path, parts: dict[str, bytes], why: str | None) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as packed:
        for name, data in parts.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            packed.addfile(info, io.BytesIO(data))
    storage = RegistryStorage(str(tmp_path / "registry"))
    with pytest.raises(archive.ArchiveError, match=why):
        archive.load(storage, str(tmp_path / "a.tar"))
    assert storage.list() == []
    assert [name for name in files_below(tmp_path / "registry") if not name.endswith(".lock")] == []
