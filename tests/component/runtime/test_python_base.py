"""The base image of Python programs: the same each time, and it runs."""

import os
import py_compile
import subprocess
import sys
from pathlib import Path

import pytest

from tiphys.runtime.images import bundled, layers, python_base, stored_image
from tiphys.runtime.images.pull import machine
from tiphys.runtime.images.registry_storage import RegistryStorage


def test_the_image_is_the_same_each_time_and_shares_busyboxs_layer(tmp_path: Path) -> None:
    found = []
    for number in range(2):
        storage = RegistryStorage(str(tmp_path / str(number)))
        found.append(python_base.ensure(storage))
        assert python_base.ensure(storage).id == found[0].id
    assert found[0].digest == found[1].digest
    busybox = stored_image.read(
        storage, bundled.build(storage)["docker.io/library/busybox:latest"], machine()
    )
    assert found[0].layers[:1] == busybox.layers
    assert found[0].size_bytes < 120e6


@pytest.mark.root
def test_its_interpreter_imports_what_servers_need(tmp_path: Path) -> None:
    storage = RegistryStorage(str(tmp_path / "registry"))
    image = python_base.ensure(storage)
    root = tmp_path / "root"
    root.mkdir()
    for layer in image.layers:
        with storage.open_blob(layer.digest) as file:
            layers.unpack(file, layer.media_type, str(tmp_path), layer.diff_id)
        directory = tmp_path / layers.directory_name(layer.diff_id)
        subprocess.run(["cp", "-al", f"{directory}/.", str(root)], check=True)
    code = (
        "import ssl, sqlite3, asyncio, http.server, json, decimal, sys; print(sys.version_info[:2])"
    )
    environment = dict(one.split("=", 1) for one in image.process["Env"])
    done = subprocess.run(
        ["chroot", str(root), "python3", "-v", "-c", code],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    assert done.stdout.strip() == str(sys.version_info[:2])
    # Compiled modules are taken as they are: nothing is compiled again.
    assert "json/__pycache__/__init__" in done.stderr
    assert "wrote" not in done.stderr


def test_a_compiled_module_of_another_source_is_left_out(tmp_path: Path) -> None:
    source = tmp_path / "m.py"
    source.write_text("x = 1\n")
    compiled = py_compile.compile(str(source), doraise=True)
    assert compiled is not None
    assert python_base.hashed(compiled) is not None
    os.utime(source, (1, 1))
    assert python_base.hashed(compiled) is None
    source.unlink()
    assert python_base.hashed(compiled) is None
