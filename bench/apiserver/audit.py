"""What an audit policy costs: CPU per request without one, and with one of level Metadata.

    python bench/apiserver/audit.py [--seconds 2] [--rounds 5]

One server, the policy switched on and off in turn, so that both see the same machine.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
sys.path.insert(0, str(Path(__file__).parents[2]))

from bench.apiserver.load import CREATE_LUA, a_pod, wrk

from support.api_server import RunningApiServer, api_server_in_thread
from tiphys.apiserver.audit.log_file import AuditLogFile
from tiphys.apiserver.audit.policy import parse
from tiphys.apiserver.filters.audit import Audit
from tiphys.lib.clock import SystemClock

POLICY = (
    b"{apiVersion: audit.k8s.io/v1, kind: Policy, omitStages: [RequestReceived],"
    b" rules: [{level: Metadata}]}"
)


async def fill(server: RunningApiServer) -> str:
    """A pod to get; returns a token that may do everything."""
    api = server.client()
    core = "/api/v1/namespaces/default"
    await api("POST", f"{core}/serviceaccounts", {"metadata": {"name": "default"}})
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
    await api("POST", f"{core}/pods", a_pod("p"))
    _, made = await api("POST", f"{core}/serviceaccounts/default/token", {"spec": {}})
    return str(made["status"]["token"])


def serve(directory: Path) -> None:
    """The child: `on` and `off` on standard input switch the policy."""
    clock = SystemClock()
    with api_server_in_thread(directory) as running:
        token = asyncio.run(fill(running))
        audit = Audit(parse(POLICY), AuditLogFile(directory / "audit.log", clock), clock)
        print(json.dumps({"port": running.port, "token": token}), flush=True)
        for word in sys.stdin:
            running.server.audit = audit if word.strip() == "on" else None
            print("done", flush=True)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=int, default=2)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    args = options.parse_args()
    if args.serve:
        serve(args.serve)
        return
    with tempfile.TemporaryDirectory() as name:
        measure(Path(name), args.seconds, args.rounds)


def measure(directory: Path, seconds: int, rounds: int) -> None:
    words = [sys.executable, __file__, "--serve", str(directory)]
    child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdin is not None
    found = json.loads(child.stdout.readline())
    core = f"https://127.0.0.1:{found['port']}/api/v1/namespaces/default"
    header = ("-H", f"Authorization: Bearer {found['token']}")
    script = directory / "create.lua"
    script.write_text(CREATE_LUA)
    loads = {
        "GET pod, 50 connections": (f"{core}/pods/p", 50, header),
        "LIST pods, 10 connections": (f"{core}/pods", 10, header),
        "CREATE ConfigMap, 50": (f"{core}/configmaps", 50, (*header, "-s", str(script))),
    }
    wrk(f"{core}/pods/p", [child.pid], 50, 1, *header)
    for name, (url, connections, more) in loads.items():
        cost: dict[str, list[float]] = {"off": [], "on": []}
        for _ in range(rounds):
            for word, costs in cost.items():
                print(word, file=child.stdin, flush=True)
                child.stdout.readline()
                costs.append(wrk(url, [child.pid], connections, seconds, *more).cpu_us)
        off, on = (statistics.median(cost[word]) for word in ("off", "on"))
        more_us = on - off
        print(f"{name:28} {off:8.1f} us, Metadata {on:8.1f} us: {more_us / off:+.1%}")
    child.stdin.close()
    child.wait(20)


if __name__ == "__main__":
    main()
