"""RBAC: may this user do that? Roles and bindings come from the cache, compiled when they change.

Every decision is remembered with its user until a role or binding changes.
Upstream: plugin/pkg/auth/authorizer/rbac/rbac.go, pkg/registry/rbac/validation/rule.go.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from tiphys.api.errors import Forbidden
from tiphys.api.meta import Obj
from tiphys.apiserver.request_info import RequestInfo
from tiphys.apiserver.user import MASTERS, User, service_account_name
from tiphys.storage.backend import Event
from tiphys.storage.watch_cache import WatchCache

RBAC_GROUP: Final = "rbac.authorization.k8s.io"
EVERYTHING: Final[tuple[Obj, ...]] = (
    {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
    {"nonResourceURLs": ["*"], "verbs": ["*"]},
)
DECISIONS_MAX: Final = 4096  # Remembered per user.
DECISION_CHARS_MAX: Final = 1024  # Longer paths and names are decided anew each time.
_GENERATION: Final = "generation"


class Attributes(NamedTuple):
    """What is asked: a resource's verb, or a path's where `path` is set."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""
    node: str = ""  # A list's spec.nodeName: see RequestInfo.
    version: str = ""


class Decision(NamedTuple):
    """denied: somebody said no, and not just nothing. error: somebody could not be asked."""

    allowed: bool
    reason: str = ""
    denied: bool = False
    error: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """A PolicyRule as sets."""

    verbs: frozenset[str]
    groups: frozenset[str]
    resources: frozenset[str]
    names: frozenset[str]
    paths: tuple[str, ...]

    def allows(self, asked: Attributes) -> bool:
        if "*" not in self.verbs and asked.verb not in self.verbs:
            return False
        if asked.path:
            return any(_path_matches(p, asked.path) for p in self.paths)
        if "*" not in self.groups and asked.group not in self.groups:
            return False
        if self.names and asked.name not in self.names:
            return False
        return self._names_resource(asked)

    def _names_resource(self, asked: Attributes) -> bool:
        resources = self.resources
        if "*" in resources:
            return True
        if not asked.subresource:
            return asked.resource in resources
        return (
            f"{asked.resource}/{asked.subresource}" in resources
            or f"*/{asked.subresource}" in resources
        )


def _path_matches(pattern: str, path: str) -> bool:
    if pattern == "*" or pattern == path:
        return True
    return pattern.endswith("*") and path.startswith(pattern.rstrip("*"))


def compile_rules(rules: Iterable[Obj] | None) -> tuple[Rule, ...]:
    return tuple(
        Rule(
            frozenset(r.get("verbs") or ()),
            frozenset(r.get("apiGroups") or ()),
            frozenset(r.get("resources") or ()),
            frozenset(r.get("resourceNames") or ()),
            tuple(r.get("nonResourceURLs") or ()),
        )
        for r in rules or ()
    )


class Grant(NamedTuple):
    """What a binding gives its subjects: in one namespace, or ("") everywhere."""

    namespace: str
    rules: tuple[Rule, ...]
    missing: str  # The role that it names and that is not there, in the words of its error.
    source: str = ""  # `ClusterRoleBinding "a" of ClusterRole "b" to User "c"`


@dataclass(slots=True)
class _Compiled:
    """Grants by subject: ("User", name) or ("Group", name)."""

    grants: dict[tuple[str, str], list[Grant]] = field(default_factory=dict)


class Learnt(NamedTuple):
    """Roles and bindings, read and compiled; nothing in it is changed once it is made."""

    compiled: _Compiled | None
    decoded: dict[str, tuple[int, Any]]


