"""From a Python program to a URL in one command, and again after an edit."""

import subprocess
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.clusters import TIPHYS, Cluster, until

PROGRAM = """
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from helper import TEXT
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(TEXT.encode())
ThreadingHTTPServer(("ADDRESS", PORT), Handler).serve_forever()
"""


def program(text: str, address: str = "", port: str = "8000") -> str:
    source = PROGRAM.replace("ADDRESS", address).replace("PORT", port)
    return source.replace("from helper import TEXT", f"TEXT = {text!r}")


def fetch(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


def url_of(line: str) -> str:
    return next(word for word in line.split() if word.startswith("http://"))


@pytest.fixture
def folder(cluster: Cluster, tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    for name in ("hello", "shop", "ended", "inside"):
        cluster.tiphys("run", "--delete", str(tmp_path / f"{name}.py"), check=False)


def test_a_program_runs_and_runs_again_after_an_edit(cluster: Cluster, folder: Path) -> None:
    file = folder / "hello.py"
    file.write_text(program("one"))
    url = url_of(cluster.tiphys("run", str(file)).stdout)
    assert fetch(url) == "one"
    file.write_text(program("two"))
    assert url_of(cluster.tiphys("run", str(file)).stdout) == url
    until(lambda: fetch(url) == "two", seconds=2, what="the new program answers")
    names = cluster.kubectl("get", "deployments,services", "-n", "default", "-o", "name")
    assert "deployment.apps/hello" in names
    assert "service/hello" in names
    assert cluster.tiphys("run", "--delete", str(file)).stdout == "hello deleted\n"
    assert cluster.tiphys("run", "--delete", str(file)).stdout == "hello does not run\n"


def test_watching_a_project_with_a_dependency(cluster: Cluster, folder: Path) -> None:
    wheel = folder / "helper-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("helper.py", "TEXT = 'packaged'\n")
        info = "Metadata-Version: 2.1\nName: helper\nVersion: 1.0\n"
        archive.writestr("helper-1.0.dist-info/METADATA", info)
        archive.writestr("helper-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("helper-1.0.dist-info/RECORD", "")
    project = folder / "project"
    project.mkdir()
    source = PROGRAM.replace("ADDRESS", "").replace("PORT", 'int(os.environ["PORT"])')
    (project / "main.py").write_text(source)
    (project / "pyproject.toml").write_text(
        f'[project]\nname = "shop"\ndependencies = ["helper @ file://{wheel}"]\n'
    )
    process = subprocess.Popen(
        [str(TIPHYS), "-p", cluster.name, "run", "--watch", "--port", "8090", str(project)],
        stdout=subprocess.PIPE,
        text=True,
        env=cluster.env,
    )
    try:
        assert process.stdout is not None
        url = url_of(process.stdout.readline())
        assert fetch(url) == "packaged"
        (project / "main.py").write_text(source.replace("TEXT.encode()", "b'edited'"))
        assert url_of(process.stdout.readline()) == url
        until(lambda: fetch(url) == "edited", seconds=5, what="the edit is served")
    finally:
        process.terminate()
        process.wait()


@pytest.mark.parametrize(
    ("name", "text", "code", "why"),
    [
        ("ended", "print('last words')\nraise SystemExit(3)\n", 105, "exit code 3"),
        ("inside", program("x", address="127.0.0.1"), 106, "listens on 127.0.0.1:8000 only"),
    ],
)
def test_a_program_that_does_not_serve_is_told(
    cluster: Cluster, folder: Path, name: str, text: str, code: int, why: str
) -> None:
    file = folder / f"{name}.py"
    file.write_text(text)
    done = cluster.tiphys("run", str(file), check=False)
    assert done.returncode == code
    assert why in done.stderr
    if name == "ended":
        assert "last words" in done.stderr


def test_somebody_elses_deployment_is_left_alone(cluster: Cluster, folder: Path) -> None:
    cluster.kubectl("create", "deployment", "hello", "--image=busybox", "-n", "default")
    (folder / "hello.py").write_text(program("x"))
    done = cluster.tiphys("run", str(folder / "hello.py"), check=False)
    assert "that `tiphys run` did not make" in done.stderr
    cluster.kubectl("delete", "deployment", "hello", "-n", "default")
