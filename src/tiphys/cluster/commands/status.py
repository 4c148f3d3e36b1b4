"""`tiphys status`: every process of a profile, whether the API answers, and what was changed.

Exit code as minikube's: 0, or the sum of 1 (nothing runs), 2 (API server or a kubelet does not
work), 4 (the kubeconfig does not lead there); 85 without such a profile.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tiphys.cli.arguments import Parser
from tiphys.cli.output import table
from tiphys.cluster import health, node_network, processes
from tiphys.cluster.commands.stop import existing
from tiphys.cluster.health import Health
from tiphys.cluster.processes import Process
from tiphys.cluster.profile import Profile


def run(name: str, arguments: Sequence[str]) -> int:
    parser = Parser(prog="tiphys status", description="show what runs")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    options = parser.parse_args(arguments)
    as_json = options.output == "json"
    profile = existing(name)
    known = processes.recorded(profile)
    seen = health.observe(profile, known)
    found = describe(profile, known, seen)
    print(json.dumps(found, indent=2) if as_json else _text(found))
    return health.exit_code(seen)


def describe(profile: Profile, known: Sequence[Process], seen: Health) -> dict[str, Any]:
    """Everything that status tells, as JSON."""
    return {
        "profile": profile.name,
        "state": _state(profile, known, seen),
        "server": profile.server,
        "host": seen.host,
        "apiserver": seen.api_server,
        "kubeconfig": seen.kubeconfig,
        "nodes": [
            {"name": n.name, "address": n.address, "kubelet": seen.kubelets[n.name]}
            for n in profile.nodes
        ],
        "ranges": {
            "nodes": profile.node_cidr,
            "pods": profile.pod_cidr,
            "services": profile.service_cidr,
            "loadBalancers": profile.load_balancer_pool,
        },
        "processes": [_process(p) for p in known if p.is_alive] + _shims(profile),
        "problems": _problems(profile, known),
    }


def _state(profile: Profile, known: Sequence[Process], seen: Health) -> str:
    """Running when all runs that shall run: a node that was switched off shall not."""
    if not any(p.is_alive for p in known):
        return "Stopped"
    if seen.api_server == health.PAUSED:
        return health.PAUSED
    kubelets = {seen.kubelets[node.name] for node in profile.running_nodes}
    working = {seen.host, seen.api_server, *kubelets} == {health.RUNNING}
    return "Running" if working and all(p.is_alive for p in known) else "Degraded"


def _process(process: Process) -> dict[str, Any]:
    return {
        "component": process.component,
        "node": process.node,
        "pid": process.identity.pid,
        "startTime": process.identity.start_time,
        "title": process.title,
        "restarts": process.restarts,
    }


def _shims(profile: Profile) -> list[dict[str, Any]]:
    """The parents of containers: outside the supervisor's tree, alive also when it is not."""
    if not profile.nodes or os.geteuid() != 0:
        return []
    from tiphys.cluster.node_components import runtime_config
    from tiphys.lib.process import start_time
    from tiphys.runtime import shim_sockets

    found = []
    for node in profile.nodes:
        for _, pid in shim_sockets.shims(runtime_config(profile, node)):
            if pid and start_time(pid) is not None:
                title = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
                found.append(
                    {
                        "component": "shim",
                        "node": node.name,
                        "pid": pid,
                        "startTime": start_time(pid),
                        "title": title.strip(),
                        "restarts": 0,
                    }
                )
    return found


def _problems(profile: Profile, known: Sequence[Process]) -> list[str]:
    problems = [f"{p.title} does not run" for p in known if not p.is_alive]
    if os.geteuid() == 0 and known and profile.nodes:
        problems += [f"host: sysctl {text}" for text in node_network.changed_host_sysctls()]
        for node in profile.nodes:
            changed = node_network.changed_sysctls(profile, node)
            problems += [f"node {node.name}: sysctl {text}" for text in changed]
    return problems


def _text(found: dict[str, Any]) -> str:
    lines = [f"{found['profile']}: {found['state']}, server {found['server']}"]
    lines += [f"  {part}: {found[part]}" for part in ("host", "apiserver", "kubeconfig")]
    lines += [f"  kubelet {node['name']}: {node['kubelet']}" for node in found["nodes"]]
    rows = [
        [p["component"], p["node"] or "-", str(p["pid"]), str(p["restarts"])]
        for p in found["processes"]
    ]
    if rows:
        lines += ["", table(["COMPONENT", "NODE", "PID", "RESTARTS"], rows)]
    if found["problems"]:
        lines += ["", "Problems:", *[f"  {p}" for p in found["problems"]]]
    return "\n".join(lines)
