"""`tiphys update-context`: make the kubeconfig lead to the cluster, and make it current."""

import os
from collections.abc import Sequence

from tiphys.cli.arguments import Parser
from tiphys.cli.output import CommandError
from tiphys.client import kubeconfig
from tiphys.cluster import access
from tiphys.cluster.commands.stop import existing


def run(name: str, arguments: Sequence[str]) -> int:
    parser = Parser(
        prog="tiphys update-context", description="make the kubeconfig lead to the cluster"
    )
    parser.parse_args(arguments)
    path = kubeconfig.default_path(os.environ)
    try:
        profile = existing(name)
        if profile.is_joined:
            raise CommandError(
                f'profile "{name}" is a node of another machine\'s cluster: it has no context',
                fix="copy the kubeconfig of the machine where the cluster was started",
                reason="PROFILE_JOINED",
            )
        access.set_user_context(profile, path)
    except (OSError, kubeconfig.KubeconfigError) as exc:
        raise CommandError(
            f"the context cannot be written to {path}: {exc}", reason="KUBECONFIG_WRITE"
        ) from exc
    print(f'"{name}" context is current in {path}')
    return 0
