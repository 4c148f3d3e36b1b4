"""A throw-away cluster for tests: its own state, its own kubeconfig, gone afterwards."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

TIPHYS = Path(sys.executable).parent / "tiphys"


def kubectls() -> list[Path]:
    """The oldest and the newest kubectl beside the one on PATH, or that one alone."""
    found = shutil.which("kubectl")
    if found is None:
        return []
    real = Path(found).resolve()
    beside = sorted(real.parent.glob("kubectl.1.*"), key=lambda p: int(p.name.split(".")[-1]))
    return [beside[0], beside[-1]] if len(beside) > 1 else [real]


def until(condition: Callable[[], Any], seconds: float = 30.0, what: str = "") -> Any:
    """Wait for a condition; its value when it is true."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() >= deadline:
            raise AssertionError(f"not in {seconds:g} s: {what or condition}")
        time.sleep(0.05)


class Cluster:
    prefix: Sequence[str] = ()  # What leads to the machine on which commands run.

    def __init__(self, name: str, home: Path | None = None) -> None:
        self.name = name
        # Short: paths of sockets below it must stay under 108 bytes.
        self.home = home or Path(tempfile.mkdtemp(prefix="ty", dir="/tmp"))
        self.kubeconfig = self.home / f"{name}.kubeconfig"
        self.env = {
            **os.environ,
            "TIPHYS_HOME": str(self.home),
            "KUBECONFIG": str(self.kubeconfig),
        }

    def tiphys(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*self.prefix, str(TIPHYS), "-p", self.name, *arguments],
            capture_output=True,
            text=True,
            env=self.env,
            timeout=180,
            check=False,
        )
        if check and done.returncode != 0:
            raise AssertionError(f"tiphys {' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done

    def start(self, *arguments: str) -> None:
        self.tiphys("start", "--wait", *arguments)

    def delete(self) -> None:
        self.tiphys("delete")
        if not any(self.home.glob("*.kubeconfig")) and not (self.home / "run").exists():
            shutil.rmtree(self.home, ignore_errors=True)

    def kubectl(self, *arguments: str, stdin: str = "", check: bool = True) -> str:
        """Our own client; standard output, or the error's text when check is False."""
        return self.run(["kubectl", *arguments], stdin=stdin, check=check)

    def run(self, words: list[str], *, stdin: str = "", check: bool = True) -> str:
        done = subprocess.run(
            [*self.prefix, str(TIPHYS), "-p", self.name, *words],
            input=stdin,
            capture_output=True,
            text=True,
            env=self.env,
            timeout=120,
            check=False,
        )
        if check and done.returncode != 0:
            raise AssertionError(f"tiphys {' '.join(words)}: {done.stdout}{done.stderr}")
        return done.stdout + (done.stderr if not check else "")

    def real(self, kubectl: Path, *arguments: str, stdin: str = "", check: bool = True) -> str:
        """A real kubectl."""
        done = subprocess.run(
            [*self.prefix, str(kubectl), *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            env=self.env,
            timeout=120,
            check=False,
        )
        if check and done.returncode != 0:
            raise AssertionError(f"kubectl {' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def get(self, *arguments: str) -> Any:
        """The JSON of `kubectl get`."""
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def status(self) -> Any:
        return json.loads(self.tiphys("status", "-o", "json", check=False).stdout)

    def pids(self, component: str = "") -> list[int]:
        return [
            p["pid"]
            for p in self.status()["processes"]
            if p["component"] == component or (not component and p["component"] != "shim")
        ]

    def shims(self) -> list[int]:
        return self.pids("shim")

    def running_pods(self, selector: str, namespace: str = "default") -> list[Any]:
        """Pods of a selector that are ready."""
        items = self.get("pods", "-l", selector, "-n", namespace)["items"]
        return [p for p in items if is_ready(p)]


def is_ready(pod: Any) -> bool:
    conditions = pod.get("status", {}).get("conditions") or []
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def container_processes(container_id: str) -> set[tuple[int, str]]:
    """(pid, start time) of every process in a container's cgroup."""
    found = set()
    for path in Path("/proc").iterdir():
        if not path.name.isdigit():
            continue
        try:
            if container_id[:12] in (path / "cgroup").read_text():
                fields = (path / "stat").read_text().rsplit(")", 1)[1].split()
                found.add((int(path.name), fields[19]))
        except OSError:
            continue
    return found
