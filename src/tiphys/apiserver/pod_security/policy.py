"""Which level and version of the Pod Security Standards a namespace's labels ask for.

Upstream: pod-security-admission/api/helpers.go (PolicyToEvaluate).
"""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from tiphys.api.field_errors import FieldError, invalid

PREFIX: Final = "pod-security.kubernetes.io/"
PRIVILEGED, BASELINE, RESTRICTED = LEVELS = ("privileged", "baseline", "restricted")
MODES: Final = ("enforce", "audit", "warn")
LATEST: Final = 1 << 30  # Newer than every minor version.
_VERSION: Final = re.compile(r"v1\.(\d|[1-9]\d*)")


class LevelVersion(NamedTuple):
    """minor: of Kubernetes 1, whose rules are meant."""

    level: str = PRIVILEGED
    minor: int = LATEST

    def __str__(self) -> str:
        return f"{self.level}:{'latest' if self.minor == LATEST else f'v1.{self.minor}'}"

    @property
    def strictness(self) -> int:
        return LEVELS.index(self.level)


class Policy(NamedTuple):
    enforce: LevelVersion = LevelVersion()
    audit: LevelVersion = LevelVersion()
    warn: LevelVersion = LevelVersion()


def policy_of(labels: Mapping[str, str]) -> tuple[Policy, list[FieldError]]:
    """A policy in any case: what cannot be read is enforced as restricted, and never warned of."""
    errors: list[FieldError] = []
    enforce, audit, warn = (_mode(labels, mode, errors) for mode in MODES)
    warns = any(label.startswith(f"{PREFIX}warn") for label in labels)
    if labels.get(f"{PREFIX}enforce") in LEVELS and not warns:
        warn = enforce  # Workloads whose pods would be refused are warned of.
    return Policy(enforce, audit, warn), errors


def _mode(labels: Mapping[str, str], mode: str, errors: list[FieldError]) -> LevelVersion:
    level, minor = PRIVILEGED, LATEST
    level_label, version_label = f"{PREFIX}{mode}", f"{PREFIX}{mode}-version"
    if level_label in labels:
        level = labels[level_label]
        if level not in LEVELS:
            _bad(errors, level_label, level, f"must be one of {', '.join(LEVELS)}")
            level = RESTRICTED if mode == "enforce" else PRIVILEGED
    if version_label in labels and labels[version_label] != "latest":
        version = labels[version_label]
        if matched := _VERSION.fullmatch(version):
            minor = int(matched[1])
        else:
            _bad(errors, version_label, version, 'must be "latest" or "v1.x"')
    return LevelVersion(level, minor)


def _bad(errors: list[FieldError], label: str, value: str, why: str) -> None:
    errors.append(invalid(f"metadata.labels[{label}]", value, why))
