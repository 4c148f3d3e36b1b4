"""`tiphys join SERVER`: this machine becomes a node of a cluster on another machine."""

import argparse
import asyncio
import os
import re
import shutil
import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from tiphys.cli.arguments import Parser
from tiphys.cli.output import CommandError, Steps
from tiphys.cluster import profile as profiles
from tiphys.cluster.profile import Profile, Roots

if TYPE_CHECKING:
    from tiphys.cluster import joining

_NODE_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?")  # RFC 1123
API_PORT: Final = 6443


def run(name: str, arguments: Sequence[str]) -> int:
    options = _parser().parse_args(arguments)
    steps = Steps(as_json=options.output == "json")
    profiles.check_name(name)
    return _join(name, options, steps)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="tiphys join",
        description="make this machine a node; `tiphys token create --print-join-command` on the"
        " other machine prints the whole command",
    )
    parser.add_argument("server", help="https://ADDRESS:PORT of the cluster")
    parser.add_argument("--token", required=True, help="from `tiphys token create`")
    parser.add_argument(
        "--ca-hash",
        "--discovery-token-ca-cert-hash",
        action="append",
        default=[],
        metavar="sha256:HASH",
        help="of the public key of the cluster's authority; may be given several times",
    )
    parser.add_argument(
        "--discovery-token-unsafe-skip-ca-verification",
        action="store_true",
        help="trust everybody who knows the token",
    )
    parser.add_argument("--node-name", default="", help="default: this machine's host name")
    parser.add_argument("--node-ip", default="", help="default: the address towards the cluster")
    parser.add_argument("--wait-timeout", type=float, default=120.0, metavar="SECONDS")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    return parser


def _join(name: str, options: argparse.Namespace, steps: Steps) -> int:
    from tiphys.cluster import joining
    from tiphys.cluster.commands import start
    from tiphys.cluster.start_lock import start_lock

    roots = Roots.from_environment(os.environ)
    if profiles.load(roots, name) is not None:
        raise CommandError(
            f'there is a profile "{name}" already',
            fix=f"`tiphys start -p {name}` starts it, `tiphys delete -p {name}` removes it",
            reason="PROFILE_EXISTS",
        )
    wish = _wish(options)
    steps.title(f'joining {wish.server} as node "{wish.node_name}", profile "{name}"')
    start.check_machine_for_node(roots, steps)
    with start_lock(steps.title):
        try:
            _give_certificate(name, roots, wish)
        except joining.FAILURES as exc:
            _forget(roots, name)
            raise CommandError(
                f"cannot join {wish.server}: {exc}", fix=_fix(exc), reason="JOIN_REFUSED"
            ) from exc
    steps.say("certificate given by the cluster")
    return start.start_joined(name, options.wait_timeout, steps)


def _give_certificate(name: str, roots: Roots, wish: "joining.Wish") -> None:
    """Raises CommandError and what joining raises."""
    from tiphys.cluster import joining
    from tiphys.lib.clock import SystemClock

    clock = SystemClock()
    joined = asyncio.run(joining.join(name, roots, wish, clock))
    _check_ranges(joined.profile)
    joining.write(joined, clock.now())


def server_of(text: str) -> str:
    """`https://HOST:PORT` of what the user wrote. Raises CommandError."""
    parts = urlsplit(text if "://" in text else f"https://{text}")
    try:
        port = parts.port or API_PORT
    except ValueError:
        port = 0
    if parts.scheme != "https" or not parts.hostname or not port:
        raise CommandError(
            f'"{text}" is no server', fix=f"write https://ADDRESS:{API_PORT}", reason="BAD_VALUE"
        )
    return f"https://{parts.hostname}:{port}"


def _wish(options: argparse.Namespace) -> "joining.Wish":
    """Raises CommandError."""
    from tiphys.cluster import discovery, joining

    if not options.ca_hash and not options.discovery_token_unsafe_skip_ca_verification:
        raise CommandError(
            "--ca-hash is missing: without it the cluster could be anybody who knows the token",
            fix="`tiphys token create --print-join-command` on the cluster's machine prints it",
            reason="JOIN_UNTRUSTED",
        )
    try:
        pins = [discovery.check_pin(pin) for pin in options.ca_hash]
    except discovery.DiscoveryError as exc:
        raise CommandError(str(exc), reason="TOKEN_INVALID") from exc
    return joining.Wish(
        server=server_of(options.server),
        token=options.token,
        pins=pins,
        node_name=_node_name(options.node_name),
        node_ip=options.node_ip,
    )


def _node_name(given: str) -> str:
    """Raises CommandError."""
    found = (given or socket.gethostname()).lower()
    if not _NODE_NAME.fullmatch(found):
        fix = 'use --node-name with lower-case letters, digits, "-" and "."'
        raise CommandError(f'"{found}" is not a node\'s name', fix=fix, reason="BAD_VALUE")
    return found


def _check_ranges(profile: Profile) -> None:
    """The cluster's ranges must be free on this machine. Raises CommandError."""
    from tiphys.cluster import addresses, ranges

    wanted = (profile.pod_cidr, profile.service_cidr)
    if found := ranges.conflicts(wanted, list(addresses.taken(profile.roots, profile.name))):
        raise CommandError(
            f"the cluster's addresses are in use on this machine: {'; '.join(found)}",
            fix="remove what overlaps (`tiphys profile list`, `ip route`)",
            reason="MACHINE_CONFLICT",
        )


def _forget(roots: Roots, name: str) -> None:
    """A machine that did not join has nothing of the cluster."""
    shutil.rmtree(roots.state / name, ignore_errors=True)


def _fix(exc: Exception) -> str:
    from tiphys.api.errors import Unauthorized
    from tiphys.cluster.discovery import DiscoveryError

    if isinstance(exc, (DiscoveryError, Unauthorized)):
        return "make a new token on the cluster's machine: tiphys token create --print-join-command"
    return "see whether the other machine can be reached, and whether the cluster runs there"
