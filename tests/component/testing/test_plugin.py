"""The fixtures as a user's project has them: a pytest of its own, in a process of its own."""

import subprocess
import sys
from pathlib import Path

TESTS = '''
import pytest

seen = []

def test_one(tiphys_cluster):
    tiphys_cluster.objects.create("""
apiVersion: v1
kind: ConfigMap
metadata: {name: a}
""")
    seen.append(tiphys_cluster.url)

def test_each_has_its_own(tiphys_cluster):
    assert "a" not in tiphys_cluster.objects.names("configmaps")

@pytest.mark.tiphys(nodes=3, time="frozen")
def test_marked(tiphys_cluster):
    before = tiphys_cluster.clock.now()
    assert tiphys_cluster.objects.names("nodes") == ["node-1", "node-2", "node-3"]
    assert tiphys_cluster.clock.now() == before

def test_shared_one(tiphys_session_cluster):
    tiphys_session_cluster.objects.create({"apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": "mine"}})

def test_shared_two(tiphys_session_cluster):
    assert "mine" in tiphys_session_cluster.objects.names("namespaces")

def test_failing(tiphys_cluster):
    tiphys_cluster.objects.create("""
apiVersion: v1
kind: Pod
metadata: {name: stuck, annotations: {testing.tiphys.io/rule: never}}
spec: {containers: [{name: main, image: nginx}]}
""")
    tiphys_cluster.wait_for("pod/stuck", "phase=Pending")
    assert False, "as planned"
'''


def run(directory: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    plugin = ["-p", "tiphys.testing.plugin", "-p", "no:cacheprovider"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *plugin, *options],
        cwd=directory,
        env={"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_fixtures_marker_and_story(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(TESTS)
    done = run(tmp_path, "--strict-markers")
    assert "5 passed" in done.stdout, done.stdout + done.stderr
    assert "1 failed" in done.stdout
    assert "- tiphys cluster -" in done.stdout
    assert "pods/default/stuck: phase Pending" in done.stdout


def test_options(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(
        "def test_it(tiphys_cluster):\n"
        "    assert len(tiphys_cluster.objects.list('nodes')) == 2\n"
        "    assert tiphys_cluster.options.frozen\n"
        "    assert tiphys_cluster.options.seed == 5\n"
    )
    options = ("--tiphys-nodes=2", "--tiphys-seed=5", "--tiphys-time=frozen")
    done = run(tmp_path, *options)
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_unused_it_imports_nothing(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(
        "import sys\n"
        "def test_it():\n"
        "    mine = [m for m in sys.modules if m.startswith('tiphys.')]\n"
        "    assert sorted(mine) == ['tiphys.testing', 'tiphys.testing.plugin']\n"
    )
    done = run(tmp_path)
    assert "1 passed" in done.stdout, done.stdout + done.stderr
