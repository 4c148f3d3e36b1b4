"""Audit policies: how much is noted of which request. The first rule that matches decides.

Upstream: apiserver pkg/audit/policy (checker.go, reader.go), pkg/apis/audit/v1/types.go.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, Final

import yaml

from tiphys.apiserver.request_info import RequestInfo
from tiphys.apiserver.user import User

API_VERSION: Final = "audit.k8s.io/v1"
DEFAULT_POLICY: Final = Path(__file__).parent / "default_policy.yaml"


class Level(IntEnum):
    NONE = 0
    METADATA = 1
    REQUEST = 2
    REQUEST_RESPONSE = 3


LEVELS: Final = {
    "None": Level.NONE,
    "Metadata": Level.METADATA,
    "Request": Level.REQUEST,
    "RequestResponse": Level.REQUEST_RESPONSE,
}
STAGES: Final = ("RequestReceived", "ResponseStarted", "ResponseComplete", "Panic")
_RULE_FIELDS: Final = frozenset(
    {
        "level",
        "users",
        "userGroups",
        "verbs",
        "resources",
        "namespaces",
        "nonResourceURLs",
        "omitStages",
        "omitManagedFields",
    }
)
_POLICY_FIELDS: Final = frozenset(
    {"apiVersion", "kind", "metadata", "omitStages", "omitManagedFields", "rules"}
)


class PolicyError(Exception):
    """A policy that cannot be used: which field of which rule, and why."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a policy says of a request."""

    level: Level
    omitted: frozenset[str] = frozenset()  # Stages.
    omit_managed_fields: bool = False


NOTHING: Final = Verdict(Level.NONE)


@dataclass(frozen=True, slots=True)
class GroupResources:
    group: str
    resources: Sequence[str]
    names: Sequence[str]

    def matches(self, info: RequestInfo) -> bool:
        if self.group != info.group:
            return False
        if not self.resources:
            return True
        if self.names and info.name not in self.names:
            return False
        return any(_resource_matches(one, info) for one in self.resources)


def _resource_matches(pattern: str, info: RequestInfo) -> bool:
    combined = f"{info.resource}/{info.subresource}" if info.subresource else info.resource
    if pattern in ("*", combined):
        return True
    if info.subresource and pattern == f"*/{info.subresource}":
        return True
    return pattern == f"{info.resource}/*"


@dataclass(frozen=True, slots=True)
class Rule:
    """Empty lists are no conditions."""

    verdict: Verdict
    users: Sequence[str]
    groups: Sequence[str]
    verbs: Sequence[str]
    namespaces: Sequence[str]
    resources: Sequence[GroupResources]
    paths: Sequence[str]

    def matches(self, user: User, info: RequestInfo) -> bool:
        if self.users and user.name not in self.users:
            return False
        if self.groups and not any(group in self.groups for group in user.groups):
            return False
        if self.verbs and info.verb not in self.verbs:
            return False
        if self.namespaces or self.resources:
            return self._matches_resource(info)
        if self.paths:
            return not info.is_resource and any(_path_matches(p, info.path) for p in self.paths)
        return True

    def _matches_resource(self, info: RequestInfo) -> bool:
        if not info.is_resource:
            return False
        if self.namespaces and info.namespace not in self.namespaces:
            return False
        return not self.resources or any(r.matches(info) for r in self.resources)


def _path_matches(pattern: str, path: str) -> bool:
    if pattern in ("*", path):
        return True
    return pattern.endswith("*") and path.startswith(pattern.rstrip("*"))


@dataclass(frozen=True, slots=True)
class Policy:
    rules: Sequence[Rule]

    def verdict(self, user: User, info: RequestInfo) -> Verdict:
        """Without a rule that matches nothing is noted."""
        return next((r.verdict for r in self.rules if r.matches(user, info)), NOTHING)


def load(path: Path) -> Policy:
    """Raises PolicyError."""
    try:
        return parse(path.read_bytes())
    except OSError as exc:
        raise PolicyError(f"{path}: {exc.strerror}") from exc
    except PolicyError as exc:
        raise PolicyError(f"{path}: {exc}") from exc


def parse(data: bytes) -> Policy:
    """YAML or JSON. Raises PolicyError."""
    try:
        document = yaml.safe_load(data)
    except yaml.YAMLError as exc:
        raise PolicyError(f"is no YAML: {exc}") from exc
    if not isinstance(document, dict):
        raise PolicyError("is no object")
    if (document.get("apiVersion"), document.get("kind")) != (API_VERSION, "Policy"):
        raise PolicyError(f"is not a Policy of {API_VERSION}")
    _check_fields("", document, _POLICY_FIELDS)
    rules = document.get("rules")
    if not isinstance(rules, list) or not rules:
        raise PolicyError("has no rules")
    stages = _stages("", document)
    omits = bool(document.get("omitManagedFields"))
    return Policy([_rule(f"rules[{i}]", r, stages, omits=omits) for i, r in enumerate(rules)])


def _rule(where: str, rule: Any, stages: frozenset[str], *, omits: bool) -> Rule:
    if not isinstance(rule, dict):
        raise PolicyError(f"{where}: is no object")
    _check_fields(f"{where}.", rule, _RULE_FIELDS)
    level = rule.get("level")
    if level not in LEVELS:
        raise PolicyError(f"{where}.level: {level!r} is none of {', '.join(LEVELS)}")
    paths = _texts(where, rule, "nonResourceURLs")
    if paths and (rule.get("resources") or rule.get("namespaces")):
        raise PolicyError(f"{where}: rules cannot apply to both regular resources and paths")
    for path in paths:
        if path != "*" and (not path.startswith("/") or "*" in path.rstrip("*")):
            raise PolicyError(f"{where}.nonResourceURLs: {path!r} is no path")
    own = rule.get("omitManagedFields")
    verdict = Verdict(
        LEVELS[level],
        stages | _stages(f"{where}.", rule),
        omits if own is None else bool(own),
    )
    resources = rule.get("resources") or []
    if not isinstance(resources, list):
        raise PolicyError(f"{where}.resources: is no list")
    return Rule(
        verdict,
        _texts(where, rule, "users"),
        _texts(where, rule, "userGroups"),
        _texts(where, rule, "verbs"),
        _texts(where, rule, "namespaces"),
        [_resources(f"{where}.resources[{i}]", r) for i, r in enumerate(resources)],
        paths,
    )


def _resources(where: str, found: Any) -> GroupResources:
    if not isinstance(found, dict):
        raise PolicyError(f"{where}: is no object")
    _check_fields(f"{where}.", found, frozenset({"group", "resources", "resourceNames"}))
    resources, names = _texts(where, found, "resources"), _texts(where, found, "resourceNames")
    if names and not resources:
        raise PolicyError(f"{where}.resourceNames: requires at least one resource")
    return GroupResources(str(found.get("group") or ""), resources, names)


def _texts(where: str, found: Mapping[str, Any], name: str) -> Sequence[str]:
    value = found.get(name) or []
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        raise PolicyError(f"{where}.{name}: is no list of texts")
    return tuple(value)


def _stages(where: str, found: Mapping[str, Any]) -> frozenset[str]:
    stages = _texts(where.rstrip("."), found, "omitStages")
    for stage in stages:
        if stage not in STAGES:
            raise PolicyError(f"{where}omitStages: {stage!r} is none of {', '.join(STAGES)}")
    return frozenset(stages)


def _check_fields(where: str, found: Mapping[str, Any], known: frozenset[str]) -> None:
    unknown = sorted(found.keys() - known)
    if unknown:
        raise PolicyError(f"{where}{unknown[0]}: unknown field")
