"""Switches the Ingress controller of a profile on and off. All safe to repeat.

The profile's file is changed first: it is what the supervisor obeys, now and after a restart.
"""

import signal
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from tiphys.api.errors import ApiError
from tiphys.api.meta import Obj, at
from tiphys.cli.kubectl.client import KubeClient
from tiphys.cli.output import CommandError
from tiphys.cluster import access, addon_objects, node_network, pki, processes
from tiphys.cluster.ingress import manifests
from tiphys.cluster.ingress.process import NAME, place
from tiphys.cluster.profile import Node, Profile
from tiphys.ingress.config import DATA_PLANES, HTTP_PORT, HTTPS_PORT
from tiphys.ingress.selection import is_ours
from tiphys.lib.netlink import netns

SETTING: Final = "data-plane"
READY_SECONDS_MAX: Final = 30.0
POLL_SECONDS: Final = 0.05
_MERGE: Final = "application/merge-patch+json"


def enable(kube: KubeClient, profile: Profile, settings: Mapping[str, str]) -> None:
    """Returns when it listens. Raises CommandError, ApiError."""
    _check_running(profile)
    plane = _plane(settings, profile)
    node = _node(profile)
    if profile.ingress and profile.ingress != plane:
        profile = _switch(profile, "")
        _wait(lambda: not _runs(profile), profile, "the data plane of before ends")
    if not profile.ingress:
        _check_ports(profile, node)
    profile = replace(profile, ingress=plane)
    pki.ensure(profile, datetime.now(UTC))  # noqa: TID251 - the command's own clock
    access.write_all(profile)
    for path, obj in manifests.manifests():
        addon_objects.put(kube, f"{path}/{obj['metadata']['name']}", obj)
    _switch(profile, plane)
    _wait(lambda: _listens(node), profile, f"it listens on {node.address}:{HTTP_PORT}")


def disable(kube: KubeClient, profile: Profile) -> None:
    """Its process, its objects and the addresses that it gave to Ingresses. Raises as enable."""
    _check_running(profile)
    was_on = bool(profile.ingress)
    profile = _switch(profile, "")
    _wait(lambda: not _runs(profile), profile, "it ends")
    if was_on:
        _take_addresses(kube, profile)
    for path, obj in reversed(manifests.manifests()):
        addon_objects.delete(kube, f"{path}/{obj['metadata']['name']}")
    for suffix in (".crt", ".key"):
        (profile.pki / f"{NAME}{suffix}").unlink(missing_ok=True)
    access.path_for(profile, NAME).unlink(missing_ok=True)


def is_enabled(profile: Profile) -> bool:
    return bool(profile.ingress)


def _check_running(profile: Profile) -> None:
    """Raises CommandError."""
    if processes.supervisor(profile) is None:
        text = f'profile "{profile.name}" does not run'
        raise CommandError(
            text,
            fix=f"start it first: tiphys start -p {profile.name}",
            reason="CLUSTER_UNREACHABLE",
        )


def _plane(settings: Mapping[str, str], profile: Profile) -> str:
    """Raises CommandError."""
    unknown = settings.keys() - {SETTING}
    if unknown:
        raise CommandError(
            f"the addon has no setting {', '.join(sorted(unknown))}",
            fix=f"there is --set {SETTING}={'|'.join(DATA_PLANES)}",
            reason="BAD_VALUE",
        )
    plane = settings.get(SETTING) or profile.ingress or DATA_PLANES[0]
    if plane not in DATA_PLANES:
        raise CommandError(
            f'there is no data plane "{plane}"',
            fix=f"use one of: {', '.join(DATA_PLANES)}",
            reason="BAD_VALUE",
        )
    if plane == "nginx":
        from tiphys.ingress.nginx.process import find_nginx

        if find_nginx() is None:
            raise CommandError(
                "nginx is not installed on this machine",
                fix=f"apt-get install nginx-light, or --set {SETTING}={DATA_PLANES[0]}",
                reason="ADDON_NOT_BUILT",
            )
    return plane


def _node(profile: Profile) -> Node:
    """Raises CommandError."""
    if profile.is_joined:
        raise CommandError(
            "this machine has joined a cluster of another one",
            fix="enable the addon where the control plane runs",
            reason="PROFILE_JOINED",
        )
    node = place(profile)
    if node is None:
        fix = f"add one: tiphys node add -p {profile.name}"
        raise CommandError(
            "there is no node here on which it could listen", fix=fix, reason="ADDON_NOT_READY"
        )
    return node


def _check_ports(profile: Profile, node: Node) -> None:
    """Raises CommandError when a pod or, where the node is the machine, a program has a port."""
    for port in (HTTP_PORT, HTTPS_PORT):
        try:
            with netns.inside(node_network.network_namespace(profile, node)):
                socket.create_server((node.address, port)).close()
        except OSError as exc:
            raise CommandError(
                f"port {port} of node {node.name} ({node.address}) is not free: {exc.strerror}",
                fix=f"see who has it: tiphys node shell {node.name} -p {profile.name}, "
                f"then: ss -ltnp 'sport = {port}'",
                reason="MACHINE_PORT",
            ) from exc


def _switch(profile: Profile, plane: str) -> Profile:
    profile = replace(profile, ingress=plane)
    profile.save()
    chief = processes.supervisor(profile)
    if chief is not None:
        chief.identity.send(signal.SIGHUP)
    return profile


def _runs(profile: Profile) -> bool:
    return any(p.component == NAME and p.is_alive for p in processes.recorded(profile))


def _listens(node: Node) -> bool:
    with suppress(OSError), socket.create_connection((node.address, HTTPS_PORT), 0.5):
        return True
    return False


def _wait(condition: Callable[[], bool], profile: Profile, what: str) -> None:
    """Raises CommandError."""
    deadline = time.monotonic() + READY_SECONDS_MAX
    while not condition():
        if time.monotonic() > deadline:
            raise CommandError(
                f"waited for {READY_SECONDS_MAX:g} s until {what}",
                fix=f"its log says why: tiphys logs {NAME} -p {profile.name}",
                reason="ADDON_NOT_READY",
            )
        time.sleep(POLL_SECONDS)


def _take_addresses(kube: KubeClient, profile: Profile) -> None:
    """As ingress-nginx at its end (update-status-on-shutdown). Raises ApiError."""
    addresses = {node.address for node in profile.nodes}
    empty = {"status": {"loadBalancer": {"ingress": None}}}
    for ingress in kube.request("GET", manifests.INGRESSES).get("items") or []:
        if not is_ours(ingress, frozenset({manifests.CLASS})) or not _shows(ingress, addresses):
            continue
        meta = ingress["metadata"]
        path = manifests.INGRESSES.replace(
            "/ingresses", f"/namespaces/{meta['namespace']}/ingresses/{meta['name']}/status"
        )
        try:
            kube.request("PATCH", path, empty, content_type=_MERGE)
        except ApiError as exc:
            if exc.reason != "NotFound":
                raise


def _shows(ingress: Obj, addresses: set[str]) -> bool:
    shown = at(ingress, "status", "loadBalancer", "ingress", default=[])
    return any(one.get("ip") in addresses for one in shown)
