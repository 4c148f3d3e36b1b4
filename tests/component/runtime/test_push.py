"""Images pushed to a registry and pulled again, with a token and without."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from component.runtime.test_distribution import FakeRegistry, serving
from tiphys.lib.logs import Secret
from tiphys.runtime.images import bundled, manifest, push, registry_pull, save
from tiphys.runtime.images.archive import load
from tiphys.runtime.images.distribution import Credentials, PullError
from tiphys.runtime.images.pull import machine
from tiphys.runtime.images.push import PushError
from tiphys.runtime.images.reference import parse
from tiphys.runtime.images.registry import RegistryServer
from tiphys.runtime.images.registry_storage import RegistryStorage

TOKEN = Secret("let-me-in")


def quiet(text: str) -> None:
    """Nobody listens."""


@contextmanager
def a_registry(directory: Path) -> Iterator[tuple[str, RegistryStorage]]:
    """Our own registry, which takes pushes with a token, in a thread."""
    storage = RegistryStorage(str(directory))
    server = RegistryServer(storage, TOKEN)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        port = asyncio.run_coroutine_threadsafe(server.start("127.0.0.1", 0), loop).result()
        yield f"127.0.0.1:{port}", storage
        asyncio.run_coroutine_threadsafe(server.close(), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def a_storage(directory: Path, name: str) -> RegistryStorage:
    storage = RegistryStorage(str(directory))
    entries = {"f": bundled.Entry(b"x" * 200_000, mode=0o644)}
    layers = [bundled.layer(entries), bundled.layer({"g": bundled.Entry()})]
    bundled.write_image(storage, (name,), layers, {"Cmd": ["/f"]})
    return storage


def test_an_image_is_pushed_once_and_pulled_again(tmp_path: Path) -> None:
    with a_registry(tmp_path / "remote") as (host, remote):
        name = parse(f"{host}/some/where/x:1")
        local = a_storage(tmp_path / "local", str(name))
        said: list[str] = []
        login = Credentials(token=TOKEN)
        digest = asyncio.run(push.push(local, name, login, said.append))
        asyncio.run(push.push(local, name, login, said.append))
        assert [line.partition(": ")[2] for line in said] == ["Pushed"] * 3 + [
            "Layer already exists"
        ] * 3
        # Our registry keeps names as docker.io's when nobody says whose mirror it is.
        assert [str(one) for one, _ in remote.list()] == ["docker.io/some/where/x:1"]
        again = RegistryStorage(str(tmp_path / "again"))
        found = asyncio.run(registry_pull.pull(again, name, Credentials(), machine(), said.append))
        assert found == digest == again.resolve(name)


def test_a_push_without_the_right_is_told(tmp_path: Path) -> None:
    with a_registry(tmp_path / "remote") as (host, remote):
        name = parse(f"{host}/x/y:1")
        local = a_storage(tmp_path / "local", str(name))
        with pytest.raises(PushError, match="denied: requested access"):
            asyncio.run(push.push(local, name, Credentials(), quiet))
        with pytest.raises(PushError, match="does not exist locally"):
            asyncio.run(push.push(local, parse(f"{host}/no:1"), Credentials(), quiet))
        assert remote.list() == []


def test_a_pull_that_lies_leaves_nothing(tmp_path: Path) -> None:
    with serving() as registry:
        data = bundled.layer({"f": bundled.Entry(b"1", mode=0o644)})
        registry.add_image("1", [(manifest.LAYER_TAR, data, data + b"other")])
        storage = RegistryStorage(str(tmp_path))
        with pytest.raises(PullError, match="the image says"):
            asyncio.run(
                registry_pull.pull(
                    storage, parse(f"{registry.host}/a/b:1"), Credentials(), machine(), quiet
                )
            )
        assert (list(storage.blobs()), storage.list()) == ([], [])
        assert isinstance(registry, FakeRegistry)


@pytest.mark.parametrize("form", ["archive", "directory"])
def test_saved_images_are_loaded_again(tmp_path: Path, form: str) -> None:
    storage = a_storage(tmp_path / "one", "nb/x:1")
    bundled.write_image(storage, ("nb/y:2",), [bundled.layer({"y": bundled.Entry()})], {})
    names = [parse("nb/x:1"), parse("nb/y:2")]
    place = tmp_path / "saved"
    if form == "archive":
        with place.open("wb") as file:
            save.save_archive(storage, names, file, machine())
        first = place.read_bytes()
        with place.open("wb") as file:
            save.save_archive(storage, names, file, machine())
        assert place.read_bytes() == first
    else:
        save.save(storage, names, save.DirectoryTarget(str(place)), machine())
    again = RegistryStorage(str(tmp_path / "two"))
    assert load(again, str(place)) == names
    # A directory has its index read, an archive docker's list: the config is the image either way.
    assert [again.has_blob(digest) for digest in storage.blobs()][:1] == [True]
    assert {str(name) for name, _ in again.list()} == {str(name) for name in names}


def test_sweeping_keeps_what_a_name_leads_to(tmp_path: Path) -> None:
    storage = a_storage(tmp_path, "nb/x:1")
    orphan = storage.put_blob(b"nobody's")
    with storage.writing():
        assert storage.sweep() == []
    assert storage.sweep() == [orphan]
    assert storage.remove_tag(parse("nb/x:1"))
    assert len(storage.sweep()) == 4
    assert list(storage.blobs()) == []
