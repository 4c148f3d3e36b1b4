"""Images: pulled through the protocol, shared on the disk, bundled, loaded."""

import asyncio
import gzip
import hashlib
import io
import json
import os
import tarfile
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from component.runtime.conftest import LiveNode
from component.runtime.rig import BUSYBOX
from tiphys.cri.errors import CriError
from tiphys.lib.logs import Secret
from tiphys.runtime.images import archive, bundled, layers, manifest
from tiphys.runtime.images.bundled import Entry
from tiphys.runtime.images.reference import parse
from tiphys.runtime.images.registry import RegistryServer
from tiphys.runtime.images.registry_storage import RegistryStorage

HELLO = "gcr.io/hello-minikube-zero-install/hello-node:latest"
PAUSE = "registry.k8s.io/pause:3.10"


def disk_bytes(directory: Path) -> int:
    return sum(
        os.lstat(os.path.join(at, f)).st_size for at, _, fs in os.walk(directory) for f in fs
    )


@pytest.mark.root
def test_images_of_one_base_share_its_bytes(node: LiveNode) -> None:
    """Two images forked from busybox cost their own few bytes, not another busybox."""

    async def body() -> None:
        store = node.rig.directory / "root" / "images"
        await node.rig.pull(BUSYBOX)
        alone = disk_bytes(store)
        busybox = os.stat(bundled.BUSYBOX).st_size
        await node.rig.pull(HELLO)
        await node.rig.pull(PAUSE)
        assert alone > busybox
        assert disk_bytes(store) - alone < 20_000

    node.run(body())


@pytest.mark.root
def test_bundled_hello_node_answers_and_ends_cleanly(node: LiveNode) -> None:
    async def body() -> None:
        rig = node.rig
        await rig.pull(HELLO)
        sandbox = await rig.sandbox("hello")
        container = await rig.run(sandbox, [], image=HELLO)
        fetch = "until wget -qO- 127.0.0.1:8080/ 2>/dev/null; do usleep 10000; done"
        assert (await rig.exec(container, fetch))["stdout"] == b"Hello World!"
        missing = await rig.exec(
            container, "printf 'GET /x HTTP/1.0\\r\\n\\r\\n' | nc 127.0.0.1 8080"
        )
        assert missing["stdout"].endswith(b"Hello World!")
        tools = await rig.exec(container, "which sh nslookup wget | wc -l")
        assert tools["stdout"] == b"3\n"
        await rig.client.call("StopContainer", {"container_id": container, "timeout": 10})
        status = await rig.status(container)
        assert (status.get("exit_code", 0), status["reason"]) == (0, "Completed")

    node.run(asyncio.wait_for(body(), 20))


@pytest.mark.root
def test_bundled_pause_waits_until_it_is_stopped(node: LiveNode) -> None:
    async def body() -> None:
        rig = node.rig
        await rig.pull("registry.k8s.io/pause:3.10.2")
        await rig.pull(PAUSE)
        container = await rig.run(await rig.sandbox("pause"), [], image=PAUSE)
        assert (await rig.exec(container, "id -u"))["stdout"] == b"65535\n"
        await rig.client.call("StopContainer", {"container_id": container, "timeout": 10})
        assert (await rig.status(container))["reason"] == "Completed"
        image = (await rig.client.call("ImageStatus", {"image": {"image": PAUSE}}))["image"]
        assert image["uid"] == {"value": 65535}
        assert image["repo_tags"] == ["registry.k8s.io/pause:3.10.2", "registry.k8s.io/pause:3.10"]

    node.run(asyncio.wait_for(body(), 20))


@pytest.mark.root
def test_an_image_that_nobody_has_is_not_found(node: LiveNode) -> None:
    async def body() -> None:
        with pytest.raises(CriError) as missing:
            await node.rig.pull("localhost:1/never/heard:of")
        assert missing.value.message.startswith(
            'failed to pull and unpack image "localhost:1/never/heard:of": '
            'failed to resolve reference "localhost:1/never/heard:of": '
        )
        with pytest.raises(CriError, match="invalid reference format") as wrong:
            await node.rig.pull("Not A Name")
        assert wrong.value.code == "INVALID_ARGUMENT"
        assert await node.rig.client.call("ImageStatus", {"image": {"image": "nothing"}}) == {}

    node.run(body())


