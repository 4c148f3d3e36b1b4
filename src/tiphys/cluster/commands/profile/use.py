"""`tiphys profile use NAME`: the one that commands mean without -p, and kubectl's context."""

import os
from collections.abc import Sequence

from tiphys.cli.arguments import Parser
from tiphys.cli.output import CommandError
from tiphys.client import kubeconfig
from tiphys.cluster import access, processes, settings
from tiphys.cluster.commands.stop import existing
from tiphys.cluster.profile import Roots


def run(name: str, arguments: Sequence[str]) -> int:
    parser = Parser(prog="tiphys profile use", description="mean this profile without -p")
    parser.add_argument("name", metavar="NAME")
    wanted = parser.parse_args(arguments).name
    profile = existing(wanted)
    roots = Roots.from_environment(os.environ)
    settings.save(roots, settings.load(roots) | {settings.PROFILE: wanted})
    print(f"profile was set to {wanted}")
    if processes.supervisor(profile) is None or profile.is_joined:
        return 0
    path = kubeconfig.default_path(os.environ).absolute()
    try:
        access.set_user_context(profile, path)
    except (OSError, kubeconfig.KubeconfigError) as exc:
        raise CommandError(
            f"the context cannot be written to {path}: {exc}", reason="KUBECONFIG_WRITE"
        ) from exc
    return 0
