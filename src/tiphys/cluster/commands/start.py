"""`tiphys start`: a cluster that runs, whatever was there before.

Idempotent: a running profile is said to run, a stopped or crashed one is started again with its
state. Prints a first line at once and one line per step with its time.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from tiphys import UPSTREAM_VERSION, __version__
from tiphys.cli.arguments import Parser
from tiphys.cli.output import CommandError, Steps
from tiphys.cloud.providers import PROVIDERS as CLOUD_PROVIDERS
from tiphys.cluster import profile as profiles
from tiphys.cluster import published_ports, settings, start_choices
from tiphys.cluster.finding import Finding
from tiphys.cluster.nodes import MASTERS_MAX, NODES_MAX, with_node
from tiphys.cluster.profile import MASTER, WORKER, Profile, Roots
from tiphys.lib.durations import seconds
from tiphys.proxy.config import MODES as PROXY_MODES

READY_SECONDS: Final = 120.0
NODE_GRACE_SECONDS: Final = 40  # A node that spoke no longer ago is ready.


def run(name: str, arguments: Sequence[str]) -> int:
    options = _parser().parse_args(arguments)
    steps = Steps(as_json=options.output == "json")
    profiles.check_name(name)
    return _start(name, options, steps)


def check_machine_for_node(roots: Roots, steps: Steps) -> None:
    """What a start checks, before a machine joins. Raises CommandError."""
    _preflight(roots, steps, 0, 1, PROXY_MODES[0])


def start_joined(name: str, wait_seconds: float, steps: Steps) -> int:
    """A machine that has just joined; returns when its node is ready. Raises CommandError."""
    words = ["--wait", "--wait-timeout", str(wait_seconds), "--keep-context"]
    return _start(name, _parser().parse_args(words), steps)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="tiphys start", description="start a cluster")
    parser.add_argument(
        "--wait",
        nargs="?",
        const="all",
        default="",
        metavar="PARTS",
        help="return when these work: apiserver, system_pods, default_sa, apps_running, "
        "node_ready, kubelet; all when none is named",
    )
    parser.add_argument(
        "--wait-timeout", type=seconds, metavar="90s", help="then give up (default: 120s)"
    )
    parser.add_argument("--dry-run", action="store_true", help="check everything, change nothing")
    parser.add_argument("--addons", action="append", default=[], metavar="NAME", help="enable them")
    parser.add_argument("--nodes", type=int, help="how many nodes; 0 = a control plane alone")
    parser.add_argument(
        "--control-planes",
        type=int,
        metavar="N",
        help="so many masters on machines of their own, on etcd (default: 0, on the host)",
    )
    parser.add_argument(
        "--overlay",
        choices=("auto", "vxlan", "host-gw"),
        help="how nodes reach each other's pods (default: auto)",
    )
    parser.add_argument(
        "--proxy-mode",
        choices=PROXY_MODES,
        help=f"how Services reach pods (default: {PROXY_MODES[0]})",
    )
    parser.add_argument(
        "--listen",
        default="",
        metavar="ADDRESS",
        help="be reached by other machines there, so that they can join; the node is then this"
        " machine itself",
    )
    parser.add_argument(
        "--cloud-provider",
        choices=CLOUD_PROVIDERS,
        help=f"who gives load balancers and knows machines (default: {CLOUD_PROVIDERS[0]})",
    )
    parser.add_argument("--cloud-config", metavar="FILE", help="drivers of the provider libcloud")
    parser.add_argument(
        "--load-balancer",
        action=argparse.BooleanOptionalAction,
        help="addresses for Services of type LoadBalancer (default: yes)",
    )
    parser.add_argument(
        "--audit-policy",
        metavar="FILE",
        help="what is noted of requests: a policy's file, or default, or none (the default)",
    )
    parser.add_argument("--apiserver-port", type=int, default=0, metavar="PORT")
    start_choices.add_arguments(parser)
    parser.add_argument("--keep-context", action="store_true", help="leave kubeconfig alone")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    return parser


def _start(name: str, options: argparse.Namespace, steps: Steps) -> int:
    roots = Roots.from_environment(os.environ)
    existing = profiles.load(roots, name)
    settings.fill(options, settings.load(roots), is_new=existing is None)
    options.wait_timeout = options.wait_timeout or READY_SECONDS
    start_choices.check_words(options)
    options.addons = [one for text in options.addons for one in text.split(",") if one]
    steps.title(f'tiphys {__version__}: starting profile "{name}" (Kubernetes {UPSTREAM_VERSION})')
    if existing is not None and _runs(existing):
        return _already(existing, options, steps)
    from tiphys.cluster import audit_choice, encryption_choice, host_node_checks

    masters, workers = _wanted(existing, options)
    audit_policy = audit_choice.read(options.audit_policy)
    encryption = encryption_choice.read(options.encryption_config)
    host_node_checks.check_listen(existing, options.listen, masters, workers)
    if existing is not None:
        start_choices.check_fixed(existing, options)
    _preflight(roots, steps, masters, workers, _wanted_mode(existing, options))
    if options.dry_run:
        return _dry_run(name, existing, options, steps)
    from tiphys.cluster.launch import launch
    from tiphys.cluster.start_lock import start_lock

    log_file = roots.state / name / "logs" / "supervisor.log"
    began = _now()
    waiting = launch(roots, name, log_file)
    # After the fork: the supervisor must not hold the lock for as long as it lives.
    with ExitStack() as held:
        try:
            _check_addons(options.addons)  # After the fork: it imports much.
            lock = held.enter_context(start_lock(steps.title))
            existing = profiles.load(roots, name)
            if existing is not None and _runs(existing):  # Somebody was faster.
                waiting.give_up()
                return _already(existing, options, steps)
            if existing is not None:
                profile = _resumed(existing, options)
            else:
                profile = _new_profile(roots, name, (masters, workers), options)
            audit_choice.keep(profile, audit_policy)
            encryption_choice.keep(profile, encryption)
            _prepare(profile, steps)
            if _has_context(profile, options):
                _set_context(profile)
            waiting.go(profile)
        except BaseException:
            waiting.give_up()
            _forget_what_never_was(roots, name)
            raise
        _wait(profile, options, steps, waiting.pid, began, lock.release)
    context = "" if not _has_context(profile, options) else f', kubectl uses context "{name}"'
    _enable_addons(profile, options.addons)
    steps.done(f"Done! Profile {name} runs{context}", profile=name, server=profile.server)
    return 0


def _forget_what_never_was(roots: Roots, name: str) -> None:
    """A start that chose nothing yet leaves no folder that would look like a profile.

    A profile that was saved keeps its logs, which say why it failed, until it is deleted.
    """
    import shutil

    if not (roots.state / name / "profile.json").exists():
        shutil.rmtree(roots.state / name, ignore_errors=True)


def _now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - the command's own clock


def _runs(profile: Profile) -> bool:
    from tiphys.cluster import processes

    return processes.supervisor(profile) is not None


def _already(profile: Profile, options: argparse.Namespace, steps: Steps) -> int:
    from tiphys.cluster import audit_choice, cloud_choices, host_node_checks, pausing, processes

    masters, workers = _wanted(profile, options)
    host_node_checks.check_listen(profile, options.listen, masters, workers)
    if _wanted_mode(profile, options) != profile.proxy_mode:
        raise CommandError(
            f'profile "{profile.name}" runs with proxy mode {profile.proxy_mode}, '
            f"not {options.proxy_mode}",
            fix=f"stop it first: tiphys stop -p {profile.name}",
            reason="PROFILE_FIXED",
        )
    start_choices.check_fixed(profile, options)
    start_choices.check_unchanged(profile, options)
    cloud_choices.check_unchanged(profile, options)
    audit_choice.check_unchanged(profile, audit_choice.read(options.audit_policy))
    if options.overlay and options.overlay != profile.overlay:
        raise CommandError(
            f'profile "{profile.name}" runs with overlay {profile.overlay}, not {options.overlay}',
            fix=f"stop it first: tiphys stop -p {profile.name}",
            reason="PROFILE_FIXED",
        )
    if options.dry_run:
        return _dry_run(profile.name, profile, options, steps)
    _check_addons(options.addons)
    if _has_context(profile, options):
        _set_context(profile)

    pausing.let_go_on(profile)
    chief = processes.supervisor(profile)
    recently = _now() - timedelta(seconds=NODE_GRACE_SECONDS)
    # Also without --wait: an earlier start may have been interrupted before its last step.
    _wait(profile, options, steps, chief.identity.pid if chief else 0, recently)
    context = (
        "" if not _has_context(profile, options) else f', kubectl uses context "{profile.name}"'
    )
    _enable_addons(profile, options.addons)
    text = f"Profile {profile.name} runs already{context}"
    steps.done(text, profile=profile.name, server=profile.server)
    return 0


def _wanted(existing: Profile | None, options: argparse.Namespace) -> tuple[int, int]:
    """(masters, workers), as asked or as the profile has them. Raises CommandError."""
    if existing is not None:
        masters = len(existing.masters)
        have = {"--nodes": len(existing.nodes) - masters, "--control-planes": masters}
        asked = {"--nodes": options.nodes, "--control-planes": options.control_planes}
        for flag, count in have.items():
            if asked[flag] is not None and asked[flag] != count:
                raise CommandError(
                    f'profile "{existing.name}" runs with {flag} {count}, not {asked[flag]}',
                    fix="`tiphys node add` and `tiphys node delete` change the number of nodes;"
                    f" `tiphys delete -p {existing.name}` starts over",
                    reason="PROFILE_FIXED",
                )
        return masters, have["--nodes"]
    masters = options.control_planes or 0
    workers = 1 if options.nodes is None else int(options.nodes)
    if not 0 <= masters <= MASTERS_MAX:
        fix = f"use a number from 1 to {MASTERS_MAX}, best an odd one"
        raise CommandError(
            f"--control-planes {masters} is not possible", fix=fix, reason="BAD_VALUE"
        )
    if not 0 <= workers <= NODES_MAX - masters:
        fix = f"use a number from 0 to {NODES_MAX - masters}"
        raise CommandError(f"--nodes {workers} is not possible", fix=fix, reason="BAD_VALUE")
    return masters, workers


def _wanted_mode(existing: Profile | None, options: argparse.Namespace) -> str:
    """The proxy mode: what is said now, or was said before."""
    return options.proxy_mode or (existing.proxy_mode if existing else PROXY_MODES[0])


def _preflight(roots: Roots, steps: Steps, masters: int, workers: int, proxy_mode: str) -> None:
    from tiphys.cluster import preflight

    found = preflight.check(
        roots, with_nodes=masters + workers > 0, with_etcd=masters > 0, proxy_mode=proxy_mode
    )
    _refuse_if_fatal(found)
    steps.say("machine checked")


def _refuse_if_fatal(findings: Sequence[Finding]) -> None:
    """Say all that is wrong. Raises CommandError when a cluster cannot run like this."""
    for finding in findings:
        if not finding.fatal:
            print(f"Warning: {finding.what}\n  {finding.fix}", file=sys.stderr)
    fatal = [f for f in findings if f.fatal]
    if fatal:
        raise CommandError(
            "this machine cannot run a cluster: " + "; ".join(f.what for f in fatal),
            fix="\n  ".join(dict.fromkeys(f.fix for f in fatal)),
            reason="MACHINE_UNFIT",
        )


def _new_profile(
    roots: Roots, name: str, counts: tuple[int, int], options: argparse.Namespace
) -> Profile:
    """counts: masters and workers. Raises CommandError."""
    from tiphys.cluster import addresses, cloud_choices, host_node_checks, leftovers, ranges

    masters, nodes = counts[0], sum(counts)
    if nodes:
        # Here, and not with the rest of the checks: now nobody else makes a profile.
        _refuse_if_fatal(leftovers.findings(name, leftovers.observe(name), roots))
    if options.apiserver_port and not addresses.is_free(options.apiserver_port):
        raise CommandError(
            f"port {options.apiserver_port} is in use",
            fix="name another with --apiserver-port",
            reason="MACHINE_PORT",
        )
    try:
        chosen = ranges.choose(list(addresses.taken(roots, name)) if nodes else [])
    except ranges.NoFreeRange as exc:
        raise CommandError(str(exc), reason="MACHINE_RANGES") from exc
    profile = Profile(
        name=name,
        roots=roots,
        api_port=options.apiserver_port or addresses.free_port(roots, name),
        node_cidr=chosen.node,
        pod_cidr=chosen.pod,
        service_cidr=chosen.service,
        load_balancer_pool=chosen.load_balancer_pool,
        overlay=options.overlay or "auto",
        proxy_mode=_wanted_mode(None, options),
        listen=options.listen,
    )
    profile = start_choices.chosen(profile, options)
    published_ports.check_free(profile.ports)
    profile = cloud_choices.chosen(profile, options)
    for number in range(nodes):
        profile = with_node(profile, role=MASTER if number < masters else WORKER)
    host_node_checks.check_machine(profile)
    profile.save()
    return profile


def _resumed(profile: Profile, options: argparse.Namespace) -> Profile:
    """A stopped profile, fit for the machine as it is now. Raises CommandError."""
    from tiphys.cluster import addresses, cloud_choices, host_node_checks, processes

    processes.stop(profile)  # What a killed supervisor left behind.
    host_node_checks.check_machine(profile)
    # Where the node is the machine itself, what a crash left of its routes would be in its way.
    own_network = bool(profile.nodes) and not profile.uses_host_network
    overlaps = addresses.conflicts(profile) if own_network else []
    if overlaps:
        raise CommandError(
            f"profile {profile.name} cannot have its addresses back: {'; '.join(overlaps)}",
            fix="remove what overlaps (`tiphys profile list`, `ip route`), or delete this profile",
            reason="MACHINE_CONFLICT",
        )
    overlay = options.overlay or profile.overlay
    if profile.uses_host_network and overlay != profile.overlay:
        raise CommandError(
            f'the machines of profile "{profile.name}" agreed on overlay {profile.overlay}',
            fix=f"tiphys delete -p {profile.name}, then start with --overlay {overlay}",
            reason="PROFILE_FIXED",
        )
    wanted = replace(profile, proxy_mode=_wanted_mode(profile, options), overlay=overlay)
    wanted = start_choices.chosen(wanted, options)
    published_ports.check_free(wanted.ports)
    wanted = cloud_choices.chosen(wanted, options)
    if wanted != profile:
        profile = wanted
        profile.save()
    if profile.is_joined:
        return profile
    if not addresses.is_free(profile.api_port):
        if profile.listen:
            raise CommandError(
                f"port {profile.api_port} is in use, and other machines know the cluster by it",
                fix="see who listens there: ss -ltnp",
                reason="MACHINE_PORT",
            )
        port = addresses.free_port(profile.roots, profile.name)
        profile = replace(profile, api_port=port)
        profile.save()
    return profile


def _prepare(profile: Profile, steps: Steps) -> None:
    """Certificates, kubeconfigs, directories and the network; repairs what is missing."""
    from tiphys.cluster import access, pki, profile_files

    profile_files.check(profile)
    for directory in (profile.directory / "store", profile.logs, profile.run_directory):
        directory.mkdir(parents=True, exist_ok=True, mode=0o711)
    if profile.is_joined:
        from tiphys.cluster import joining

        joining.check_certificate(profile, _now())
    else:
        pki.ensure(profile, _now())
        access.write_all(profile)
    steps.say("certificates ready")
    if profile.nodes:
        from tiphys.cluster import node_network

        try:
            node_network.ensure(profile)
        except (OSError, RuntimeError) as exc:
            raise CommandError(
                f"the network of profile {profile.name} cannot be made: {exc}",
                fix=f"`tiphys delete -p {profile.name}` removes what is left of it; then try again",
                reason="MACHINE_NETWORK",
            ) from exc
        steps.say(f"network ready: node {profile.nodes[0].address}")


def _has_context(profile: Profile, options: argparse.Namespace) -> bool:
    """A machine that joined has no administrator's credentials to give."""
    return not options.keep_context and not profile.is_joined


