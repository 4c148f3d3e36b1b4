"""All checks in upstream's order, each with the versions of Kubernetes whose rule it was.

Upstream: pod-security-admission/policy/registry.go. Checks of baseline that a check of restricted
covers are left out there, so that nothing is told twice.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from tiphys.api.meta import Obj
from tiphys.apiserver.pod_security import baseline, restricted
from tiphys.apiserver.pod_security.pods import Check, Violation
from tiphys.apiserver.pod_security.policy import (
    BASELINE,
    LATEST,
    PRIVILEGED,
    RESTRICTED,
    LevelVersion,
)

NEVER: Final = LATEST + 1


class Rule(NamedTuple):
    """versions: (first minor version, check), the newest last.

    covered_from: the minor version from which one of restricted covers it.
    """

    level: str
    versions: tuple[tuple[int, Check], ...]
    covered_from: int = NEVER


def _baseline(*versions: tuple[int, Check], covered_from: int = NEVER) -> Rule:
    return Rule(BASELINE, versions, covered_from)


def _restricted(*versions: tuple[int, Check]) -> Rule:
    return Rule(RESTRICTED, versions)


RULES: Final = (
    _restricted((8, restricted.allow_privilege_escalation)),
    _baseline((0, baseline.app_armor)),
    _baseline((0, baseline.capabilities), covered_from=22),
    _restricted((22, restricted.capabilities)),
    _baseline((0, baseline.host_namespaces)),
    _baseline((0, baseline.host_path_volumes), covered_from=0),
    _baseline((0, baseline.host_ports)),
    _baseline((34, baseline.host_probes)),
    _baseline((0, baseline.privileged)),
    _baseline((0, baseline.proc_mount), (35, baseline.proc_mount_1_35), covered_from=0),
    _restricted((0, baseline.proc_mount)),
    _restricted((0, restricted.volumes)),
    _restricted((0, restricted.run_as_non_root), (35, restricted.run_as_non_root_1_35)),
    _restricted((23, restricted.run_as_user), (35, restricted.run_as_user_1_35)),
    _baseline((0, baseline.selinux), (31, baseline.selinux_1_31)),
    _baseline((0, baseline.seccomp_annotations), (19, baseline.seccomp), covered_from=19),
    _restricted((19, restricted.seccomp_set)),
    _baseline(
        (0, baseline.sysctls),
        (27, baseline.sysctls_1_27),
        (29, baseline.sysctls_1_29),
        (32, baseline.sysctls_1_32),
    ),
    _baseline((0, baseline.windows_host_process)),
)


def checks_of(wanted: LevelVersion) -> list[Check]:
    """Those of baseline first, those of restricted after them."""
    if wanted.level == PRIVILEGED:
        return []
    strict = wanted.level == RESTRICTED
    found: list[list[Check]] = [[], []]
    for rule in RULES:
        fitting = [check for first, check in rule.versions if first <= wanted.minor]
        if not fitting or (rule.level == RESTRICTED and not strict):
            continue
        if strict and rule.covered_from <= wanted.minor:
            continue
        found[rule.level == RESTRICTED].append(fitting[-1])
    return [check for part in found for check in part]


def violations(wanted: LevelVersion, pod: Obj) -> list[Violation]:
    return [bad for check in checks_of(wanted) if (bad := check(pod)) is not None]


def details(found: Sequence[Violation]) -> str:
    return ", ".join(map(str, found))


def reasons(found: Sequence[Violation]) -> str:
    return ", ".join(bad.reason for bad in found)
