"""What `tiphys start` may choose at every start: sizes of machines, ports, components' options.

Words and forms are minikube's. A running cluster keeps what it was started with: what differs is
refused, and never silently ignored.
"""

import argparse
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from tiphys import UPSTREAM_VERSION
from tiphys.cli.output import CommandError
from tiphys.cluster import encryption_choice, extra_config, published_ports
from tiphys.cluster.profile import Profile

MEMORY_BYTES_MIN: Final = 256 << 20  # The kubelet keeps 100 Mi free; pods want some too.
_UNITS: Final = {"b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "": 1 << 20}
_MEMORY: Final = re.compile(r"(\d+)\s*([bkmg]?)(i?b?)", re.IGNORECASE)
_SERVED: Final = UPSTREAM_VERSION.removeprefix("v")
DRIVERS: Final = ("auto", "none", "native")
WAIT_PARTS: Final = (
    "apiserver",
    "system_pods",
    "default_sa",
    "apps_running",
    "node_ready",
    "kubelet",
)
_ALL: Final = ("all", "true")
_NONE: Final = ("", "none", "false")
RUNTIMES: Final = ("auto", "tiphys")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cpus", metavar="N", help="of each machine; max or no-limit: all")
    parser.add_argument("--memory", metavar="N[bkmg]", help="of each machine, in MB without a unit")
    parser.add_argument(
        "--ports",
        action="append",
        metavar="[ADDRESS:]PORT:NODEPORT",
        help="a port of this machine that leads to a node port",
    )
    parser.add_argument(
        "--extra-config",
        action="append",
        metavar="COMPONENT.OPTION=VALUE",
        help="an option of a component, such as kubelet.max-pods=50",
    )
    parser.add_argument(
        "--encryption-config",
        metavar="FILE",
        help="what the store encrypts and with which keys, or none (the default)",
    )
    parser.add_argument("--kubernetes-version", metavar="VERSION", help=UPSTREAM_VERSION)
    parser.add_argument("--driver", default="auto", help="the machines are namespaces of this one")
    parser.add_argument("--container-runtime", default="auto", help="containers are made by tiphys")


def check_words(options: argparse.Namespace) -> None:
    """What is wrong whatever the profile is like. Raises CommandError."""
    _changes(options)
    wait_parts(options.wait)
    for flag, given, known in (
        ("--driver", options.driver, DRIVERS),
        ("--container-runtime", options.container_runtime, RUNTIMES),
    ):
        if given not in known:
            raise CommandError(
                f"{flag} {given} is not possible: there is only {known[-1]}",
                fix=f"leave {flag} out",
                reason="BAD_VALUE",
            )
    wanted = options.kubernetes_version or "stable"
    served = {"stable", "latest", _SERVED, _SERVED.rpartition(".")[0]}
    if wanted.removeprefix("v") not in served:
        raise CommandError(
            f"Kubernetes {wanted} is not what this tiphys serves",
            fix=f"use --kubernetes-version v{_SERVED}, or leave it out",
            reason="BAD_VALUE",
        )


def chosen(profile: Profile, options: argparse.Namespace) -> Profile:
    """The profile with what was said; what was not said stays. Raises CommandError."""
    changes = _changes(options)
    return replace(profile, **changes) if changes else profile


def _changes(options: argparse.Namespace) -> dict[str, Any]:
    """Fields of the profile. Raises CommandError."""
    found: dict[str, Any] = {}
    if options.cpus is not None:
        found["cpus"] = cpus(options.cpus, _machine_cpus())
    if options.memory is not None:
        found["memory_bytes"] = memory(options.memory, _machine_memory())
    if options.ports is not None:
        found["ports"] = _words(options.ports)
        published_ports.parse_all(found["ports"])
    if options.extra_config is not None:
        found["extra_config"] = tuple(options.extra_config)
        extra_config.check(found["extra_config"])
    return found


def check_unchanged(profile: Profile, options: argparse.Namespace) -> None:
    """A cluster that runs cannot be changed. Raises CommandError naming what differs."""
    wanted = chosen(profile, options)
    for flag, now, then in (
        ("--cpus", profile.cpus, wanted.cpus),
        ("--memory", profile.memory_bytes, wanted.memory_bytes),
        ("--ports", profile.ports, wanted.ports),
        ("--extra-config", profile.extra_config, wanted.extra_config),
    ):
        if now != then:
            raise CommandError(
                f'profile "{profile.name}" runs with {flag} {_said(now)}, not {_said(then)}',
                fix=f"stop it first: tiphys stop -p {profile.name}",
                reason="PROFILE_FIXED",
            )
    encryption = encryption_choice.read(options.encryption_config)
    encryption_choice.check_unchanged(profile, encryption)


def check_fixed(profile: Profile, options: argparse.Namespace) -> None:
    """What only a new cluster can choose. Raises CommandError naming what differs."""
    for flag, now, then in (("--apiserver-port", profile.api_port, options.apiserver_port),):
        if then and now != then:
            raise CommandError(
                f'profile "{profile.name}" was made with {flag} {now}, not {then}',
                fix=f"delete it first: tiphys delete -p {profile.name}",
                reason="PROFILE_FIXED",
            )


def wait_parts(text: str) -> frozenset[str]:
    """What --wait names (start_wait.py). Raises CommandError for a word that is none."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    if any(word in _ALL for word in words):
        return frozenset(WAIT_PARTS)
    wanted = frozenset(word for word in words if word not in _NONE)
    for word in sorted(wanted - set(WAIT_PARTS)):
        raise CommandError(
            f'--wait: there is no component "{word}"',
            fix=f"use some of {', '.join(WAIT_PARTS)}, all or none",
            reason="BAD_VALUE",
        )
    return wanted


def cpus(text: str, there_are: int) -> int:
    """0 for no limit. Raises CommandError."""
    if text in ("max", "no-limit"):
        return 0
    if not text.isdecimal() or int(text) < 1:
        raise CommandError(f"--cpus {text} is no number of CPUs", reason="BAD_VALUE")
    if int(text) > there_are:
        raise CommandError(
            f"--cpus {text}: this machine has {there_are}",
            fix=f"use --cpus {there_are}",
            reason="MACHINE_CPUS",
        )
    return int(text)


def memory(text: str, there_are: int) -> int:
    """Bytes; 0 for no limit. Raises CommandError."""
    if text in ("max", "no-limit"):
        return 0
    found = _MEMORY.fullmatch(text)
    if found is None:
        raise CommandError(
            f"--memory {text} is no size", fix="write 2048, 2048mb or 2g", reason="BAD_VALUE"
        )
    size = int(found[1]) * _UNITS[found[2].lower()]
    if size < MEMORY_BYTES_MIN:
        raise CommandError(
            f"--memory {text} is too little",
            fix=f"use {MEMORY_BYTES_MIN >> 20}mb or more",
            reason="BAD_VALUE",
        )
    if size > there_are:
        raise CommandError(
            f"--memory {text}: this machine has {there_are >> 20} MB",
            fix=f"use --memory {there_are >> 20}mb or less",
            reason="MACHINE_MEMORY",
        )
    return size


def _words(given: Sequence[str]) -> tuple[str, ...]:
    return tuple(word for text in given for word in text.split(",") if word)


def _said(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(map(str, value)) or "none"
    return str(value or "no-limit")


def _machine_cpus() -> int:
    return len(os.sched_getaffinity(0))


def _machine_memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