@pytest.mark.root
def test_removing_an_image_keeps_layers_in_use(node: LiveNode) -> None:
    async def body() -> None:
        rig = node.rig
        name = "docker.io/t/removed:1"
        entries = {"only/here": Entry(b"x" * 1000, mode=0o644)}
        base = bundled.layer(bundled.busybox_entries(bundled.BUSYBOX))
        bundled.write_image(rig.storage, (name,), [base, bundled.layer(entries)], {})
        await rig.pull(name)
        sandbox = await rig.sandbox("removed")
        container = await rig.run(sandbox, "sleep 100", image=name)
        await rig.client.call("RemoveImage", {"image": {"image": name}})
        assert (await rig.exec(container, "cat /only/here"))["stdout"] == b"x" * 1000
        await rig.client.call("RemovePodSandbox", {"pod_sandbox_id": sandbox})
        await rig.pull(name)
        await rig.client.call("RemoveImage", {"image": {"image": name}})
        diff = layers.directory_name(manifest.digest_of(bundled.layer(entries)))
        assert diff not in os.listdir(rig.directory / "root" / "images" / "layers")
        assert await rig.client.call("ImageStatus", {"image": {"image": name}}) == {}
        await rig.pull(BUSYBOX)

    node.run(body())


@pytest.mark.root
def test_an_image_is_mounted_as_a_volume(node: LiveNode) -> None:
    async def body() -> None:
        rig = node.rig
        name = "docker.io/t/data:1"
        lower = bundled.layer({"d": Entry(), "d/a": Entry(b"1", mode=0o644)})
        upper = bundled.layer({"d/.wh.a": Entry(b""), "d/b": Entry(b"2", mode=0o644)})
        bundled.write_image(rig.storage, (name,), [lower, upper], {})
        single = "docker.io/t/data:2"
        bundled.write_image(rig.storage, (single,), [lower], {})
        await rig.pull(name)
        await rig.pull(single)
        mounts = [
            {"container_path": "/two", "image": {"image": name}},
            {"container_path": "/sub", "image": {"image": name}, "image_sub_path": "d"},
            {"container_path": "/one", "image": {"image": single}},
        ]
        script = "ls /two/d /sub /one/d; touch /two/x /one/x"
        lines = (await rig.output(await rig.sandbox("vol"), script, mounts=mounts)).splitlines()
        errors = [line for line in lines if "Read-only" in line]
        assert len(errors) == 2
        found = " ".join(line for line in lines if line not in errors).split()
        assert found == ["/one/d:", "a", "/sub:", "b", "/two/d:", "b"]

    node.run(body())


@pytest.mark.root
def test_whiteouts_links_and_owners_of_upper_layers(node: LiveNode) -> None:
    async def body() -> None:
        rig = node.rig
        name = "docker.io/t/whiteouts:1"
        base = bundled.layer(
            bundled.busybox_entries(bundled.BUSYBOX)
            | {
                "d": Entry(),
                "d/gone": Entry(b"1", mode=0o644),
                "d/kept": Entry(b"2", mode=0o644),
                "o": Entry(),
                "o/hidden": Entry(b"3", mode=0o644),
            }
        )
        upper = bundled.layer(
            {
                "d/.wh.gone": Entry(b"", mode=0o644),
                "o/.wh..wh..opq": Entry(b"", mode=0o644),
                "o/new": Entry(b"4", mode=0o4755),
            }
        )
        bundled.write_image(rig.storage, (name,), [base, upper], {})
        await rig.pull(name)
        output = await rig.output(
            await rig.sandbox("white"), "ls /d /o; stat -c %a /o/new", image=name
        )
        assert output.split() == ["/d:", "kept", "/o:", "new", "4755"]

    node.run(body())


