"""Which FlowSchema a request belongs to, and which flow of it. Pure.

Upstream: apiserver pkg/util/flowcontrol/rule.go; KEP-1040.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from tiphys.api.meta import Obj
from tiphys.apiserver.filters.authorization import Attributes
from tiphys.apiserver.user import User, split_service_account

ALL: Final = "*"
BY_USER: Final = "ByUser"
BY_NAMESPACE: Final = "ByNamespace"


@dataclass(frozen=True, slots=True)
class Rule:
    """Subjects and what they ask for."""

    users: frozenset[str]
    groups: frozenset[str]
    accounts: frozenset[tuple[str, str]]  # (namespace, name or "*")
    resources: tuple["ResourceRule", ...]
    paths: tuple["PathRule", ...]

    def concerns(self, user: User) -> bool:
        if ALL in self.users or user.name in self.users or ALL in self.groups:
            return True
        if not self.groups.isdisjoint(user.groups):
            return True
        account = split_service_account(user.name) if self.accounts else None
        if account is None:
            return False
        return account in self.accounts or (account[0], ALL) in self.accounts

    def names(self, asked: Attributes) -> bool:
        rules: Iterable[ResourceRule | PathRule] = self.paths if asked.path else self.resources
        return any(rule.names(asked) for rule in rules)


@dataclass(frozen=True, slots=True)
class ResourceRule:
    """`namespaces` are for requests in one, `cluster_scope` for those in none."""

    verbs: frozenset[str]
    groups: frozenset[str]
    resources: frozenset[str]
    namespaces: frozenset[str]
    cluster_scope: bool

    def names(self, asked: Attributes) -> bool:
        if not _has(self.verbs, asked.verb) or not _has(self.groups, asked.group):
            return False
        resource = asked.resource
        if asked.subresource:
            resource += f"/{asked.subresource}"
        if not _has(self.resources, resource):
            return False
        if asked.namespace:
            return _has(self.namespaces, asked.namespace)
        return self.cluster_scope


@dataclass(frozen=True, slots=True)
class PathRule:
    """For paths that are no resources; a pattern may end with `/*`."""

    verbs: frozenset[str]
    patterns: tuple[str, ...]

    def names(self, asked: Attributes) -> bool:
        return _has(self.verbs, asked.verb) and any(
            _path_matches(pattern, asked.path) for pattern in self.patterns
        )


@dataclass(frozen=True, slots=True)
class FlowSchema:
    """A FlowSchema, compiled."""

    name: str
    uid: str
    precedence: int
    level: str
    distinguisher: str
    rules: tuple[Rule, ...]

    def of_user(self, user: User) -> "FlowSchema | None":
        """The same with only the rules that concern this user; None without any."""
        rules = tuple(rule for rule in self.rules if rule.concerns(user))
        if not rules:
            return None
        return FlowSchema(
            self.name, self.uid, self.precedence, self.level, self.distinguisher, rules
        )

    def names(self, asked: Attributes) -> bool:
        """Whether one of the rules is about this request; whose it is has been looked at."""
        return any(rule.names(asked) for rule in self.rules)

    def flow_of(self, user: User, asked: Attributes) -> str:
        """Requests of one flow wait in the same few queues."""
        if self.distinguisher == BY_USER:
            return user.name
        return asked.namespace if self.distinguisher == BY_NAMESPACE else ""


def compile_schema(obj: Obj) -> FlowSchema:
    spec = obj["spec"]
    return FlowSchema(
        obj["metadata"]["name"],
        obj["metadata"].get("uid", ""),
        spec.get("matchingPrecedence", 0),
        (spec.get("priorityLevelConfiguration") or {}).get("name", ""),
        (spec.get("distinguisherMethod") or {}).get("type", ""),
        tuple(_rule(rule) for rule in spec.get("rules") or ()),
    )


def in_order(schemas: Iterable[FlowSchema]) -> list[FlowSchema]:
    """As they are tried: lowest precedence first, then by name."""
    return sorted(schemas, key=lambda schema: (schema.precedence, schema.name))


def _rule(rule: Obj) -> Rule:
    subjects = rule.get("subjects") or ()
    return Rule(
        frozenset(s["user"]["name"] for s in subjects if s["kind"] == "User"),
        frozenset(s["group"]["name"] for s in subjects if s["kind"] == "Group"),
        frozenset(
            (s["serviceAccount"]["namespace"], s["serviceAccount"]["name"])
            for s in subjects
            if s["kind"] == "ServiceAccount"
        ),
        tuple(
            ResourceRule(
                frozenset(r.get("verbs") or ()),
                frozenset(r.get("apiGroups") or ()),
                frozenset(r.get("resources") or ()),
                frozenset(r.get("namespaces") or ()),
                bool(r.get("clusterScope")),
            )
            for r in rule.get("resourceRules") or ()
        ),
        tuple(
            PathRule(frozenset(r.get("verbs") or ()), tuple(r.get("nonResourceURLs") or ()))
            for r in rule.get("nonResourceRules") or ()
        ),
    )


def _has(allowed: frozenset[str], value: str) -> bool:
    return ALL in allowed or value in allowed


def _path_matches(pattern: str, path: str) -> bool:
    if pattern in (ALL, path):
        return True
    return pattern.endswith("/*") and path.startswith(pattern[:-1])
