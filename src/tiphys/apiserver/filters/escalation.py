"""RBAC escalation: nobody grants, by a role or a binding, what they may not do themselves.

Upstream: pkg/registry/rbac/{role,rolebinding,...}/policybased/storage.go, pkg/registry/rbac/
validation/policy_compact.go, component-helpers auth/rbac/validation/policy_comparator.go.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from tiphys.api.errors import Forbidden, not_found
from tiphys.api.meta import Obj
from tiphys.apiserver.filters.authorization import (
    EVERYTHING,
    RBAC_GROUP,
    Attributes,
    RbacAuthorizer,
)
from tiphys.apiserver.request_info import RequestInfo
from tiphys.apiserver.user import MASTERS, User

_ROLES: Final = frozenset({"roles", "clusterroles"})
_BINDINGS: Final = frozenset({"rolebindings", "clusterrolebindings"})
_GC_FIELDS: Final = ("ownerReferences", "finalizers", "managedFields")
# In the order in which upstream shows a rule.
_SHOWN: Final = (
    ("apiGroups", "APIGroups"),
    ("resources", "Resources"),
    ("nonResourceURLs", "NonResourceURLs"),
    ("resourceNames", "ResourceNames"),
    ("verbs", "Verbs"),
)


def check_escalation(
    authorizer: RbacAuthorizer, user: User, info: RequestInfo, new: Obj, old: Obj | None
) -> None:
    """Raises Forbidden when a role or binding grants more than its writer holds, NotFound when
    the role of a binding is not there."""
    if info.group != RBAC_GROUP or info.resource not in _ROLES | _BINDINGS:
        return
    if MASTERS in user.groups or (old is not None and changes_only_gc_fields(new, old)):
        return
    namespace = info.namespace
    name = new["metadata"].get("name", "")
    if info.resource in _ROLES:
        if old is not None and all(
            (old.get(f) or []) == (new.get(f) or []) for f in ("rules", "aggregationRule")
        ):
            return
        asked = Attributes("escalate", RBAC_GROUP, info.resource, "", namespace, name)
        rules = new.get("rules") or []
    else:
        ref = new.get("roleRef") or {}
        plural = "clusterroles" if ref.get("kind") == "ClusterRole" else "roles"
        asked = Attributes("bind", RBAC_GROUP, plural, "", namespace, ref.get("name", ""))
        rules = []
    if authorizer.decide(user, asked).allowed:
        return
    if info.resource in _BINDINGS:
        found = authorizer.rules_of_role(namespace, new.get("roleRef") or {})
        if found is None:
            raise not_found(RBAC_GROUP, info.resource, asked.name)
        rules = found
    held = authorizer.rules_of_user(user, namespace)
    missing = not_covered(held, rules)
    if missing:
        raise _forbidden(info, name, _not_held(user, missing))
    aggregates = "aggregationRule" in new or (old is not None and "aggregationRule" in old)
    if info.resource == "clusterroles" and aggregates and not_covered(held, EVERYTHING):
        # It gathers whatever fits its selectors, now and later.
        why = "must have cluster-admin privileges to use the aggregationRule"
        raise _forbidden(info, name, why)


def changes_only_gc_fields(new: Obj, old: Obj) -> bool:
    """The garbage collector may write what it needs, whatever the object grants."""

    def rest(obj: Obj) -> Obj:
        kept = {k: v for k, v in obj["metadata"].items() if k not in _GC_FIELDS}
        return obj | {"metadata": kept}

    return rest(new) == rest(old)


def not_covered(held: Sequence[Obj], wanted: Sequence[Obj]) -> list[Obj]:
    """The simplest rules of `wanted` that no rule of `held` covers. Pure."""
    return [
        one for rule in wanted for one in _parts(rule) if not any(_covers(h, one) for h in held)
    ]


def _parts(rule: Obj) -> Iterator[Obj]:
    """A rule as many, each of one verb on one resource (name) or path."""
    verbs = rule.get("verbs") or ()
    for group in rule.get("apiGroups") or ():
        for resource in rule.get("resources") or ():
            for verb in verbs:
                part: Obj = {"apiGroups": [group], "resources": [resource], "verbs": [verb]}
                names = rule.get("resourceNames") or ()
                if not names:
                    yield part
                for name in names:
                    yield part | {"resourceNames": [name]}
    for path in rule.get("nonResourceURLs") or ():
        for verb in verbs:
            yield {"nonResourceURLs": [path], "verbs": [verb]}


def _covers(held: Obj, part: Obj) -> bool:
    if not _has(held.get("verbs"), part["verbs"][0]):
        return False
    if "nonResourceURLs" in part:
        path = part["nonResourceURLs"][0]
        return any(_covers_path(p, path) for p in held.get("nonResourceURLs") or ())
    if not _has(held.get("apiGroups"), part["apiGroups"][0]):
        return False
    names = held.get("resourceNames") or ()
    if names and (part.get("resourceNames") or [""])[0] not in names:
        return False
    resource = part["resources"][0]
    _, slash, subresource = resource.partition("/")
    resources = held.get("resources") or ()
    return _has(resources, resource) or bool(slash and f"*/{subresource}" in resources)


def _has(values: Iterable[str] | None, wanted: str) -> bool:
    present = values or ()
    return "*" in present or wanted in present


def _covers_path(pattern: str, path: str) -> bool:
    return pattern in {"*", path} or (pattern.endswith("*") and path.startswith(pattern[:-1]))


def compact(parts: Iterable[Obj]) -> list[Obj]:
    """Rules of the same resource (and name) as one with several verbs."""
    merged: dict[str, Obj] = {}
    for part in parts:
        # Paths stay as they are.
        kept = {k: v for k, v in part.items() if k != "verbs" or "nonResourceURLs" in part}
        known = merged.setdefault(json.dumps(kept), part | {"verbs": []})
        known["verbs"] += [v for v in part["verbs"] if v not in known["verbs"]]
    return list(merged.values())


def shown_rule(rule: Obj) -> str:
    """`{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}`."""
    texts = [
        f"{label}:[{' '.join(json.dumps(v, ensure_ascii=False) for v in rule[field])}]"
        for field, label in _SHOWN
        if rule.get(field)
    ]
    return f"{{{', '.join(texts)}}}"


def _not_held(user: User, missing: list[Obj]) -> str:
    groups = " ".join(json.dumps(g, ensure_ascii=False) for g in user.groups)
    lines = "\n".join(sorted(shown_rule(r) for r in compact(missing)))
    return (
        f'user "{user.name}" (groups=[{groups}]) is attempting to grant RBAC permissions not'
        f" currently held:\n{lines}"
    )


def _forbidden(info: RequestInfo, name: str, why: str) -> Forbidden:
    details: Obj = {"name": name} if name else {}
    return Forbidden(
        f'{info.resource}.{RBAC_GROUP} "{name}" is forbidden: {why}',
        details=details | {"group": RBAC_GROUP, "kind": info.resource},
    )
