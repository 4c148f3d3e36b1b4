"""Whether a policy or a binding is for a request. Pure.

Upstream: apiserver/pkg/admission/plugin/policy/matching/matching.go,
pkg/admission/plugin/webhook/predicates.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tiphys.api import labels
from tiphys.api.meta import Obj

Labels = Mapping[str, str]
# What decides on policies is never subject to them: nobody could mend a wrong one.
_EXEMPT: Final = frozenset({
    "validatingwebhookconfigurations", "mutatingwebhookconfigurations",
    "validatingadmissionpolicies", "validatingadmissionpolicybindings",
    "mutatingadmissionpolicies", "mutatingadmissionpolicybindings",
})  # fmt: skip
GROUP: Final = "admissionregistration.k8s.io"


@dataclass(frozen=True, slots=True)
class Subject:
    """What a request is about.

    `namespace_labels` is None where no namespace is asked for: the object lies in none.
    `object_labels` are those of the new and of the old object, as far as there are any. `versions`:
    the request's first, then others in which the same objects are served.
    """

    operation: str
    group: str
    versions: Sequence[str]
    resource: str
    subresource: str
    namespace: str
    name: str
    namespace_labels: Labels | None
    object_labels: Sequence[Labels]

    @property
    def is_exempt(self) -> bool:
        return self.group == GROUP and self.resource in _EXEMPT


def matched_version(match: Obj | None, subject: Subject) -> str:
    """The version in which the object is looked at; empty where the match is not for it.

    `match` is a MatchResources with its defaults; None matches everything.
    """
    if match is None:
        return subject.versions[0]
    if subject.namespace_labels is not None and not labels.matches_object(
        match.get("namespaceSelector") or {}, subject.namespace_labels
    ):
        return ""
    if not _selects(match.get("objectSelector") or {}, subject.object_labels):
        return ""
    is_exact = match.get("matchPolicy") == "Exact"
    if _by_rules(match.get("excludeResourceRules") or [], subject, is_exact=is_exact):
        return ""
    rules = match.get("resourceRules") or []
    return _by_rules(rules, subject, is_exact=is_exact) if rules else subject.versions[0]


def _selects(selector: Obj, objects: Sequence[Labels]) -> bool:
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        return True
    return any(labels.matches_object(selector, own) for own in objects)


def _by_rules(rules: Sequence[Obj], subject: Subject, *, is_exact: bool) -> str:
    for version in subject.versions[:1] if is_exact else subject.versions:
        if any(_is_for(rule, subject, version) for rule in rules):
            return version
    return ""


def _is_for(rule: Obj, subject: Subject, version: str) -> bool:
    names = rule.get("resourceNames") or []
    return (
        _has(rule.get("operations"), subject.operation)
        and _has(rule.get("apiGroups"), subject.group)
        and _has(rule.get("apiVersions"), version)
        and _is_in_scope(rule.get("scope") or "*", subject)
        and any(_is_resource(one, subject) for one in rule.get("resources") or ())
        and (not names or subject.name in names)
    )


def _has(values: Sequence[str] | None, wanted: str) -> bool:
    return any(value in ("*", wanted) for value in values or ())


def _is_in_scope(scope: str, subject: Subject) -> bool:
    is_cluster = not subject.namespace or subject.resource == "namespaces"
    return scope == "*" or (scope == "Cluster") == is_cluster


def _is_resource(pattern: str, subject: Subject) -> bool:
    resource, slash, subresource = pattern.partition("/")
    if resource not in ("*", subject.resource):
        return False
    if slash:
        return subresource in ("*", subject.subresource)
    return not subject.subresource
