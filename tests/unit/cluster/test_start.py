"""What a start that failed leaves behind."""

import socket
from pathlib import Path

import pytest

from tiphys.__main__ import main


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TIPHYS_HOME", str(tmp_path))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    return tmp_path


def test_a_first_start_that_chose_nothing_leaves_nothing(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main(["start", "-p", "none", "--nodes", "0", "--apiserver-port", port]) == 22
    assert f"port {port} is in use" in capsys.readouterr().err
    assert [p.name for p in home.rglob("*") if p.name not in ("state", "run")] == []
