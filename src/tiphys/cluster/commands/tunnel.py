"""`tiphys tunnel`: LoadBalancer Services reached from this machine. Words: minikube's.

minikube needs the tunnel for that. Here every address of the pool is a route of this machine from
the start; the tunnel says so, shows which Services have one, and makes the route where somebody
took it away. What it made it takes away again at its end.
"""

import os
import signal
import sys
import time
from collections.abc import Sequence
from ipaddress import ip_network
from types import FrameType
from typing import Any, Final

from tiphys.api.meta import at, name_of
from tiphys.cli.arguments import Parser
from tiphys.cli.output import CommandError
from tiphys.cluster import processes
from tiphys.cluster.commands.stop import existing
from tiphys.cluster.profile import Profile
from tiphys.cluster.readiness import Probe
from tiphys.lib.netlink.route import route_socket

LOOK_SECONDS: Final = 1.0


def run(name: str, arguments: Sequence[str]) -> int:
    parser = Parser(prog="tiphys tunnel", description="reach LoadBalancer Services from here")
    parser.add_argument(
        "-c", "--cleanup", action="store_true", help="minikube's: nothing is ever left here"
    )
    parser.parse_args(arguments)
    profile = existing(name)
    if processes.supervisor(profile) is None:
        raise CommandError(
            f'profile "{name}" does not run',
            fix=f"tiphys start -p {name}",
            reason="CLUSTER_UNREACHABLE",
        )
    if not profile.running_nodes or profile.uses_host_network:
        raise CommandError(
            f'profile "{name}" has no machine of its own here to lead to',
            reason="PROFILE_NO_NODES",
        )
    _hold(profile)
    return 0


def _hold(profile: Profile) -> None:
    def ended(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, ended)
    made: list[str] = []
    last = ""
    probe = Probe.at_once(profile)
    try:
        while True:
            made += _repair(profile)
            listed = probe.get("/api/v1/services") or {}
            text = status(profile, listed.get("items") or [])  # type: ignore[arg-type]
            if text != last:
                print(text, flush=True)
                last = text
            time.sleep(LOOK_SECONDS)
    except KeyboardInterrupt:
        print("Stopping tunnel ...", file=sys.stderr)
    finally:
        with route_socket() as route:
            for destination in made:
                route.delete_route(destination)


def status(profile: Profile, services: Sequence[Any]) -> str:
    """minikube's lines. Pure but for our own pid."""
    found = [
        f"{name_of(s)} ({ingress.get('ip', 'pending')})"
        for s in services
        if at(s, "spec", "type") == "LoadBalancer"
        for ingress in at(s, "status", "loadBalancer", "ingress", default=None) or [{}]
    ]
    return "\n".join(
        [
            "Status:",
            f"\tmachine: {profile.name}",
            f"\tpid: {os.getpid()}",
            f"\troute: {profile.load_balancer_pool} -> {profile.running_nodes[0].address}",
            "\ttiphys: Running",
            f"\tservices: [{', '.join(found)}]",
        ]
    )


def _repair(profile: Profile) -> list[str]:
    """Routes made because they were missing."""
    wanted = [profile.load_balancer_pool, profile.service_cidr]
    with route_socket() as route:
        have = {
            str(ip_network(r.destination)) for r in route.routes() if r.destination != "default"
        }
        missing = [one for one in wanted if str(ip_network(one)) not in have]
        for destination in missing:
            route.add_route(destination, gateway=profile.running_nodes[0].address)
    return missing
