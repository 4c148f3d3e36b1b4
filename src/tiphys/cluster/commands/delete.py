"""`tiphys delete`: remove every trace of a profile.

Works on what it finds: a running cluster, a killed one, one of before a reboot, half a one.
"""

import os
import shutil
import sys
from collections.abc import Sequence

from tiphys.cli.arguments import Parser
from tiphys.cli.output import CommandError, Steps
from tiphys.cluster import profile as profiles
from tiphys.cluster import settings
from tiphys.cluster.profile import Node, Profile, ProfileError, Roots
from tiphys.cluster.start_lock import start_lock


def run(name: str, arguments: Sequence[str]) -> int:
    parser = Parser(prog="tiphys delete", description="remove a cluster wholly")
    parser.add_argument("--all", action="store_true", help="every profile")
    parser.add_argument(
        "--purge", action="store_true", help="cached images too, when no profile needs them"
    )
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    options = parser.parse_args(arguments)
    steps = Steps(as_json=options.output == "json")
    roots = Roots.from_environment(os.environ)
    with start_lock(steps.title):
        for one in profiles.names(roots) if options.all else [profiles.check_name(name)]:
            _delete(roots, one, steps)
    if options.purge:
        _purge(roots, steps)
    return 0


def _purge(roots: Roots, steps: Steps) -> None:
    """Remove what all profiles share. Raises CommandError while one is left."""
    if left := profiles.names(roots):
        raise CommandError(
            f"cached images stay: profiles use them ({', '.join(left)})",
            fix="delete them too: tiphys delete --all --purge",
            reason="PROFILE_IN_USE",
        )
    shutil.rmtree(roots.state, ignore_errors=True)
    steps.say("cached images removed")


def _delete(roots: Roots, name: str, steps: Steps) -> None:
    try:
        profile = profiles.load(roots, name)
    except ProfileError as exc:
        print(f"Warning: {exc}", file=sys.stderr)
        profile = None
    if profile is None:
        nodes = _nodes_left(roots, name)
        if not nodes and not (roots.state / name).exists() and not (roots.run / name).exists():
            steps.done(f'there is no profile "{name}"', profile=name)
            return
        profile = guessed(roots, name, nodes or (Node(name, "192.168.49.2"),))
    _remove(profile)
    if profile.directory.exists() or profile.run_directory.exists():
        raise CommandError(
            f"files of {name} are left: {profile.directory}, {profile.run_directory}",
            fix="see who uses them (`lsof`, `mount`), then run it again",
            reason="PROFILE_FILES_LEFT",
        )
    _mean_another(roots, name)
    steps.done(f"Deleted {name}", profile=name)


def _mean_another(roots: Roots, name: str) -> None:
    """The profile that is meant without -p is the usual one again, if this was it."""
    try:
        known = settings.load(roots)
    except CommandError:
        return  # Damaged: there is nothing to take back.
    if known.get(settings.PROFILE) == name:
        del known[settings.PROFILE]
        settings.save(roots, known)


def _nodes_left(roots: Roots, name: str) -> tuple[Node, ...]:
    """Nodes of which the machine still has something, though no file tells of them.

    None while a cluster of that name runs: then it is another TIPHYS_HOME's.
    """
    if os.geteuid() != 0:
        return ()
    from tiphys.cluster import leftovers

    machine = leftovers.observe(name)
    if machine.supervisors or not leftovers.of(name, machine, roots):
        return ()
    return leftovers.nodes(name, machine)


def guessed(roots: Roots, name: str, nodes: tuple[Node, ...]) -> Profile:
    """What a profile whose file cannot be read must have been: everything carries its name."""
    return Profile(
        name=name,
        roots=roots,
        api_port=0,
        node_cidr="192.168.49.0/24",
        pod_cidr="10.244.0.0/16",
        service_cidr="10.96.0.0/16",
        load_balancer_pool="192.168.49.128/25",
        nodes=nodes,
    )


def _remove(profile: Profile) -> None:
    from tiphys.client import kubeconfig
    from tiphys.cluster import access
    from tiphys.cluster.commands.stop import halt

    halt(profile, remove=True)
    shutil.rmtree(profile.run_directory, ignore_errors=True)
    shutil.rmtree(profile.directory, ignore_errors=True)
    for parent in (profile.roots.run,):
        if parent.is_dir() and not any(parent.iterdir()):
            parent.rmdir()
    if profile.is_joined:
        return  # It has no context; one of the same name is another cluster's.
    for problem in access.remove_user_contexts(profile, kubeconfig.default_path(os.environ)):
        print(f"Warning: {problem}", file=sys.stderr)