def _set_context(profile: Profile) -> None:
    from tiphys.client import kubeconfig
    from tiphys.cluster import access

    path = kubeconfig.default_path(os.environ).absolute()
    try:
        access.set_user_context(profile, path)
    except (OSError, kubeconfig.KubeconfigError) as exc:
        raise CommandError(
            f"the context cannot be written to {path}: {exc}",
            fix="repair or move that file, or use --keep-context",
            reason="KUBECONFIG_WRITE",
        ) from exc


def _wait(
    profile: Profile,
    options: argparse.Namespace,
    steps: Steps,
    pid: int,
    since: datetime,
    served: Callable[[], None] = lambda: None,
) -> None:
    """Wait for what was asked for; nodes must have spoken since a moment. Raises CommandError."""
    from tiphys.cluster import readiness, start_wait
    from tiphys.lib.process import start_time

    start_wait.wait(
        profile,
        readiness.Probe(profile, since),
        start_choices.wait_parts(options.wait),
        options.wait_timeout,
        steps,
        lambda: start_time(pid) is not None,
        served,
    )


def _enable_addons(profile: Profile, names: Sequence[str]) -> None:
    """Raises CommandError for one that there is not, or that cannot be had."""
    from tiphys.cluster.commands import addons

    for name in names:
        if addons.run(profile.name, ["enable", name]) != 0:
            raise CommandError(
                f"the cluster runs, but the addon {name} is not enabled",
                fix=f"tiphys addons enable {name} -p {profile.name}",
                reason="ADDON_NOT_READY",
            )


def _check_addons(names: Sequence[str]) -> None:
    """Raises CommandError, before anything is started."""
    if not names:
        return
    from tiphys.cluster.commands.addons import ADDONS

    for name in names:
        if name not in ADDONS:
            raise CommandError(
                f'there is no addon "{name}"',
                fix=f"addons: {', '.join(ADDONS)}",
                reason="ADDON_NOT_FOUND",
            )


def _dry_run(name: str, existing: Profile | None, options: argparse.Namespace, steps: Steps) -> int:
    """What a start would do, having checked that it could; changes nothing. Raises CommandError."""
    _check_addons(options.addons)
    masters, workers = _wanted(existing, options)
    if existing is None:
        what = f"would make profile {name}: {masters} control planes, {workers} nodes"
    else:
        chosen = start_choices.chosen(existing, options)
        what = f"would start profile {name} again" + (
            ", with other choices" if chosen != existing else ""
        )
    steps.done(f"Dry run: {what}; nothing was changed", profile=name, nodes=workers)
    return 0