def test_bundled_images_are_the_same_each_time(tmp_path: Path) -> None:
    digests = [bundled.build(RegistryStorage(str(tmp_path / str(n)))) for n in range(2)]
    assert digests[0] == digests[1]
    assert sorted(digests[0]) == [
        "docker.io/library/busybox:latest",
        HELLO,
        PAUSE,
        "registry.k8s.io/pause:3.10.2",
    ]


def tar_of(entries: dict[str, bytes]) -> bytes:
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as packed:
        for name, data in entries.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            packed.addfile(info, io.BytesIO(data))
    return output.getvalue()


def image_parts() -> tuple[bytes, bytes]:
    """A layer and a config that names it."""
    layer = tar_of({"hello": b"world"})
    config = {"rootfs": {"type": "layers", "diff_ids": [manifest.digest_of(layer)]}}
    return layer, json.dumps(config).encode()


def test_a_docker_archive_is_loaded(tmp_path: Path) -> None:
    layer, config = image_parts()
    listed = [
        {"Config": "c.json", "RepoTags": ["mine:1", "gcr.io/a/b:2"], "Layers": ["l/layer.tar"]}
    ]
    files = {"manifest.json": json.dumps(listed).encode(), "c.json": config}
    (tmp_path / "a.tar").write_bytes(tar_of(files | {"l/layer.tar": gzip.compress(layer)}))
    storage = RegistryStorage(str(tmp_path / "registry"))
    found = archive.load(storage, str(tmp_path / "a.tar"))
    assert [str(name) for name in found] == ["docker.io/library/mine:1", "gcr.io/a/b:2"]
    assert [str(name) for name, _ in storage.list()] == [str(name) for name in found]
    document = json.loads(storage.open_blob(str(storage.resolve(found[0]))).read())
    assert document["layers"][0]["mediaType"].endswith("tar+gzip")
    assert document["config"]["digest"] == manifest.digest_of(config)


def test_an_oci_archive_is_loaded(tmp_path: Path) -> None:
    layer, config = image_parts()
    document = manifest.image_manifest(config, [manifest.descriptor(manifest.LAYER_TAR, layer)])
    row = manifest.descriptor(manifest.MANIFEST_TYPES[0], document)
    notes = {"io.containerd.image.name": "quay.io/x/y:3"}
    blobs = {f"blobs/sha256/{hashlib.sha256(d).hexdigest()}": d for d in (layer, config, document)}
    files = {"index.json": json.dumps({"manifests": [row | {"annotations": notes}]}).encode()}
    (tmp_path / "a.tar").write_bytes(tar_of(files | blobs))
    storage = RegistryStorage(str(tmp_path / "registry"))
    assert [str(n) for n in archive.load(storage, str(tmp_path / "a.tar"))] == ["quay.io/x/y:3"]
    name = next(iter(blobs))
    (tmp_path / "bad.tar").write_bytes(tar_of(files | blobs | {name: b"other"}))
    with pytest.raises(archive.ArchiveError, match="does not have its digest"):
        archive.load(storage, str(tmp_path / "bad.tar"))
    (tmp_path / "no.tar").write_bytes(tar_of({"x": b""}))
    with pytest.raises(archive.ArchiveError, match="neither"):
        archive.load(storage, str(tmp_path / "no.tar"))


def unpacked(tmp_path: Path, data: bytes, media_type: str = manifest.LAYER_TAR) -> Path:
    digest = manifest.digest_of(gzip.decompress(data) if media_type.endswith("gzip") else data)
    layers.unpack(io.BytesIO(data), media_type, str(tmp_path), digest)
    return tmp_path / layers.directory_name(digest)


