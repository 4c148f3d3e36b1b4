"""An API server in a process of its own, filled, and loads for it. What the other scripts share.

    with served(Path(directory), pods={"default": 1000}) as server:
        print(wrk(f"{server.url}/api/v1/nodes", [server.pid], 50, 5, *server.header))

A durable store, TLS, tokens, RBAC, fairness. As a script it is that process.
"""

import asyncio
import gc
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
sys.path.insert(0, str(Path(__file__).parents[2]))

from support.api_server import RunningApiServer, api_server_in_thread
from tiphys.apiserver.audit.log_file import AuditLogFile
from tiphys.apiserver.audit.policy import parse
from tiphys.apiserver.filters.audit import Audit
from tiphys.lib.clock import SystemClock
from tiphys.lib.component import MIDDLE_COLLECTIONS, YOUNG_OBJECTS

OBJECTS = 50
TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")
POLICY = (
    b"{apiVersion: audit.k8s.io/v1, kind: Policy, omitStages: [RequestReceived],"
    b" rules: [{level: Metadata}]}"
)


@dataclass
class Load:
    """One run of wrk against a process."""

    requests: int
    per_second: float
    cpu_us: float
    p99: str

    def __str__(self) -> str:
        return f"{self.cpu_us:8.1f} us CPU  {self.per_second:10.0f}/s  p99 {self.p99}"


@dataclass
class Served:
    """Where the server is, and how to ask it."""

    pid: int
    url: str
    token: str
    directory: Path
    _child: "subprocess.Popen[str]"

    @property
    def header(self) -> tuple[str, str]:
        """Words for wrk, h2load and curl."""
        return "-H", f"Authorization: Bearer {self.token}"

    def audit(self, *, is_on: bool) -> None:
        """Write an audit log of level Metadata, or none."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        print("on" if is_on else "off", file=self._child.stdin, flush=True)
        self._child.stdout.readline()

    def own_mb(self) -> float:
        """Memory that is the process's alone."""
        text = Path(f"/proc/{self.pid}/smaps_rollup").read_text()
        return sum(map(int, re.findall(r"Private_(?:Clean|Dirty):\s+(\d+)", text))) / 1024


@contextmanager
def served(directory: Path, pods: Mapping[str, int]) -> Iterator[Served]:
    """pods: how many in each namespace."""
    words = [sys.executable, __file__, str(directory), json.dumps(dict(pods))]
    child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdin is not None
    try:
        found = json.loads(child.stdout.readline())
        url = f"https://127.0.0.1:{found['port']}"
        yield Served(child.pid, url, found["token"], directory, child)
    finally:
        child.stdin.close()
        child.wait(20)


def cpu_seconds(pids: list[int]) -> float:
    """User and system time until now."""
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


def writing(
    server: Served, name: str, method: str, content_type: str, body: str, target: str = ""
) -> list[str]:
    """Words for wrk: send this body; NUMBER in it is the request's own number, SEED the run's.

    target: in place of the URL's path; OBJECT in it is one of OBJECTS in turn.
    """
    script = server.directory / f"{name}.lua"
    turn = f'" .. string.format("%05d", n % {OBJECTS}) .. "'
    path = json.dumps(target).replace("OBJECT", turn) if target else "nil"
    text = json.dumps(body).replace("NUMBER", '" .. n .. "').replace("SEED", '" .. seed .. "')
    script.write_text(
        f"""
local n, seed = 0, tostring({{}}):gsub("%W", ""):lower()
request = function()
  n = n + 1
  return wrk.format("{method}", {path}, {{["Authorization"] = wrk.headers["Authorization"],
    ["Content-Type"] = "{content_type}"}}, {text})
end
"""
    )
    return [*server.header, "-s", str(script)]


def config_map_text() -> str:
    metadata = {"generateName": "xSEED-"}
    data = {"a": "y" * 700 + "NUMBER"}
    return json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})


def a_pod(name: str) -> dict[str, Any]:
    env = [{"name": f"E{i}", "value": "x" * 60} for i in range(20)]
    containers = [{"name": "c", "image": "busybox", "env": env}]
    return {
        "metadata": {"name": name},
        "spec": {"schedulerName": "nobody", "containers": containers},
    }


async def _fill(server: RunningApiServer, pods: Mapping[str, int]) -> str:
    """Accounts, rights and pods; returns a token that may do everything."""
    api = server.client()
    core = "/api/v1/namespaces"
    for namespace in pods:
        await api("POST", core, {"metadata": {"name": namespace}})
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
    limit = asyncio.Semaphore(50)

    async def one(number: int, where: str) -> None:
        async with limit:
            await api("POST", f"{core}/{where}/pods", a_pod(f"p{number:05}"))

    for namespace, count in pods.items():
        await asyncio.gather(*(one(number, namespace) for number in range(count)))
    _, made = await api("POST", f"{core}/default/serviceaccounts/default/token", {"spec": {}})
    return str(made["status"]["token"])


def main() -> None:
    directory, pods = Path(sys.argv[1]), json.loads(sys.argv[2])
    gc.set_threshold(YOUNG_OBJECTS, *MIDDLE_COLLECTIONS)  # As the component has it.
    clock = SystemClock()
    with api_server_in_thread(directory) as running:
        token = asyncio.run(_fill(running, pods))
        audit = Audit(parse(POLICY), AuditLogFile(directory / "audit.log", clock), clock)
        gc.collect()
        print(json.dumps({"port": running.port, "token": token}), flush=True)
        for word in sys.stdin:
            running.server.audit = audit if word.strip() == "on" else None
            print("done", flush=True)


if __name__ == "__main__":
    main()
