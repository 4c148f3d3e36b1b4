"""Secrets at rest: what the files of the store hold, key changes, the way back, a lost key."""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop
import yaml

from support.api_server import Api, start
from support.etcd import etcd
from tiphys.lib.clock import SystemClock
from tiphys.storage.backend import Backend, StorageError
from tiphys.storage.etcd.backend import EtcdBackend
from tiphys.storage.sqlite import SqliteBackend

SECRETS = "/api/v1/namespaces/default/secrets"
MAPS = "/api/v1/namespaces/default/configmaps"
WORD = b"correct-horse-battery-staple"
HIDDEN = base64.b64encode(WORD).decode()
KEY = "/registry/secrets/default/s"
ONE: dict[str, Any] = {"name": "one", "secret": base64.b64encode(bytes(32)).decode()}
TWO: dict[str, Any] = {"name": "two", "secret": base64.b64encode(bytes(range(32))).decode()}
IDENTITY: dict[str, Any] = {"identity": {}}
Work = Callable[[Api], Awaitable[None]]


def configuration(directory: Path, *providers: dict[str, Any]) -> Path:
    path = directory / "encryption.yaml"
    document = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "EncryptionConfiguration",
        "resources": [{"resources": ["secrets"], "providers": list(providers)}],
    }
    path.write_text(yaml.safe_dump(document))
    return path


def gcm(*keys: dict[str, Any]) -> dict[str, Any]:
    return {"aesgcm": {"keys": list(keys)}}


async def serve(directory: Path, backend: Backend, config: Path | None, work: Work) -> None:
    running, listening = await start(directory, backend, encryption_config=config)
    try:
        async with asyncio.timeout(20):
            await work(running.client())
    finally:
        await listening.__aexit__()


async def write(api: Api) -> None:
    await api("POST", SECRETS, {"metadata": {"name": "s"}, "data": {"word": HIDDEN}})
    await api("POST", MAPS, {"metadata": {"name": "m"}, "data": {"word": "an-open-word"}})


async def read(api: Api) -> None:
    code, secret = await api("GET", f"{SECRETS}/s")
    assert (code, secret["data"]) == (200, {"word": HIDDEN})


class Files:
    """A store on the disk, opened again for each server."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    async def serve(self, work: Work, *providers: dict[str, Any]) -> None:
        backend = await SqliteBackend.open(self.directory / "state.db", SystemClock())
        config = configuration(self.directory, *providers) if providers else None
        try:
            await serve(self.directory, backend, config, work)
        finally:
            await backend.close()

    async def raw(self) -> bytes:
        backend = await SqliteBackend.open(self.directory / "state.db", SystemClock())
        found = await backend.get(KEY)
        await backend.close()
        assert found is not None
        return found.value

    def bytes(self) -> bytes:
        return b"".join(p.read_bytes() for p in sorted(self.directory.glob("state.db*")))


def test_the_files_of_the_store_do_not_hold_the_secret(tmp_path: Path) -> None:
    async def story() -> None:
        files = Files(tmp_path)

        async def work(api: Api) -> None:
            await write(api)
            stream = await api.http.stream("GET", f"{SECRETS}?watch=true&resourceVersion=0")
            assert HIDDEN.encode() in await anext(aiter(stream.lines()))
            stream.close()
            await api(
                "PATCH",
                f"{SECRETS}/s",
                {"data": {"more": HIDDEN}},
                {"content-type": "application/merge-patch+json"},
            )
            # While it runs, with what is only in the journal.
            assert HIDDEN.encode() not in files.bytes()

        await files.serve(work, gcm(ONE))
        held = files.bytes()
        assert b"an-open-word" in held
        assert b"k8s:enc:aesgcm:v1:one:" in held
        assert HIDDEN.encode() not in held
        assert WORD not in held

        async def later(api: Api) -> None:
            _, secret = await api("GET", f"{SECRETS}/s")
            assert secret["data"] == {"word": HIDDEN, "more": HIDDEN}

        await files.serve(later, gcm(ONE))

    uvloop.run(story())


def test_keys_change_and_what_is_stored_follows(tmp_path: Path) -> None:
    async def story() -> None:
        files = Files(tmp_path)
        await files.serve(write)
        assert HIDDEN.encode() in await files.raw()
        for providers, starts in (
            ((gcm(ONE), IDENTITY), b"k8s:enc:aesgcm:v1:one:"),
            ((gcm(ONE, TWO),), b"k8s:enc:aesgcm:v1:one:"),
            ((gcm(TWO, ONE),), b"k8s:enc:aesgcm:v1:two:"),
            ((gcm(TWO),), b"k8s:enc:aesgcm:v1:two:"),
            (({"aescbc": {"keys": [ONE]}}, gcm(TWO)), b"k8s:enc:aescbc:v1:one:"),
            ((IDENTITY, {"aescbc": {"keys": [ONE]}}), b'{"kind":"Secret"'),
            ((), b'{"kind":"Secret"'),
        ):
            await files.serve(read, *providers)
            assert (await files.raw()).startswith(starts)

    uvloop.run(story())


@pytest.mark.parametrize(
    ("providers", "why"),
    [
        ((gcm(TWO),), f"{KEY} is encrypted with the key 'one'"),
        ((gcm(TWO | {"name": "one"}),), f"{KEY} cannot be decrypted"),
        ((IDENTITY,), f"{KEY} is encrypted, and no provider"),
        ((), f"{KEY} is encrypted: start with the encryption configuration"),
    ],
)
def test_without_the_key_no_server_starts(
    tmp_path: Path, providers: tuple[dict[str, Any], ...], why: str
) -> None:
    async def story() -> None:
        files = Files(tmp_path)
        await files.serve(write, gcm(ONE))
        with pytest.raises(StorageError, match=why):
            await files.serve(read, *providers)
        await files.serve(read, gcm(ONE))  # Nothing was lost.

    uvloop.run(story())


def test_etcd_gets_sealed_values(tmp_path: Path) -> None:
    async def story() -> None:
        with etcd() as cluster:
            clock = SystemClock()
            backend = await EtcdBackend.open(cluster.endpoints, cluster.tls(), clock)
            try:
                config = configuration(tmp_path, gcm(ONE))
                await serve(tmp_path, backend, config, write)
                found = await backend.get(KEY)
                assert found is not None
                assert found.value.startswith(b"k8s:enc:aesgcm:v1:one:")
                await serve(tmp_path, backend, config, read)
            finally:
                await backend.close()

    uvloop.run(story())