@pytest.mark.root
def test_an_archive_cannot_write_outside(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as packed:
        for name, kind, target, data in (
            ("link", tarfile.SYMTYPE, str(outside), b""),
            ("link/a", tarfile.REGTYPE, "", b"1"),
            ("up", tarfile.SYMTYPE, "../../../../../../.." + str(outside), b""),
            ("up/b", tarfile.REGTYPE, "", b"2"),
            ("/d", tarfile.REGTYPE, "", b"4"),
            ("hard", tarfile.LNKTYPE, "d", b""),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.size = kind, target, len(data)
            packed.addfile(info, io.BytesIO(data))
    (tmp_path / "layers").mkdir()
    found = unpacked(tmp_path / "layers", output.getvalue())
    assert list(outside.iterdir()) == []
    # The links lead to a place inside of the layer.
    inside = found / str(outside).lstrip("/")
    assert {p.name: p.read_text() for p in inside.iterdir()} == {"a": "1", "b": "2"}
    assert (found / "hard").stat().st_ino == (found / "d").stat().st_ino


@pytest.mark.root
def test_gzip_of_several_members_and_a_wrong_digest(tmp_path: Path) -> None:
    data = tar_of({"f": b"x" * 200_000})
    zipped = gzip.compress(data[:70_000]) + gzip.compress(data[70_000:])
    found = unpacked(tmp_path, zipped, "application/vnd.docker.image.rootfs.diff.tar.gzip")
    assert (found / "f").read_bytes() == b"x" * 200_000
    with pytest.raises(layers.LayerError, match="the image says"):
        layers.unpack(io.BytesIO(data), manifest.LAYER_TAR, str(tmp_path), "sha256:" + "0" * 64)


def fetch(
    method: str, url: str, data: bytes | None = None, **headers: str
) -> tuple[int, Any, bytes]:
    request = urllib.request.Request(url, data, headers, method=method)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as exc:
        return exc.code, exc.headers, exc.read()


def test_the_registry_takes_pushes_with_its_token_only(tmp_path: Path) -> None:
    async def body() -> None:
        storage = RegistryStorage(str(tmp_path))
        server = RegistryServer(storage, Secret("token"))
        base = f"http://127.0.0.1:{await server.start('127.0.0.1', 0)}"
        layer, config = image_parts()
        document = manifest.image_manifest(config, [manifest.descriptor(manifest.LAYER_TAR, layer)])

        def push() -> None:
            url = f"{base}/v2/gcr.io/p/q"
            assert fetch("POST", f"{url}/blobs/uploads/")[0] == 403
            assert fetch("PUT", f"{url}/manifests/1", b"{}", Authorization="Bearer no")[0] == 403
            login = {"Authorization": "Bearer token"}
            for data in (layer, config):
                status, headers, _ = fetch("POST", f"{url}/blobs/uploads/", b"", **login)
                assert status == 202
                at = base + headers["location"]
                assert fetch("PATCH", at, data, **login)[0] == 202
                digest = manifest.digest_of(data)
                assert fetch("PUT", f"{at}?digest={digest}", b"", **login)[0] == 201
                assert fetch("HEAD", f"{url}/blobs/{digest}")[0] == 200
            status, headers, _ = fetch("PUT", f"{url}/manifests/1", document, **login)
            assert (status, headers["docker-content-digest"]) == (201, manifest.digest_of(document))
            missing = manifest.image_manifest(config, [manifest.descriptor("x", b"absent")])
            assert fetch("PUT", f"{url}/manifests/2", missing, **login)[0] == 400
            assert fetch("GET", f"{base}/v2/p/q/manifests/1?ns=gcr.io")[2] == document
            assert fetch("GET", f"{base}/v2/p/q/manifests/1?ns=docker.io")[0] == 404
            assert json.loads(fetch("GET", f"{url}/tags/list")[2])["tags"] == ["1"]
            assert fetch("GET", f"{base}/v2/..%2f..%2fetc/blobs/passwd")[0] in (400, 404)
            assert fetch("GET", f"{base}/v2/")[0] == 200

        await asyncio.to_thread(push)
        await server.close()
        assert storage.resolve(parse("gcr.io/p/q:1")) == manifest.digest_of(document)

    asyncio.run(body())
