"""Kubeconfigs of a profile: one per component, and the context of its user."""

import base64
from dataclasses import replace
from pathlib import Path

from tiphys.api.meta import Obj
from tiphys.client import kubeconfig
from tiphys.cluster.profile import MASTER_PORT, Node, Profile

COMPONENTS = ("controllers", "scheduler")
JOINED = "kubelet.conf"  # Of a machine that has joined: everything on it is the node.


def write_all(profile: Profile) -> None:
    """A kubeconfig for every component, certificates inside, readable by the owner only."""
    profile.kubeconfigs.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Each master's controllers ask the API server beside them.
    port = MASTER_PORT if profile.masters else profile.api_port
    local = f"https://127.0.0.1:{port}"
    _write(profile, "admin", "admin", profile.server)
    for name in COMPONENTS:
        _write(profile, name, name, local)
    addons = ("ingress",) if profile.ingress else ()
    for name in ("proxy", "dns", "metrics-server", *addons):
        _write(profile, name, name, profile.server)
    for node in profile.nodes:
        _write(profile, f"kubelet-{node.name}", f"kubelet-{node.name}", profile.server)


def path_for(profile: Profile, component: str, node: Node | None = None) -> Path:
    if profile.is_joined:
        return profile.kubeconfigs / JOINED  # The node's own name is the only one there.
    name = component if node is None else f"{component}-{node.name}"
    return profile.kubeconfigs / f"{name}.conf"


def cluster_entry(profile: Profile, server: str) -> Obj:
    return {"certificate-authority-data": _encoded(profile.pki / "ca.crt"), "server": server}


def user_entry(profile: Profile, stem: str) -> Obj:
    return {
        "client-certificate-data": _encoded(profile.pki / f"{stem}.crt"),
        "client-key-data": _encoded(profile.pki / f"{stem}.key"),
    }


def write_joined(profile: Profile, certificate_file: Path) -> None:
    """The node's kubeconfig: its certificate stays in a file, for it is renewed."""
    profile.kubeconfigs.mkdir(parents=True, exist_ok=True, mode=0o700)
    user: Obj = {
        "client-certificate": str(certificate_file),
        "client-key": str(certificate_file),
    }
    cluster = cluster_entry(profile, profile.server)
    _write_document(profile, JOINED, kubeconfig.document(profile.name, cluster, user))


def set_user_context(profile: Profile, path: Path) -> Profile:
    """The user's kubeconfig gets a context named after the profile, made current.

    Returns the profile, which remembers the file. Raises OSError, KubeconfigError.
    """
    if str(path) not in profile.context_files:
        # Before it is written: whatever happens then, delete knows where to look.
        profile = replace(profile, context_files=(*profile.context_files, str(path)))
        profile.save()
    kubeconfig.set_context(
        path,
        profile.name,
        cluster_entry(profile, profile.server),
        user_entry(profile, "admin"),
        make_current=True,
    )
    return profile


def remove_user_contexts(profile: Profile, path: Path) -> list[str]:
    """Take the context out of every file that has it, and out of path; what went wrong."""
    problems = []
    for one in dict.fromkeys((*profile.context_files, str(path))):
        try:
            kubeconfig.remove_context(Path(one), profile.name)
        except (OSError, kubeconfig.KubeconfigError) as exc:
            problems.append(f"the context stays in {one}: {exc}")
    return problems


def _write(profile: Profile, name: str, stem: str, server: str) -> None:
    document = kubeconfig.document(
        profile.name, cluster_entry(profile, server), user_entry(profile, stem)
    )
    _write_document(profile, f"{name}.conf", document)


def _write_document(profile: Profile, name: str, document: bytes) -> None:
    path = profile.kubeconfigs / name
    temporary = path.with_suffix(".new")
    temporary.touch(mode=0o600)
    temporary.write_bytes(document)
    temporary.replace(path)


def _encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
