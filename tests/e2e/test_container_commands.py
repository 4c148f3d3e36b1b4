"""A container is a process on a host with additional sandboxing: shown as the kernel sees it."""

import json
import os
from pathlib import Path
from typing import Any

from e2e.clusters import Cluster, until


def documents(cluster: Cluster, pod: str, namespace: str) -> list[dict[str, Any]]:
    words = ["container", "inspect", pod, "-n", namespace, "-o", "json"]
    done = cluster.tiphys(*words, check=False)
    found = json.loads(done.stdout) if done.returncode == 0 else []
    return [one for one in found if "process" in one]  # It runs.


def test_two_containers_as_the_kernel_sees_them(cluster: Cluster, namespace: str) -> None:
    command = ["sleep", "1000"]
    common = {"name": "c", "image": "busybox", "command": command}
    strict = {
        "seccompProfile": {"type": "RuntimeDefault"},
        "capabilities": {"drop": ["ALL"]},
        "allowPrivilegeEscalation": False,
        "runAsUser": 1000,
    }
    limits = {"limits": {"memory": "32Mi", "cpu": "100m"}}
    specs = {
        "held": {"containers": [{**common, "securityContext": strict, "resources": limits}]},
        "open": {"hostNetwork": True, "containers": [common]},
    }
    for name, spec in specs.items():
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
        cluster.kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(pod))
    held = until(lambda: documents(cluster, "held", namespace), what="held runs")[0]
    loose = until(lambda: documents(cluster, "open", namespace), what="open runs")[0]
    pid = held["process"]["pid"]
    assert Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"sleep\0")
    spaces = held["sandboxing"]["namespaces"]
    assert spaces["net"]["inode"] == os.stat(f"/proc/{pid}/ns/net").st_ino
    circles = {kind: row["sharedWith"] for kind, row in spaces.items()}
    assert (circles["net"], circles["pid"], circles["user"]) == ("pod", "own", "machine")
    assert held["sandboxing"]["capabilities"]["effective"] == []
    assert held["sandboxing"]["seccomp"]["mode"] == "filter"
    assert held["sandboxing"]["noNewPrivileges"] is True
    assert held["sandboxing"]["cgroup"]["limits"]["memoryBytes"] == str(32 << 20)
    lacks = {row["what"] for row in held["lacksComparedWithVM"]}
    assert {"kernel", "hardware", "users"} <= lacks
    assert not {"memory limit", "CPU limit", "seccomp filter", "net"} & lacks
    assert loose["sandboxing"]["namespaces"]["net"]["sharedWith"] == "node"
    listed = cluster.tiphys("container", "list").stdout
    assert f"{namespace}/held" in listed
    text = cluster.tiphys("container", "inspect", "open", "-n", namespace).stdout
    assert "interfaces, ports and firewall of the node" in text
