"""`tiphys stop`: stop containers and components, keep every object and image."""

import os
import sys
from collections.abc import Sequence

from tiphys.cli.arguments import Parser
from tiphys.cli.output import CommandError, Steps
from tiphys.cluster import pausing, processes
from tiphys.cluster import profile as profiles
from tiphys.cluster.profile import Profile, Roots
from tiphys.cluster.start_lock import start_lock


def run(name: str, arguments: Sequence[str]) -> int:
    parser = Parser(prog="tiphys stop", description="stop a cluster, keep state")
    parser.add_argument(
        "--keep-context-active", action="store_true", help="leave the context in kubeconfig"
    )
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    options = parser.parse_args(arguments)
    profile = existing(name)
    steps = Steps(as_json=options.output == "json")
    with start_lock(steps.title):
        ran = halt(profile)
    if not options.keep_context_active and not profile.is_joined:
        _remove_contexts(profile)
    steps.done(f"Stopped {name}" if ran else f"{name} did not run", profile=name)
    return 0


def _remove_contexts(profile: Profile) -> None:
    """As minikube: a context of what does not run would only mislead; start makes it again."""
    from tiphys.client import kubeconfig
    from tiphys.cluster import access

    for problem in access.remove_user_contexts(profile, kubeconfig.default_path(os.environ)):
        print(f"Warning: {problem}", file=sys.stderr)


def existing(name: str) -> Profile:
    """The profile. Raises CommandError when there is none."""
    found = profiles.load(Roots.from_environment(os.environ), name)
    if found is None:
        known = profiles.names(Roots.from_environment(os.environ))
        fix = f"profiles here: {', '.join(known)}" if known else "start one: tiphys start"
        raise CommandError(f'there is no profile "{name}"', fix=fix, reason="PROFILE_NOT_FOUND")
    return found


def halt(profile: Profile, *, remove: bool = False) -> bool:
    """Stop components first, so that nobody starts containers again, then the containers.

    remove takes their records and images away too. Returns whether anything ran.
    """
    pausing.let_go_on(profile)
    ran = processes.stop(profile)
    if profile.nodes:
        from tiphys.cluster import node_network
        from tiphys.cluster.containers import remove_containers, stop_containers

        for node in profile.nodes:
            (remove_containers if remove else stop_containers)(profile, node)
        # The nodes' namespaces hold the mounts and rules of what ran in them.
        node_network.remove(profile)
    return ran
