"""`tiphys image`: what is loaded is listed, and errors say what to do."""

import json
from pathlib import Path

import pytest

from tiphys.__main__ import main
from tiphys.runtime.images import bundled
from tiphys.runtime.images.registry_storage import RegistryStorage


def test_load_and_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TIPHYS_HOME", str(tmp_path))
    assert main(["image", "ls"]) == 0
    assert capsys.readouterr().out == "No images\n"
    directory = tmp_path / "state" / ".cache" / "registry"
    bundled.write_image(RegistryStorage(str(directory)), ("gcr.io/a/b:1",), [b"x" * 2000], {})
    assert main(["image", "ls"]) == 0
    header, row = capsys.readouterr().out.splitlines()
    assert header.split() == ["REPOSITORY", "TAG", "DIGEST", "SIZE"]
    assert row.split()[:2] == ["gcr.io/a/b", "1"]
    assert main(["image", "ls", "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["repository"] == "gcr.io/a/b"
    assert main(["image", "load", str(tmp_path / "none.tar")]) == 92
    error = capsys.readouterr().err
    assert error.startswith("Error: cannot load images: ")
    assert "docker save" in error
