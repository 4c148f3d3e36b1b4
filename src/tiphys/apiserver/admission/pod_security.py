"""PodSecurity: pods must be what their namespace's labels ask for; templates are warned of.

Labels pod-security.kubernetes.io/{enforce,audit,warn}[-version]; without them everything may be.
Nothing is exempt. Upstream: pod-security-admission/admission/admission.go.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from tiphys.api.field_errors import invalid_object
from tiphys.api.meta import Obj, at, labels_of, name_of
from tiphys.apiserver.admission.chain import Resources, Write
from tiphys.apiserver.admission.refusal import refuse
from tiphys.apiserver.pod_security.evaluation import details, reasons, violations
from tiphys.apiserver.pod_security.policy import PREFIX, PRIVILEGED, LevelVersion, Policy, policy_of
from tiphys.storage.watch_cache import WatchCache

PODS_MAX: Final = 3000  # defaultNamespaceMaxPodsToCheck
IGNORED: Final = frozenset(
    ["exec", "attach", "binding", "eviction", "log", "portforward", "proxy", "status"]
)  # ignoredPodSubresources
TEMPLATES: Final = {
    ("", "podtemplates"): ("template",),
    ("", "replicationcontrollers"): ("spec", "template"),
    ("apps", "replicasets"): ("spec", "template"),
    ("apps", "deployments"): ("spec", "template"),
    ("apps", "statefulsets"): ("spec", "template"),
    ("apps", "daemonsets"): ("spec", "template"),
    ("batch", "jobs"): ("spec", "template"),
    ("batch", "cronjobs"): ("spec", "jobTemplate", "spec", "template"),
}
_SECCOMP: Final = (
    "seccomp.security.alpha.kubernetes.io/pod",
    "container.seccomp.security.alpha.kubernetes.io/",
)
_LABEL: Final = PREFIX.encode()
_NOTHING: Final = Policy()


class PodSecurity:
    name = "PodSecurity"
    resources: Resources = frozenset({("", "namespaces"), ("", "pods"), *TEMPLATES})

    def __init__(self, namespaces: WatchCache, pods: WatchCache) -> None:
        self._namespaces = namespaces
        self._pods = pods

    def validate(self, write: Write) -> None:
        """Raises Forbidden for a pod, Invalid for a namespace with labels that say nothing."""
        info = write.info
        if write.obj is None or write.operation not in ("CREATE", "UPDATE"):
            return
        if (info.group, info.resource) == ("", "namespaces"):
            if not info.subresource:
                self._namespace(write, write.obj)
        elif (info.group, info.resource) == ("", "pods"):
            if info.subresource not in IGNORED:
                self._pod(write, write.obj)
        elif (info.group, info.resource) in TEMPLATES and not info.subresource:
            path = TEMPLATES[info.group, info.resource]
            template = at(write.obj, *path, default=None)
            if template is not None:
                _warn(write, self._policy(info.namespace).warn, template)

    def _policy(self, namespace: str) -> Policy:
        cached = self._namespaces.get(self._namespaces.prefix + namespace)
        # A look at the bytes is enough for the many that ask for nothing.
        if cached is None or _LABEL not in cached.tail:
            return _NOTHING
        return policy_of(labels_of(cached.decode(self._namespaces.head)))[0]

    def _pod(self, write: Write, pod: Obj) -> None:
        policy = self._policy(write.info.namespace)
        if policy == _NOTHING:
            return
        if write.operation == "UPDATE" and not is_significant(pod, write.old or {}):
            return
        found = violations(policy.enforce, pod)
        if found:
            raise refuse(write, f'violates PodSecurity "{policy.enforce}": {details(found)}')
        _warn(write, policy.warn, pod)

    def _namespace(self, write: Write, namespace: Obj) -> None:
        policy, errors = policy_of(labels_of(namespace))
        before, old_errors = policy_of(labels_of(write.old or {}))
        if errors and errors != old_errors:
            raise invalid_object("", "Namespace", name_of(namespace), errors)
        new, old = policy.enforce, before.enforce
        if write.operation != "UPDATE" or new == old or new.level == PRIVILEGED:
            return
        if new.minor == old.minor and new.strictness <= old.strictness:
            return
        write.warnings += self._warnings(name_of(namespace), new)

    def _warnings(self, namespace: str, enforce: LevelVersion) -> list[str]:
        """What the pods that are there already would be refused for."""
        cached = list(self._pods.range(f"{self._pods.prefix}{namespace}/"))
        pods = (one.decode(self._pods.head) for one in cached[:PODS_MAX])
        found = pods_warnings(namespace, enforce, pods)
        if len(cached) > PODS_MAX:
            text = f"first {PODS_MAX} of {len(cached)} existing pods"
            found.insert(0, f"new PodSecurity enforce level only checked against the {text}")
        return found


def _warn(write: Write, wanted: LevelVersion, pod: Obj) -> None:
    found = violations(wanted, pod)
    if found:
        write.warnings.append(f'would violate PodSecurity "{wanted}": {details(found)}')


def pods_warnings(namespace: str, enforce: LevelVersion, pods: Iterable[Obj]) -> list[str]:
    """Pods with the same reasons are told together. Pure."""
    by_reason: dict[str, list[str]] = defaultdict(list)
    for pod in pods:
        if found := violations(enforce, pod):
            by_reason[reasons(found)].append(name_of(pod))
    if not by_reason:
        return []
    head = f'existing pods in namespace "{namespace}" violate the new PodSecurity enforce level'
    lines = [f"{_some(sorted(names))}: {reason}" for reason, names in by_reason.items()]
    return [f'{head} "{enforce}"', *sorted(lines)]


def _some(names: list[str]) -> str:
    others = len(names) - 1
    if not others:
        return names[0]
    return f"{names[0]} (and {others} other {'pod' if others == 1 else 'pods'})"


def is_significant(pod: Obj, old: Obj) -> bool:
    """Whether an update changes what levels are about: images, containers, seccomp. Pure."""
    if _seccomp(pod) != _seccomp(old):
        return True
    for field in ("containers", "initContainers"):
        if _images(pod, field) != _images(old, field):
            return True
    new, known = _images(pod, "ephemeralContainers"), _images(old, "ephemeralContainers")
    return any(one not in known for one in new)


def _images(pod: Obj, field: str) -> list[tuple[str, str]]:
    found = at(pod, "spec", field, default=None) or []
    return [(str(c.get("name", "")), str(c.get("image", ""))) for c in found]


def _seccomp(pod: Obj) -> dict[str, str]:
    notes: dict[str, str] = at(pod, "metadata", "annotations", default=None) or {}
    return {key: value for key, value in notes.items() if key.startswith(_SECCOMP)}
