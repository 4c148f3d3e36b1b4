"""The etcd member of a master: Debian's etcd, executed in the master's namespaces.

Flags as kubeadm writes them into its static pod (kubeadm app/phases/etcd/local.go).
"""

import os
import shutil
from functools import partial
from pathlib import Path
from typing import Final, NoReturn

from tiphys.cluster import node_network
from tiphys.cluster.profile import Node, Profile
from tiphys.cluster.supervisor import Component

CLIENT_PORT: Final = 2379
PEER_PORT: Final = 2380
PROGRAM: Final = "etcd"
# A leader looks for a successor for longer, in vain when all stop at once. Being killed is safe:
# what it has acknowledged is in its log on disk.
STOP_SECONDS_MAX: Final = 1.0


def component(profile: Profile, node: Node, stage: int) -> Component:
    return Component(
        name="etcd",
        title=f"tiphys: etcd [{profile.name}/{node.name}]",  # Only until it is executed.
        log_file=profile.logs / f"etcd-{node.name}.log",
        main=partial(_become, profile, node),
        node=node.name,
        stage=stage,
        stop_seconds=STOP_SECONDS_MAX,
    )


def _become(profile: Profile, node: Node) -> NoReturn:
    program = shutil.which(PROGRAM)
    if program is None:
        raise FileNotFoundError("etcd is not installed")
    node_network.enter(profile, node)
    os.execve(program, arguments(profile, node), {"PATH": os.environ.get("PATH", "")})


def endpoints(profile: Profile, first: Node) -> list[str]:
    """Where clients find the members; the one on their own machine comes first."""
    others = [n for n in profile.masters if n.name != first.name]
    return [f"https://{n.address}:{CLIENT_PORT}" for n in (first, *others)]


def data_directory(profile: Profile, node: Node) -> Path:
    return profile.node_directory(node) / "etcd"


def arguments(profile: Profile, node: Node) -> list[str]:
    """The member's command line."""
    pki = profile.pki
    peers = ",".join(f"{n.name}=https://{n.address}:{PEER_PORT}" for n in profile.masters)
    client = f"https://{node.address}:{CLIENT_PORT}"
    peer = f"https://{node.address}:{PEER_PORT}"
    certificate, key = pki / f"etcd-{node.name}.crt", pki / f"etcd-{node.name}.key"
    flags = {
        "name": node.name,
        "data-dir": data_directory(profile, node),
        "listen-client-urls": client,
        "advertise-client-urls": client,
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "initial-cluster": peers,
        "initial-cluster-token": f"tiphys-{profile.name}",
        "cert-file": certificate,
        "key-file": key,
        "trusted-ca-file": pki / "etcd-ca.crt",
        "client-cert-auth": "true",
        "peer-cert-file": certificate,
        "peer-key-file": key,
        "peer-trusted-ca-file": pki / "etcd-ca.crt",
        "peer-client-cert-auth": "true",
        "snapshot-count": "10000",
        "logger": "zap",
        "log-level": "warn",
    }
    return [PROGRAM, *(f"--{name}={value}" for name, value in flags.items())]
