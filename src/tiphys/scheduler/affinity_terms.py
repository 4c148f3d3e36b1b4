"""Affinity terms of pods, read once. Pure. Upstream: pkg/scheduler/framework/types.go."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tiphys.api.labels import Selector, from_object
from tiphys.api.meta import Obj, at, labels_of, namespace_of

_REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED: Final = "preferredDuringSchedulingIgnoredDuringExecution"
NamespaceLabels = Mapping[str, Mapping[str, str]]
"""The labels of every namespace, by its name."""


@dataclass(frozen=True, slots=True)
class AffinityTerm:
    """Which pods, and within which topology; weight: 0 for what is required."""

    selector: Selector
    namespaces: frozenset[str]
    namespace_selector: Selector
    topology_key: str
    weight: int = 0

    def matches(self, pod: Obj, namespaces: NamespaceLabels) -> bool:
        namespace = namespace_of(pod)
        if namespace not in self.namespaces and not self.namespace_selector.matches(
            namespaces.get(namespace, {})
        ):
            return False
        return self.selector.matches(labels_of(pod))


@dataclass(frozen=True, slots=True)
class AffinityTerms:
    """All terms of one pod."""

    affinity: tuple[AffinityTerm, ...] = ()
    anti_affinity: tuple[AffinityTerm, ...] = ()
    preferred: tuple[AffinityTerm, ...] = ()  # Of anti-affinity: with a negative weight.

    def __bool__(self) -> bool:
        return bool(self.affinity or self.anti_affinity or self.preferred)


NONE: Final = AffinityTerms()


def read_terms(pod: Obj) -> AffinityTerms:
    affinity: Obj = at(pod, "spec", "affinity", default={})
    towards, away = affinity.get("podAffinity") or {}, affinity.get("podAntiAffinity") or {}
    if not towards and not away:
        return NONE
    return AffinityTerms(
        tuple(_term(pod, t) for t in towards.get(_REQUIRED) or []),
        tuple(_term(pod, t) for t in away.get(_REQUIRED) or []),
        tuple(
            _term(pod, weighted["podAffinityTerm"], sign * int(weighted["weight"]))
            for sign, kind in ((1, towards), (-1, away))
            for weighted in kind.get(_PREFERRED) or []
        ),
    )


def _term(pod: Obj, term: Obj, weight: int = 0) -> AffinityTerm:
    """A term that names no namespaces is about the pod's own."""
    namespaces, selector = term.get("namespaces") or [], term.get("namespaceSelector")
    if not namespaces and selector is None:
        namespaces = [namespace_of(pod)]
    return AffinityTerm(
        from_object(term.get("labelSelector")),
        frozenset(namespaces),
        from_object(selector),
        term.get("topologyKey", ""),
        weight,
    )
