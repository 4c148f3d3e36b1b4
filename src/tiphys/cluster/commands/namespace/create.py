"""`tiphys namespace create NAME --user U`: a place for a team, and who works in it."""

import argparse
import base64
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tiphys.api import quantity
from tiphys.api.errors import ApiError
from tiphys.api.meta import name_of
from tiphys.cli.arguments import Parser
from tiphys.cli.kubectl.client import KubeClient, Unreachable, path_of
from tiphys.cli.kubectl.main import access_of
from tiphys.cli.output import CommandError, Steps
from tiphys.cluster import access, team_namespace, user_certificate
from tiphys.cluster.commands.stop import existing
from tiphys.cluster.profile import Profile
from tiphys.cluster.team_namespace import NAMESPACES, Team
from tiphys.cluster.told import told

LEVELS: Final = ("privileged", "baseline", "restricted")
DAYS: Final = 365  # As long as the cluster signs at most.
# Addresses that are nobody's on the internet. Source: RFC 1918, 3927, 6598.
PRIVATE: Final = (
    "10.0.0.0/8",
    "100.64.0.0/10",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
)
_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")  # RFC 1123 label
_USER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9@._-]{0,62}")


def run(name: str, arguments: Sequence[str]) -> int:
    options = _parser().parse_args(arguments)
    profile = existing(name)
    if profile.is_joined:
        raise CommandError(
            f'profile "{name}" is a node of another machine\'s cluster', reason="PROFILE_JOINED"
        )
    team = _team(options, profile)
    target = Path(options.kubeconfig or f"{team.name}.kubeconfig").absolute()
    steps = Steps(as_json=options.output == "json")
    kube = KubeClient(access_of(name, {}))
    try:
        _check_free(kube, team.name)
        certificate, key = user_certificate.obtain(kube, team.user, options.days)
        steps.say(f"user {team.user} has a certificate for {options.days} days")
        _make(kube, team, steps, target, kubeconfig(profile, team, certificate, key))
    except (ApiError, Unreachable) as exc:
        raise told(exc) from exc
    steps.done(
        f"Done! {team.user} works with: kubectl --kubeconfig {target}",
        namespace=team.name,
        user=team.user,
        kubeconfig=str(target),
    )
    return 0


def _make(kube: KubeClient, team: Team, steps: Steps, target: Path, document: bytes) -> None:
    """All of it or nothing. Raises ApiError, CommandError, Unreachable."""
    try:
        for gvr, obj in team_namespace.objects(team):
            namespace = "" if gvr is NAMESPACES else team.name
            kube.request("POST", path_of(gvr, namespace), obj)
            steps.say(f"{obj['kind']} {name_of(obj)}")
        _write(target, document)
    except (ApiError, CommandError):
        kube.request("DELETE", path_of(NAMESPACES, "", team.name))
        raise


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="tiphys namespace create", description="a place for a team")
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("--user", required=True, help="who administers it, and sees nothing else")
    parser.add_argument("--cpu", default="", help="of all its pods together, such as 2 or 500m")
    parser.add_argument("--memory", default="", help="the same, such as 1Gi")
    parser.add_argument(
        "--isolated", action="store_true", help="its pods reach each other and DNS, nobody else"
    )
    parser.add_argument("--internet", action="store_true", help="with --isolated: the internet too")
    parser.add_argument(
        "--pod-security", choices=LEVELS, default="baseline", help="default: baseline"
    )
    parser.add_argument("--days", type=int, default=DAYS, help="how long the certificate is valid")
    parser.add_argument("--kubeconfig", metavar="FILE", help="default: ./NAME.kubeconfig")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    return parser


def _team(options: argparse.Namespace, profile: Profile) -> Team:
    """Raises CommandError for words that cannot be."""
    if not _NAME.fullmatch(options.name):
        raise CommandError(
            f'"{options.name}" is no name of a namespace',
            fix='use lower-case letters, digits and "-", at most 63',
            reason="BAD_VALUE",
        )
    if not _USER.fullmatch(options.user) or options.user.startswith("system:"):
        raise CommandError(
            f'"{options.user}" is no name of a user',
            fix='use letters, digits and "@._-", at most 63',
            reason="BAD_VALUE",
        )
    if not 1 <= options.days <= DAYS:
        raise CommandError(f"--days {options.days}: 1 to {DAYS} are possible", reason="BAD_VALUE")
    for flag, amount in (("--cpu", options.cpu), ("--memory", options.memory)):
        _check_amount(flag, amount)
    own = (profile.node_cidr, profile.pod_cidr, profile.service_cidr, *PRIVATE)
    return Team(
        name=options.name,
        user=options.user,
        cpu=options.cpu,
        memory=options.memory,
        level=options.pod_security,
        isolated=options.isolated,
        internet=options.internet,
        dns=profile.dns_service,
        own_ranges=own,
    )


def _check_amount(flag: str, amount: str) -> None:
    try:
        if amount and quantity.parse(amount).nanos <= 0:
            raise ValueError("more than nothing is wanted")
    except ValueError as exc:
        raise CommandError(
            f"{flag} {amount} is no amount: {exc}", fix="such as 2, 500m, 1Gi", reason="BAD_VALUE"
        ) from exc


def _check_free(kube: KubeClient, name: str) -> None:
    """A namespace that is there may have rights and pods that break the promise."""
    try:
        kube.request("GET", path_of(NAMESPACES, "", name))
    except ApiError as exc:
        if exc.code == 404:
            return
        raise
    raise CommandError(
        f'there is a namespace "{name}" already',
        fix=f"choose another name, or: kubectl delete namespace {name}",
        reason="NAMESPACE_EXISTS",
    )


def kubeconfig(profile: Profile, team: Team, certificate: bytes, key: bytes) -> bytes:
    """One cluster, one user, one context, in which the namespace need not be said."""
    user = {
        "client-certificate-data": base64.b64encode(certificate).decode(),
        "client-key-data": base64.b64encode(key).decode(),
    }
    context = {"cluster": profile.name, "user": team.user, "namespace": team.name}
    name = f"{team.user}@{profile.name}"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": profile.name, "cluster": access.cluster_entry(profile, profile.server)}
        ],
        "users": [{"name": team.user, "user": user}],
        "contexts": [{"name": name, "context": context}],
        "current-context": name,
    }
    return json.dumps(config, indent=2).encode()


def _write(path: Path, document: bytes) -> None:
    """Readable by its owner alone. Raises CommandError."""
    try:
        new = path.with_name(f".{path.name}.new")
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(document)
        new.replace(path)
    except OSError as exc:
        raise CommandError(f"cannot write {path}: {exc.strerror}", reason="FILE") from exc
