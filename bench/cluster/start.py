"""From nothing to a usable cluster, an answer through a Service, pods running; idle cost.

    python bench/cluster/start.py [ROUNDS]

Prints medians of: API server ready and node ready (`tiphys start --wait`), hello-node answering
through its Service, one pod from create to Running on a watch, 30 pods at once, the wall time of
`tiphys kubectl get pods`; then proportional memory and CPU of the idle cluster.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

TIPHYS = str(Path(sys.executable).with_name("tiphys"))
PROFILE = "bench"
HELLO = "gcr.io/hello-minikube-zero-install/hello-node"
TICKS = os.sysconf("SC_CLK_TCK")
IDLE_SECONDS = 10


def tiphys(*arguments: str, check: bool = True) -> str:
    done = subprocess.run(
        [TIPHYS, "-p", PROFILE, *arguments], capture_output=True, text=True, check=False
    )
    if check and done.returncode:
        raise SystemExit(f"tiphys {' '.join(arguments)}: {done.stderr}")
    return done.stdout


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit("the condition did not come true")
        time.sleep(0.005)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as found:
            return b"Hello" in found.read()
    except OSError:
        return False


def one_start() -> dict[str, float]:
    """Seconds since `tiphys start` until each step."""
    tiphys("delete")
    began = time.monotonic()
    text = tiphys("start", "--wait", "-o", "json")
    found = {"usable": time.monotonic() - began}
    passed = 0.0
    for line in text.splitlines():
        step = json.loads(line)
        passed += step.get("seconds", 0) if "step" in step else 0
        if step.get("step") == "API server ready":
            found["API server ready"] = passed
        if step.get("step") == "node ready":
            found["node ready"] = passed
    tiphys("kubectl", "create", "deployment", "hello-node", f"--image={HELLO}")
    tiphys("kubectl", "expose", "deployment", "hello-node", "--type=NodePort", "--port=8080")
    url = tiphys("service", "hello-node", "--url").strip()
    until(lambda: answers(url))
    found["hello-node answers"] = time.monotonic() - began
    return found


def pod(name: str) -> bytes:
    container = {"name": "c", "image": "busybox", "imagePullPolicy": "IfNotPresent"}
    container["command"] = ["sleep", "3600"]  # type: ignore[assignment]
    spec = {"containers": [container], "terminationGracePeriodSeconds": 0}
    obj = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
    return json.dumps(obj).encode()


class Api:
    """One connection as the administrator."""

    def __init__(self) -> None:
        import http.client

        from tiphys.client import kubeconfig

        state = Path(os.environ.get("TIPHYS_HOME", "/var/lib/tiphys"))
        path = state / ("state" if "TIPHYS_HOME" in os.environ else "") / PROFILE
        access = kubeconfig.load(path / "kubeconfigs" / "admin.conf")
        host, port = access.server.removeprefix("https://").split(":")
        self.connection = http.client.HTTPSConnection(host, int(port), context=access.tls())

    def request(self, method: str, path: str, body: bytes | None = None) -> Any:
        headers = {"Content-Type": "application/json"} if body else {}
        self.connection.request(method, path, body, headers)
        return json.loads(self.connection.getresponse().read())

    def running(self) -> int:
        items = self.request("GET", "/api/v1/namespaces/default/pods")["items"]
        return sum(i["status"].get("phase") == "Running" for i in items)


def _until_running(api: Api, count: int) -> None:
    until(lambda: api.running() >= count)


def pods(api: Api, rounds: int) -> dict[str, float]:
    path = "/api/v1/namespaces/default/pods"
    base = api.running()
    api.request("POST", path, pod("warm"))
    until(lambda: api.running() == base + 1)
    times = []
    for number in range(rounds):
        began = time.monotonic()
        api.request("POST", path, pod(f"one{number}"))
        _until_running(api, base + 2)
        times.append(time.monotonic() - began)
        base += 1
    began = time.monotonic()
    for number in range(30):
        api.request("POST", path, pod(f"many{number}"))
    until(lambda: api.running() == base + 1 + 30)
    return {"one pod Running": statistics.median(times), "30 pods": time.monotonic() - began}


def processes() -> list[int]:
    return [p["pid"] for p in json.loads(tiphys("status", "-o", "json"))["processes"]]


def pss_mb(pids: list[int]) -> float:
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total / 1024


def ticks(pids: list[int]) -> int:
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total


def idle() -> None:
    tiphys("delete")
    tiphys("start", "--wait")
    time.sleep(8)
    pids = processes()
    before = ticks(pids)
    time.sleep(IDLE_SECONDS)
    share = (ticks(pids) - before) / TICKS / IDLE_SECONDS
    print(f"idle: {pss_mb(pids):.0f} MB PSS, {share:.1%} of one core")


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    with tempfile.TemporaryDirectory() as directory:
        os.environ["KUBECONFIG"] = f"{directory}/config"
        try:
            starts = [one_start() for _ in range(rounds)]
            for step in starts[0]:
                print(f"{step}: {statistics.median(s[step] for s in starts):.2f} s")
            for what, seconds in pods(Api(), 5).items():
                print(f"{what}: {seconds:.3f} s")
            walls = []
            for _ in range(5):
                began = time.monotonic()
                tiphys("kubectl", "get", "pods")
                walls.append(time.monotonic() - began)
            print(f"tiphys kubectl get pods: {statistics.median(walls) * 1000:.0f} ms")
            idle()
        finally:
            tiphys("delete", check=False)


if __name__ == "__main__":
    main()
