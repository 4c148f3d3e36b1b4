"""`tiphys update-context`: make the kubeconfig lead to the cluster, and make it current."""

import argparse
import os
from collections.abc import Sequence

from tiphys.cli.output import CommandError, report
from tiphys.client import kubeconfig
from tiphys.cluster import access
from tiphys.cluster.commands.stop import existing
from tiphys.cluster.profile import ProfileError


def run(name: str, arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
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
            )
        access.set_user_context(profile, path)
    except (CommandError, ProfileError) as exc:
        told = exc if isinstance(exc, CommandError) else CommandError(str(exc))
        return report(told, as_json=False)
    except (OSError, kubeconfig.KubeconfigError) as exc:
        error = CommandError(f"the context cannot be written to {path}: {exc}")
        return report(error, as_json=False)
    print(f'"{name}" context is current in {path}')
    return 0
