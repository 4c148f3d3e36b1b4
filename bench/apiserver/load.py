"""How much CPU the API server takes per request, and how long requests wait.

    python bench/apiserver/load.py [--seconds 5]

A server of its own with a durable store, TLS, tokens and RBAC; load by wrk; nginx serves the bytes
of the same object beside it. Prints GET of a pod (50 connections), LIST of 1,000 pods, CREATE of
ConfigMaps (50 clients), and the p99 of GET while lists of about 35 MB are read all the time.
"""

import argparse
import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from support.api_server import RunningApiServer, api_server_in_thread

PODS = 1000
BIG_PODS = 10_000
TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")
CREATE_LUA = """
local n, seed = 0, tostring({}):gsub("%W", ""):lower()
request = function()
  n = n + 1
  return wrk.format("POST", nil, {["Authorization"] = wrk.headers["Authorization"],
    ["Content-Type"] = "application/json"},
    '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"generateName":"x' .. seed .. '-"},'
    .. '"data":{"a":"' .. string.rep("y", 700) .. n .. '"}}')
end
"""


@dataclass
class Load:
    """One run of wrk against a process."""

    requests: int
    per_second: float
    cpu_us: float
    p99: str

    def __str__(self) -> str:
        return f"{self.cpu_us:8.1f} us CPU  {self.per_second:10.0f}/s  p99 {self.p99}"


def cpu_seconds(pids: list[int]) -> float:
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total * TICK_SECONDS


def wrk(url: str, pids: list[int], connections: int, seconds: int, *more: str) -> Load:
    words = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", *more, url]
    before = cpu_seconds(pids)
    output = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    used = cpu_seconds(pids) - before
    if "Non-2xx" in output:
        print(re.findall(r"Non-2xx.*", output)[0], file=sys.stderr)
    requests = int(re.findall(r"(\d+) requests in", output)[0])
    p99 = re.findall(r"99%\s+(\S+)", output)[0]
    return Load(requests, requests / seconds, used / max(requests, 1) * 1e6, p99)


def a_pod(name: str) -> dict[str, Any]:
    env = [{"name": f"E{i}", "value": "x" * 60} for i in range(20)]
    containers = [{"name": "c", "image": "busybox", "env": env}]
    return {
        "metadata": {"name": name},
        "spec": {"schedulerName": "nobody", "containers": containers},
    }


async def fill(server: RunningApiServer) -> str:
    """Accounts, rights and pods; returns a token."""
    api = server.client()
    core = "/api/v1/namespaces"
    await api("POST", core, {"metadata": {"name": "big"}})
    for namespace in ("default", "big"):
        await api("POST", f"{core}/{namespace}/serviceaccounts", {"metadata": {"name": "default"}})
    binding = {
        "metadata": {"name": "bench"},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "cluster-admin",
        },
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": "default"}],
    }
    await api("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", binding)
    for namespace, count in (("default", PODS), ("big", BIG_PODS)):
        limit = asyncio.Semaphore(50)

        async def one(number: int, where: str, limit: asyncio.Semaphore) -> None:
            async with limit:
                await api("POST", f"{core}/{where}/pods", a_pod(f"p{number:05}"))

        await asyncio.gather(*(one(n, namespace, limit) for n in range(count)))
    _, made = await api("POST", f"{core}/default/serviceaccounts/default/token", {"spec": {}})
    return str(made["status"]["token"])


def nginx(directory: Path, body: bytes, seconds: int) -> str:
    """The yardstick: the same bytes from a file, over TLS, one worker."""
    if shutil.which("nginx") is None:
        return "nginx is not installed"
    root = directory / "www"
    root.mkdir()
    (root / "pod").write_bytes(body)
    config = directory / "nginx.conf"
    config.write_text(
        "user root; daemon off; worker_processes 1; error_log stderr crit;"
        f" pid {directory}/nginx.pid;"
        "events {} http { access_log off; server { listen 127.0.0.1:18443 ssl;"
        f" root {root}; ssl_protocols TLSv1.3; ssl_certificate {directory}/server.crt;"
        f" ssl_certificate_key {directory}/server.key; }} }}"
    )
    process = subprocess.Popen(["nginx", "-c", str(config)], stderr=subprocess.DEVNULL)
    try:
        time.sleep(0.5)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        pids = [process.pid, *map(int, children)]
        return str(wrk("https://127.0.0.1:18443/pod", pids, 50, seconds))
    finally:
        process.send_signal(signal.SIGQUIT)
        process.wait()


def serve(directory: Path) -> None:
    """The child: a server until its parent closes the pipe."""
    with api_server_in_thread(directory) as server:
        token = asyncio.run(fill(server))
        print(json.dumps({"port": server.port, "token": token}), flush=True)
        sys.stdin.read()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=int, default=5)
    options.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    args = options.parse_args()
    if args.serve:
        serve(args.serve)
        return
    with tempfile.TemporaryDirectory() as name:
        measure(Path(name), args.seconds)


def measure(directory: Path, seconds: int) -> None:
    words = [sys.executable, __file__, "--serve", str(directory)]
    child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdin is not None
    found = json.loads(child.stdout.readline())
    url, header = f"https://127.0.0.1:{found['port']}", f"Authorization: Bearer {found['token']}"
    pod = f"{url}/api/v1/namespaces/default/pods/p00001"
    body = subprocess.run(
        ["curl", "-sk", "-H", header, "-A", "bench", pod], capture_output=True, check=True
    ).stdout
    script = directory / "create.lua"
    script.write_text(CREATE_LUA)
    try:
        pids = [child.pid]
        wrk(pod, pids, 50, 1, "-H", header)
        print("GET pod, 50 connections      ", wrk(pod, pids, 50, seconds, "-H", header))
        print("nginx, the same bytes        ", nginx(directory, body, seconds))
        small = f"{url}/api/v1/namespaces/default/pods"
        print("LIST 1,000 pods, 4 clients   ", wrk(small, pids, 4, seconds, "-H", header))
        maps = f"{url}/api/v1/namespaces/default/configmaps"
        more = ("-H", header, "-s", str(script))
        print("CREATE ConfigMap, 50 clients ", wrk(maps, pids, 50, seconds, *more))
        big = f"{url}/api/v1/namespaces/big/pods"
        reader = threading.Thread(target=wrk, args=(big, pids, 1, seconds + 2, "-H", header))
        reader.start()
        time.sleep(1)
        print("GET while 10,000 pods listed ", wrk(pod, pids, 10, seconds, "-H", header))
        reader.join()
    finally:
        child.stdin.close()
        child.wait(20)


if __name__ == "__main__":
    main()
