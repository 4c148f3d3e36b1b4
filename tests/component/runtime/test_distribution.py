"""The distribution client against a small registry with tokens, indexes, redirects and lies."""

import asyncio
import base64
import gzip
import io
import json
import os
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tiphys.lib.logs import Secret
from tiphys.runtime.images import manifest
from tiphys.runtime.images.distribution import Credentials, PullError
from tiphys.runtime.images.layers import directory_name
from tiphys.runtime.images.pull import Puller, machine
from tiphys.runtime.images.reference import parse
from tiphys.runtime.images.store import Image, ImageStore

pytestmark = pytest.mark.root  # Layers are unpacked with their owners.
NOBODY = Credentials()


class FakeRegistry(ThreadingHTTPServer):
    """documents by tag or digest, blobs by digest; `token` "" means open."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.documents: dict[str, bytes] = {}
        self.blobs: dict[str, bytes] = {}
        self.token = ""
        self.redirect = ""
        self.seen: list[tuple[str, str]] = []

    @property
    def host(self) -> str:
        return f"localhost:{self.server_address[1]}"

    def add_image(self, tag: str, layers: list[tuple[str, bytes, bytes]]) -> None:
        """Layers are (media type, packed, plain)."""
        ids = [manifest.digest_of(plain) for _, _, plain in layers]
        config = manifest.encode({"rootfs": {"type": "layers", "diff_ids": ids}, "config": {}})
        rows = [manifest.descriptor(kind, packed) for kind, packed, _ in layers]
        document = manifest.image_manifest(config, rows)
        for data in (config, *[packed for _, packed, _ in layers]):
            self.blobs[manifest.digest_of(data)] = data
        arch = manifest.ARCHITECTURES[os.uname().machine]
        index = {
            "mediaType": manifest.INDEX_TYPES[0],
            "manifests": [
                {
                    "digest": "sha256:" + "0" * 64,
                    "platform": {"os": "linux", "architecture": "s390x"},
                },
                {
                    "digest": manifest.digest_of(document),
                    "platform": {"os": "linux", "architecture": arch},
                },
            ],
        }
        self.documents[manifest.digest_of(document)] = document
        listed = manifest.encode(index)
        self.documents |= {tag: listed, manifest.digest_of(listed): listed}


class Handler(BaseHTTPRequestHandler):
    server: FakeRegistry

    def log_message(self, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        registry = self.server
        path, _, query = self.path.partition("?")
        authorization = self.headers.get("authorization", "")
        registry.seen.append((path, authorization))
        if path == "/token":
            wanted = "Basic " + base64.b64encode(b"user:secret").decode()
            assert "scope=repository%3Aa%2Fb%3Apull" in query
            answer = {"token": registry.token if authorization == wanted else "none"}
            self.reply(200, json.dumps(answer).encode())
        elif registry.token and authorization != f"Bearer {registry.token}":
            realm = f'Bearer realm="http://{registry.host}/token",service="s"'
            self.reply(401, b"", ("www-authenticate", realm))
        elif registry.redirect and "/blobs/" in path:
            self.reply(307, b"", ("location", registry.redirect + path))
        else:
            name = path.rpartition("/")[2]
            data = (registry.blobs if "/blobs/" in path else registry.documents).get(name)
            self.reply(404 if data is None else 200, data or b"")

    def reply(self, status: int, body: bytes, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for key, value in (*headers, ("content-length", str(len(body)))):
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serving() -> Iterator[FakeRegistry]:
    registry = FakeRegistry()
    thread = threading.Thread(target=registry.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield registry
    registry.shutdown()
    registry.server_close()
    thread.join()


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with serving() as found:
        yield found


def a_layer(text: bytes) -> bytes:
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as archive:
        info = tarfile.TarInfo("file")
        info.size = len(text)
        archive.addfile(info, io.BytesIO(text))
    return output.getvalue()


def pull(tmp_path: Path, name: str, credentials: Credentials = NOBODY) -> tuple[Image, ImageStore]:
    store = ImageStore(str(tmp_path / "images"))

    async def body() -> Image:
        return await Puller(store, {}, machine()).pull(parse(name), credentials)

    return asyncio.run(body()), store


def gzipped(data: bytes) -> tuple[str, bytes, bytes]:
    return "application/vnd.oci.image.layer.v1.tar+gzip", gzip.compress(data), data


def test_an_index_leads_to_the_image_of_this_machine(
    registry: FakeRegistry, tmp_path: Path
) -> None:
    layers = [gzipped(a_layer(b"one")), gzipped(a_layer(b"two"))]
    registry.add_image("1", layers)
    image, store = pull(tmp_path, f"{registry.host}/a/b:1")
    assert image.tags == [f"{registry.host}/a/b:1"]
    index = manifest.digest_of(registry.documents["1"])
    assert image.digests == [f"{registry.host}/a/b@{index}"]
    texts = [Path(store.layers_dir, name, "file").read_bytes() for name in image.layers]
    assert texts == [b"one", b"two"]
    again, _ = pull(tmp_path, f"{registry.host}/a/b@{index}")
    assert again.id == image.id
    blobs = [path for path, _ in registry.seen if "/blobs/" in path]
    assert len(blobs) == len(set(blobs)) + 1  # Only the config is asked for again.


def test_tokens_are_fetched_with_the_password(registry: FakeRegistry, tmp_path: Path) -> None:
    registry.token = "t0ken"
    registry.add_image("latest", [gzipped(a_layer(b"x"))])
    with pytest.raises(PullError, match="pull access denied") as denied:
        pull(tmp_path, f"{registry.host}/a/b")
    assert denied.value.missing
    image, _ = pull(tmp_path, f"{registry.host}/a/b", Credentials("user", Secret("secret")))
    assert image.layers


def test_a_redirect_does_not_carry_the_token_away(registry: FakeRegistry, tmp_path: Path) -> None:
    with serving() as other:
        registry.token = "t0ken"
        registry.add_image("latest", [gzipped(a_layer(b"x"))])
        other.blobs = registry.blobs
        registry.redirect = f"http://127.0.0.1:{other.server_address[1]}"
        pull(tmp_path, f"{registry.host}/a/b", Credentials("user", Secret("secret")))
        assert other.seen
        assert {authorization for _, authorization in other.seen} == {""}


def test_what_does_not_have_its_digest_is_refused(registry: FakeRegistry, tmp_path: Path) -> None:
    kind, packed, plain = gzipped(a_layer(b"x"))
    registry.add_image("latest", [(kind, packed, plain)])
    registry.blobs[manifest.digest_of(packed)] = packed + b"!"
    with pytest.raises(PullError, match="sent something else"):
        pull(tmp_path, f"{registry.host}/a/b")
    registry.add_image("latest", [(kind, packed, plain + b"other")])
    with pytest.raises(PullError, match="the image says"):
        pull(tmp_path, f"{registry.host}/a/b")
    layers = tmp_path / "images" / "layers"
    assert list(layers.iterdir()) == []


@pytest.mark.skipif(shutil.which("zstd") is None, reason="no zstd program")
def test_zstd_layers(registry: FakeRegistry, tmp_path: Path) -> None:
    plain = a_layer(b"z" * 100_000)
    packed = subprocess.run(["zstd", "-c"], input=plain, capture_output=True, check=True).stdout
    registry.add_image("latest", [("application/vnd.oci.image.layer.v1.tar+zstd", packed, plain)])
    image, store = pull(tmp_path, f"{registry.host}/a/b")
    assert image.layers == [directory_name(manifest.digest_of(plain))]
    assert Path(store.layers_dir, image.layers[0], "file").stat().st_size == 100_000


def test_missing_and_unreachable_are_told_apart(registry: FakeRegistry, tmp_path: Path) -> None:
    with pytest.raises(PullError) as missing:
        pull(tmp_path, f"{registry.host}/a/b:nope")
    assert missing.value.missing
    assert str(missing.value).endswith(f"{registry.host}/a/b:nope: not found")
    with pytest.raises(PullError, match=r"failed to do request.*dial tcp localhost:1") as down:
        pull(tmp_path, "localhost:1/a/b")
    assert not down.value.missing
