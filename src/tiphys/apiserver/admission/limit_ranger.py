"""LimitRanger: a namespace's LimitRanges give containers defaults and bound what they ask for.

Upstream: plugin/pkg/admission/limitranger/admission.go.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from tiphys.api import quantity
from tiphys.api.meta import Obj, at, is_terminating
from tiphys.api.quantity import ZERO
from tiphys.api.quota_usage import pod_resources
from tiphys.apiserver.admission.chain import Resources, Write
from tiphys.apiserver.admission.refusal import refuse
from tiphys.storage.watch_cache import WatchCache

ANNOTATION: Final = "kubernetes.io/limit-ranger"

Amounts = Mapping[str, quantity.Quantity]


class LimitRanger:
    name = "LimitRanger"
    resources: Resources = frozenset({("", "pods"), ("", "persistentvolumeclaims")})

    def __init__(self, ranges: WatchCache) -> None:
        self._ranges = ranges

    def mutate(self, write: Write) -> None:
        """Defaults for the containers of a new pod."""
        if write.obj is None or write.operation != "CREATE" or not write.is_("", "pods"):
            return
        for limit_range in self._of_namespace(write):
            apply_defaults(write.obj, limit_range)

    def validate(self, write: Write) -> None:
        """Raises Forbidden with all that the first LimitRange finds wrong."""
        if write.obj is None or not _is_bounded(write):
            return
        for limit_range in self._of_namespace(write):
            check = claim_violations if write.kind == "PersistentVolumeClaim" else pod_violations
            found = list(dict.fromkeys(check(write.obj, limit_range)))
            if found:
                raise refuse(write, found[0] if len(found) == 1 else f"[{', '.join(found)}]")

    def _of_namespace(self, write: Write) -> Iterator[Obj]:
        if not self._ranges.objects:
            return
        for cached in self._ranges.range(f"{self._ranges.prefix}{write.info.namespace}/"):
            yield cached.decode(self._ranges.head)


def _is_bounded(write: Write) -> bool:
    """Pods when made or resized, claims when made or changed; what goes away is left alone."""
    if write.operation == "CREATE":
        return write.is_("", "pods") or write.is_("", "persistentvolumeclaims")
    if write.operation != "UPDATE" or (write.old is not None and is_terminating(write.old)):
        return False
    return write.is_("", "pods", "resize") or write.is_("", "persistentvolumeclaims")


def _limits_of(limit_range: Obj, kind: str) -> Iterator[Obj]:
    for limit in at(limit_range, "spec", "limits", default=[]):
        if limit.get("type") == kind:
            yield limit


def apply_defaults(pod: Obj, limit_range: Obj) -> None:
    """Fill in what containers leave open, and note it in an annotation."""
    requests: dict[str, object] = {}
    limits: dict[str, object] = {}
    for limit in _limits_of(limit_range, "Container"):
        requests |= limit.get("defaultRequest") or {}
        limits |= limit.get("default") or {}
    notes: list[str] = []
    for field, what in (("containers", "container"), ("initContainers", "init container")):
        for container in at(pod, "spec", field, default=[]):
            for kind, defaults in (("requests", requests), ("limits", limits)):
                added = _fill(container, kind, defaults)
                if added:
                    name = container.get("name", "")
                    notes.append(f"{', '.join(added)} {kind.removesuffix('s')} for {what} {name}")
    if notes:
        annotations = pod["metadata"].get("annotations") or {}
        text = f"LimitRanger plugin set: {'; '.join(notes)}"
        pod["metadata"]["annotations"] = annotations | {ANNOTATION: text}


def _fill(container: Obj, kind: str, defaults: Mapping[str, object]) -> list[str]:
    """The names that were added."""
    present = at(container, "resources", kind, default={})
    added = sorted(defaults.keys() - present.keys())
    if added:
        resources = container.setdefault("resources", {})
        resources[kind] = {**present, **{name: defaults[name] for name in added}}
    return added


def pod_violations(pod: Obj, limit_range: Obj) -> Iterator[str]:
    spec: Obj = pod.get("spec") or {}
    containers = [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]
    for limit in at(limit_range, "spec", "limits", default=[]):
        if limit.get("type") == "Container":
            for container in containers:
                requests = _amounts(at(container, "resources", "requests"))
                yield from _violations(
                    limit, requests, _amounts(at(container, "resources", "limits"))
                )
        elif limit.get("type") == "Pod":
            bare = {"spec": {k: v for k, v in spec.items() if k != "overhead"}}
            requests, limits = pod_resources(bare, "requests"), pod_resources(bare, "limits")
            yield from _violations(limit, requests, limits)


def _amounts(given: Mapping[str, object] | None) -> Amounts:
    return {name: quantity.of(value) for name, value in (given or {}).items()}


def _violations(limit: Obj, requests: Amounts, limits: Amounts) -> Iterator[str]:
    kind = str(limit["type"])
    for name, enforced in sorted(_amounts(limit.get("min")).items()):
        yield from _too_little(
            f"minimum {name} usage per {kind} is {enforced}",
            enforced,
            requests.get(name),
            limits.get(name),
        )
    for name, enforced in sorted(_amounts(limit.get("max")).items()):
        yield from _too_much(
            f"maximum {name} usage per {kind} is {enforced}",
            enforced,
            requests.get(name),
            limits.get(name),
        )
    for name, enforced in sorted(_amounts(limit.get("maxLimitRequestRatio")).items()):
        yield from _too_far_apart(
            f"{name} max limit to request ratio per {kind} is {enforced}",
            enforced,
            requests.get(name),
            limits.get(name),
        )


_Amount = quantity.Quantity | None


def _too_little(
    text: str, enforced: quantity.Quantity, request: _Amount, limit: _Amount
) -> Iterator[str]:
    if request is None:
        yield f"{text}.  No request is specified"
    elif request < enforced:
        yield f"{text}, but request is {request}"
    elif limit is not None and limit < enforced:
        yield f"{text}, but limit is {limit}"


def _too_much(
    text: str, enforced: quantity.Quantity, request: _Amount, limit: _Amount
) -> Iterator[str]:
    if limit is None:
        yield f"{text}.  No limit is specified"
    elif enforced < limit:
        yield f"{text}, but limit is {limit}"
    elif request is not None and enforced < request:
        yield f"{text}, but request is {request}"


def _too_far_apart(
    text: str, enforced: quantity.Quantity, request: _Amount, limit: _Amount
) -> Iterator[str]:
    if request is None or request == ZERO:
        yield f"{text}, but no request is specified or request is 0"
    elif limit is None or limit == ZERO:
        yield f"{text}, but no limit is specified or limit is 0"
    elif limit.nanos * quantity.NANO > enforced.nanos * request.nanos:
        yield f"{text}, but provided ratio is {limit.nanos / request.nanos:.6f}"


def claim_violations(claim: Obj, limit_range: Obj) -> Iterator[str]:
    """Claims have requests only."""
    requests = _amounts(at(claim, "spec", "resources", "requests"))
    for limit in _limits_of(limit_range, "PersistentVolumeClaim"):
        for name, enforced in sorted(_amounts(limit.get("min")).items()):
            text = f"minimum {name} usage per PersistentVolumeClaim is {enforced}"
            yield from _too_little(text, enforced, requests.get(name), None)
        for name, enforced in sorted(_amounts(limit.get("max")).items()):
            text = f"maximum {name} usage per PersistentVolumeClaim is {enforced}"
            request = requests.get(name)
            if request is None:
                yield f"{text}.  No request is specified"
            elif enforced < request:
                yield f"{text}, but request is {request}"
