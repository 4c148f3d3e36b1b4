"""`tiphys token COMMAND`: finds the command's module. Words and flags are kubeadm's."""

from collections.abc import Sequence
from typing import Final

from tiphys.cli.output import CommandError
from tiphys.cluster.commands.group import Group
from tiphys.cluster.commands.stop import existing
from tiphys.cluster.profile import Profile
from tiphys.cluster.readiness import NotReady, Probe

COMMANDS: Final = {
    "create": "make a token with which a machine can join",
    "list": "show the tokens there are",
    "delete": "take tokens away",
}
SECRETS: Final = "/api/v1/namespaces/kube-system/secrets"
GROUP: Final = Group(
    name="token",
    package="tiphys.cluster.commands.token",
    what="the token",
    commands=COMMANDS,
    errors={NotReady: "CLUSTER_NOT_READY"},
)


def run(profile: str, arguments: Sequence[str]) -> int:
    return GROUP.run(profile, arguments)


def open_cluster(name: str) -> tuple[Profile, Probe]:
    """A cluster that other machines can join. Raises CommandError."""
    profile = existing(name)
    if profile.is_joined:
        raise CommandError(
            f'profile "{name}" is a node of another machine\'s cluster',
            fix=f"make tokens there ({profile.server})",
            reason="PROFILE_JOINED",
        )
    if not profile.listen:
        raise CommandError(
            f'profile "{name}" is for this machine alone: nobody can join it',
            fix="start one that others reach: tiphys start -p NAME --listen ADDRESS",
            reason="JOIN_NOT_OPEN",
        )
    probe = Probe.at_once(profile)
    if not probe.api_is_ready():
        raise CommandError(
            f'profile "{name}" does not answer',
            fix=f"tiphys start -p {name}",
            reason="CLUSTER_UNREACHABLE",
        )
    return profile, probe
