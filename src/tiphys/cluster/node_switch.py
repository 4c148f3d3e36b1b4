"""Switching one machine of a profile on and off, whether the cluster runs or not.

The profile's file is changed first: it is what the supervisor obeys, now and after a crash.
"""

import signal
import time
from datetime import UTC, datetime
from typing import Final

from tiphys.cli.output import CommandError, Steps
from tiphys.cluster import access, node_network, pki, processes
from tiphys.cluster.containers import remove_containers, stop_containers
from tiphys.cluster.profile import Node, Profile
from tiphys.cluster.readiness import NotReady, Probe, wait
from tiphys.lib.netlink.route import route_socket

PROCESSES_SECONDS_MAX: Final = 30.0  # For a supervisor to stop a machine's processes.
READY_SECONDS_MAX: Final = 60.0
_POLL_SECONDS: Final = 0.02


def switch_on(profile: Profile, node: Node, steps: Steps) -> None:
    """Everything a machine needs, then its processes; returns when it is Ready.

    Raises CommandError, OSError.
    """
    now = datetime.now(UTC)  # noqa: TID251 - the command's own clock
    pki.ensure(profile, now)
    access.write_all(profile)
    profile.save()
    chief = processes.supervisor(profile)
    if chief is None:
        steps.say("the cluster is stopped: the node starts with it")
        return
    node_network.ensure(profile)
    steps.say(f"network ready: node {node.address}")
    chief.identity.send(signal.SIGHUP)
    probe = Probe(profile, now)
    try:
        wait(
            "node ready",
            lambda: probe.node_is_ready(node.name),
            READY_SECONDS_MAX,
            lambda: chief.is_alive,
        )
    except NotReady as exc:
        fix = f"tiphys logs kubelet -p {profile.name}"
        raise CommandError(f"node {node.name}: {exc}", fix=fix, reason="NODE_NOT_READY") from exc
    steps.say("node ready")


def switch_off(profile: Profile, node: Node, *, remove: bool = False) -> None:
    """Its processes, then its containers, then its network; remove takes its images too.

    Raises CommandError, OSError.
    """
    profile.save()
    chief = processes.supervisor(profile)
    if chief is not None:
        chief.identity.send(signal.SIGHUP)
        _wait_for_end(profile, node)
    (remove_containers if remove else stop_containers)(profile, node)
    with route_socket() as route:
        node_network.remove_node(profile, route, node)


def _wait_for_end(profile: Profile, node: Node) -> None:
    deadline = time.monotonic() + PROCESSES_SECONDS_MAX
    while any(p.node == node.name and p.is_alive for p in processes.recorded(profile)):
        if time.monotonic() >= deadline:
            raise CommandError(
                f"the processes of node {node.name} did not end",
                fix=f"tiphys stop -p {profile.name} ends all of them",
                reason="NODE_PROCESSES",
            )
        time.sleep(_POLL_SECONDS)