class RbacAuthorizer:
    """See the module."""

    def __init__(self, caches: Mapping[str, WatchCache]) -> None:
        """caches: roles, rolebindings, clusterroles, clusterrolebindings."""
        self._caches = caches
        self._compiled: _Compiled | None = None
        self._decoded: dict[str, tuple[int, Any]] = {}
        self.generation = 0

    def learnt(self) -> "Learnt":
        """What was made of the roles and bindings as they are now."""
        return Learnt(self._compiled, dict(self._decoded))

    def believe(self, learnt: "Learnt") -> None:
        """Take over from another authorizer over a store with the same objects and revisions."""
        self._compiled, self._decoded = learnt.compiled, dict(learnt.decoded)

    def notice(self, events: Sequence[Event]) -> None:
        """Called with every committed batch."""
        for event in events:
            if event.key.startswith(f"/registry/{RBAC_GROUP}/"):
                self._compiled = None
                self.generation += 1
                return

    def decide(self, user: User, asked: Attributes) -> Decision:
        known = user.decisions
        if known.get(_GENERATION) != self.generation or len(known) > DECISIONS_MAX:
            known.clear()
            known[_GENERATION] = self.generation
        found: Decision | None = known.get(asked)
        if found is None:
            found = self._decide(user, asked)
            if len(asked.path) + len(asked.name) <= DECISION_CHARS_MAX:
                known[asked] = found
        return found

    def _decide(self, user: User, asked: Attributes) -> Decision:
        if MASTERS in user.groups:
            return Decision(True)
        missing: list[str] = []
        for grant in self.grants_of(user):
            if grant.namespace and (asked.path or grant.namespace != asked.namespace):
                continue
            if grant.missing:
                missing.append(grant.missing)
            if any(rule.allows(asked) for rule in grant.rules):
                return Decision(True, f"RBAC: allowed by {grant.source}")
        return Decision(False, f"RBAC: {_joined(missing)}" if missing else "")

    def grants_of(self, user: User) -> list[Grant]:
        """All that bindings give this user, cluster-wide ones first."""
        if self._compiled is None:
            self._compiled = self._compile()
        grants = self._compiled.grants
        found = list(grants.get(("User", user.name), ()))
        for group in user.groups:
            found += grants.get(("Group", group), ())
        found.sort(key=lambda g: bool(g.namespace))
        return found

    def rules_of_role(self, namespace: str, ref: Obj) -> list[Obj] | None:
        """The PolicyRules of the role that a binding names, None when there is none."""
        if ref.get("kind") == "ClusterRole":
            cache, key = self._caches["clusterroles"], ref.get("name", "")
        else:
            cache, key = self._caches["roles"], f"{namespace}/{ref.get('name', '')}"
        cached = cache.get(cache.prefix + key)
        return None if cached is None else list(cached.decode(cache.head).get("rules") or ())

    def rules_of_user(self, user: User, namespace: str) -> list[Obj]:
        """All PolicyRules that bindings give the user, cluster-wide and in the namespace."""
        found: list[Obj] = []
        for plural in ("clusterrolebindings", "rolebindings"):
            for binding in self._objects(plural):
                where = binding["metadata"].get("namespace", "")
                if where and where != namespace:
                    continue
                keys = {_subject_key(s, where) for s in binding.get("subjects") or ()}
                if ("User", user.name) in keys or any(("Group", g) in keys for g in user.groups):
                    found += self.rules_of_role(where, binding["roleRef"]) or []
        return found

    def _compile(self) -> _Compiled:
        compiled = _Compiled()
        for plural in ("clusterrolebindings", "rolebindings"):
            for binding in self._objects(plural):
                namespace = binding["metadata"].get("namespace", "")
                grant = self._grant(namespace, binding["roleRef"])
                for subject in binding.get("subjects") or ():
                    key = _subject_key(subject, namespace)
                    if key is not None:
                        shown = grant._replace(source=_source(binding, subject, namespace))
                        compiled.grants.setdefault(key, []).append(shown)
        return compiled

    def _grant(self, namespace: str, ref: Obj) -> Grant:
        if ref["kind"] == "ClusterRole":
            cache, key = self._caches["clusterroles"], ref["name"]
        else:
            cache, key = self._caches["roles"], f"{namespace}/{ref['name']}"
        cached = cache.get(cache.prefix + key)
        if cached is None:
            word = f"{ref['kind'].lower()}.{RBAC_GROUP}"
            return Grant(namespace, (), f'{word} "{ref["name"]}" not found')
        return Grant(namespace, self._rules(cached.key, cached.revision, cache), "")

    def _rules(self, key: str, revision: int, cache: WatchCache) -> tuple[Rule, ...]:
        known = self._decoded.get(key)
        if known is not None and known[0] == revision:
            rules: tuple[Rule, ...] = known[1]
            return rules
        rules = compile_rules(cache.objects[key].decode(cache.head).get("rules"))
        self._decoded[key] = (revision, rules)
        return rules

    def _objects(self, plural: str) -> list[Obj]:
        cache = self._caches[plural]
        found: list[Obj] = []
        for key, cached in cache.objects.items():
            known = self._decoded.get(key)
            if known is None or known[0] != cached.revision:
                known = self._decoded[key] = (cached.revision, cached.decode(cache.head))
            found.append(known[1])
        return found


def _source(binding: Obj, subject: Obj, namespace: str) -> str:
    name, ref = binding["metadata"]["name"], binding["roleRef"]
    kind = "RoleBinding" if namespace else "ClusterRoleBinding"
    shown = f"{name}/{namespace}" if namespace else name
    who = subject.get("name", "")
    if subject.get("kind") == "ServiceAccount":
        who = f"{who}/{subject.get('namespace') or namespace}"
    return f'{kind} "{shown}" of {ref["kind"]} "{ref["name"]}" to {subject.get("kind")} "{who}"'


def _subject_key(subject: Obj, namespace: str) -> tuple[str, str] | None:
    kind, name = subject.get("kind"), subject.get("name", "")
    if kind in {"User", "Group"}:
        return kind, name
    if kind == "ServiceAccount":
        return "User", service_account_name(subject.get("namespace") or namespace, name)
    return None


def _joined(texts: list[str]) -> str:
    unique = list(dict.fromkeys(texts))
    return unique[0] if len(unique) == 1 else f"[{', '.join(unique)}]"


def attributes_of(info: RequestInfo) -> Attributes:
    if not info.is_resource:
        return Attributes(info.verb, path=info.path)
    return Attributes(
        info.verb,
        info.group,
        info.resource,
        info.subresource,
        info.namespace,
        info.name,
        node=info.node,
        version=info.version,
    )


def forbidden(user: User, asked: Attributes, reason: str) -> Forbidden:
    """Upstream's words (endpoints/handlers/responsewriters/errors.go)."""
    why = f": {reason}" if reason else ""
    if asked.path:
        return Forbidden(
            f'forbidden: User "{user.name}" cannot {asked.verb} path "{asked.path}"{why}',
            details={},
        )
    qualified = f"{asked.resource}.{asked.group}" if asked.group else asked.resource
    subject = f'{qualified} "{asked.name}"' if asked.name else qualified
    resource = f"{asked.resource}/{asked.subresource}" if asked.subresource else asked.resource
    where = f'in the namespace "{asked.namespace}"' if asked.namespace else "at the cluster scope"
    details: Obj = {"name": asked.name} if asked.name else {}
    if asked.group:
        details["group"] = asked.group
    return Forbidden(
        f'{subject} is forbidden: User "{user.name}" cannot {asked.verb} resource "{resource}"'
        f' in API group "{asked.group}" {where}{why}',
        details=details | {"kind": asked.resource},
    )
