"""Pod. Upstream: pkg/registry/core/pod/strategy.go, pkg/printers (printPod)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from tiphys.api.field_errors import FieldError, forbidden
from tiphys.api.meta import Obj, at, condition
from tiphys.api.quantity import Quantity, of
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells, generation
from tiphys.apiserver.resources.columns import Cell, columns_of
from tiphys.apiserver.resources.core.pod_status_rules import validate_status_update
from tiphys.apiserver.resources.core.pod_status_text import PodSummary
from tiphys.apiserver.resources.core.pod_update_rules import validate_update
from tiphys.apiserver.resources.pod_template import containers_of, default_pod_spec
from tiphys.apiserver.resources.resource import Resource
from tiphys.apiserver.resources.rules import warnings
from tiphys.apiserver.resources.rules.container import trimmed_image
from tiphys.apiserver.resources.rules.pod_annotations import annotated_profiles, pod_annotations
from tiphys.apiserver.resources.rules.pod_spec import pod_spec

_INFO = built_in("", "v1", "pods")
_POD_LEVEL: Final = ("cpu", "memory")


def default(pod: Obj) -> None:
    spec = pod["spec"]
    spec.setdefault("enableServiceLinks", True)
    for field in ("initContainers", "containers"):
        for container in spec.get(field) or ():
            _default_requests(container.setdefault("resources", {}))
            if spec.get("hostNetwork"):
                for port in container.get("ports") or ():
                    port.setdefault("hostPort", port.get("containerPort", 0))
    if spec.get("resources"):
        _default_pod_level(spec)
    default_pod_spec(spec)
    pod.setdefault("status", {})


def _default_requests(resources: Obj) -> None:
    limits = resources.get("limits")
    if limits:
        resources["requests"] = dict(limits) | (resources.get("requests") or {})


def _default_pod_level(spec: Obj) -> None:
    resources = spec["resources"]
    limits = resources.get("limits") or {}
    if not limits:
        return
    requests = dict(resources.get("requests") or {})
    for name, amount in _sum_of_requests(spec).items():
        if name in _POD_LEVEL and name not in requests:
            requests[name] = str(amount)
    for name, limit in limits.items():
        if (name in _POD_LEVEL or name.startswith("hugepages-")) and name not in requests:
            requests[name] = limit
    if requests:
        resources["requests"] = requests


def _sum_of_requests(spec: Obj) -> dict[str, Quantity]:
    found: dict[str, Quantity] = {}
    for container in spec.get("containers") or ():
        for name, amount in (at(container, "resources", "requests") or {}).items():
            found[name] = found[name] + of(amount) if name in found else of(amount)
    return found


def qos_class(spec: Obj) -> str:
    """Guaranteed, Burstable or BestEffort. Source: pkg/apis/core/helper/qos."""
    containers = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    pod_level = spec.get("resources") or {}
    if pod_level.get("requests") or pod_level.get("limits"):
        containers = [{"resources": pod_level}]
    any_set, all_equal = False, bool(containers)
    for container in containers:
        limits = _positive(at(container, "resources", "limits"))
        requests = _positive(at(container, "resources", "requests"))
        any_set = any_set or bool(limits or requests)
        complete = set(limits) == set(_POD_LEVEL)
        all_equal = all_equal and complete and all(requests.get(n) == limits[n] for n in limits)
    if not any_set:
        return "BestEffort"
    return "Guaranteed" if all_equal else "Burstable"


def _positive(resources: Any) -> dict[str, Quantity]:
    found = {n: of(v) for n, v in (resources or {}).items() if n in _POD_LEVEL}
    return {n: q for n, q in found.items() if q.nanos > 0}


def _merge_label_keys(pod: Obj) -> None:
    """matchLabelKeys become plain requirements on the pod's own values."""
    labels = pod["metadata"].get("labels") or {}
    affinity = pod["spec"].get("affinity") or {}
    for side in ("podAffinity", "podAntiAffinity"):
        rules = affinity.get(side) or {}
        terms = list(rules.get("requiredDuringSchedulingIgnoredDuringExecution") or ())
        preferred = rules.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        for term in (*terms, *(p["podAffinityTerm"] for p in preferred)):
            _require(term, labels, term.get("matchLabelKeys") or (), "In")
            _require(term, labels, term.get("mismatchLabelKeys") or (), "NotIn")
    for constraint in pod["spec"].get("topologySpreadConstraints") or ():
        _require(constraint, labels, constraint.get("matchLabelKeys") or (), "In")


def _require(term: Obj, labels: dict[str, str], keys: Sequence[str], operator: str) -> None:
    selector = term.get("labelSelector")
    if selector is None:
        return
    added = [{"key": k, "operator": operator, "values": [labels[k]]} for k in keys if k in labels]
    if added:
        selector["matchExpressions"] = [*(selector.get("matchExpressions") or ()), *added]


_APP_ARMOR: Final = "container.apparmor.security.beta.kubernetes.io/"


def _sync_app_armor(pod: Obj) -> None:
    """What an old annotation says of a container stands in its security context too (KEP-24)."""
    notes = pod["metadata"].get("annotations") or {}
    for container in containers_of(pod["spec"]):
        note = notes.get(f"{_APP_ARMOR}{container.get('name', '')}", "")
        kind, _, local = note.partition("/")
        profile = _PROFILES.get(note)
        if kind == "localhost" and local:
            profile = {"type": "Localhost", "localhostProfile": local}
        if profile is None or at(pod, "spec", "securityContext", "appArmorProfile") == profile:
            continue
        container.setdefault("securityContext", {}).setdefault("appArmorProfile", profile)


_PROFILES: Final[dict[str, Obj]] = {
    "runtime/default": {"type": "RuntimeDefault"},
    "unconfined": {"type": "Unconfined"},
}


def before_create(pod: Obj) -> None:
    generation.start(pod)
    _sync_app_armor(pod)
    _merge_label_keys(pod)
    status: Obj = {"phase": "Pending", "qosClass": qos_class(pod["spec"])}
    if pod["spec"].get("schedulingGates"):
        status["conditions"] = [
            {
                "type": "PodScheduled",
                "status": "False",
                "reason": "SchedulingGated",
                "message": "Scheduling is blocked due to non-empty scheduling gates",
                "lastProbeTime": None,
                "lastTransitionTime": pod["metadata"].get("creationTimestamp"),
            }
        ]
    pod["status"] = status


def before_status_update(new: Obj, old: Obj) -> None:
    new["spec"] = old["spec"]
    new["metadata"].pop("deletionTimestamp", None)
    if "deletionTimestamp" in old["metadata"]:
        new["metadata"]["deletionTimestamp"] = old["metadata"]["deletionTimestamp"]
    owners = old["metadata"].get("ownerReferences")
    if owners is None:
        new["metadata"].pop("ownerReferences", None)
    else:
        new["metadata"]["ownerReferences"] = owners
    status = new.setdefault("status", {})
    if not status.get("qosClass") and "qosClass" in (old.get("status") or {}):
        status["qosClass"] = old["status"]["qosClass"]
    one, many = status.get("podIP", ""), status.get("podIPs") or []
    if one and at(many, 0, "ip") != one:  # The older field counts more.
        status["podIPs"] = [{"ip": one}]
    elif many:
        status["podIP"] = many[0].get("ip", "")


def _summary(attribute: str) -> Cell:
    def cell(pod: Obj, now: datetime) -> Any:
        return getattr(PodSummary(pod, now), attribute)

    return cell


def _or_none(*path: str | int) -> Cell:
    return lambda pod, _: at(pod, *path, default="") or "<none>"


def _readiness_gates(pod: Obj, _: datetime) -> Any:
    gates = at(pod, "spec", "readinessGates", default=[])
    if not gates:
        return "<none>"
    ready = sum(
        (condition(pod, g.get("conditionType", "")) or {}).get("status") == "True" for g in gates
    )
    return f"{ready}/{len(gates)}"


def validate(pod: Obj) -> list[FieldError]:
    notes, spec = pod["metadata"].get("annotations"), pod["spec"]
    errors = pod_annotations(notes, spec, "metadata.annotations") if notes else []
    errors += pod_spec(spec, "spec", pod=pod) + _tokens(spec)
    for field in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(field) or ()):
            errors += trimmed_image(container, f"spec.{field}[{index}]")
    return errors


def validate_create(pod: Obj) -> list[FieldError]:
    notes, spec = pod["metadata"].get("annotations"), pod["spec"]
    errors: list[FieldError] = []
    if spec.get("ephemeralContainers"):
        errors.append(forbidden("spec.ephemeralContainers", "cannot be set on create"))
    if spec.get("nodeName") and spec.get("schedulingGates"):
        text = "cannot be set until all schedulingGates have been cleared"
        errors.append(forbidden("spec.nodeName", text))
    return errors + (annotated_profiles(notes, spec, "spec") if notes else [])


def _tokens(spec: Obj) -> list[FieldError]:
    """Tokens are those of a service account, which admission gives to new pods."""
    if spec.get("serviceAccountName"):
        return []
    text = "must not be specified when serviceAccountName is not set"
    return [
        forbidden(f"spec.volumes[{index}].projected.sources[{at_}].serviceAccountToken", text)
        for index, volume in enumerate(spec.get("volumes") or ())
        for at_, source in enumerate((volume.get("projected") or {}).get("sources") or ())
        if "serviceAccountToken" in source
    ]


def pod_warnings(pod: Obj, old: Obj | None) -> list[str]:
    if old is not None:
        return []  # Pods are updated by machines, which upstream tells nothing.
    text = "this is used in the Pod's hostname, which can result in surprising behavior"
    name = warnings.pod_name(pod["metadata"].get("name", ""), text)
    found = warnings.pod_template(pod["spec"], "spec")
    return warnings.joined(name, warnings.pod_annotations(pod), found)


_ENDED: Final = {
    "Succeeded": "The pod has completed successfully.",
    "Failed": "The pod failed.",
}


def row_conditions(pod: Obj) -> list[Obj]:
    phase = at(pod, "status", "phase", default="")
    if phase not in _ENDED:
        return []
    return [{"type": "Completed", "status": "True", "reason": phase, "message": _ENDED[phase]}]


POD = Resource(
    _INFO,
    row_conditions=row_conditions,
    warnings=pod_warnings,
    validate=validate,
    validate_create=validate_create,
    validate_update=validate_update,
    validate_status_update=validate_status_update,
    default=default,
    before_create=before_create,
    before_update=generation.updated,
    before_status_update=before_status_update,
    columns=columns_of(
        _INFO,
        cells.name,
        _summary("ready"),
        _summary("reason"),
        _summary("restarts"),
        cells.age,
        _or_none("status", "podIPs", 0, "ip"),
        _or_none("spec", "nodeName"),
        _or_none("status", "nominatedNodeName"),
        _readiness_gates,
    ),
    selectable_fields={
        "spec.nodeName": lambda p: str(at(p, "spec", "nodeName", default="")),
        "spec.restartPolicy": lambda p: str(at(p, "spec", "restartPolicy", default="")),
        "spec.schedulerName": lambda p: str(at(p, "spec", "schedulerName", default="")),
        "spec.serviceAccountName": lambda p: str(at(p, "spec", "serviceAccountName", default="")),
        "spec.hostNetwork": lambda p: str(bool(at(p, "spec", "hostNetwork"))).lower(),
        "status.phase": lambda p: str(at(p, "status", "phase", default="")),
        "status.podIP": lambda p: str(at(p, "status", "podIPs", 0, "ip", default="")),
        "status.podIPs": lambda p: str(at(p, "status", "podIPs", 0, "ip", default="")),
        "status.nominatedNodeName": lambda p: str(at(p, "status", "nominatedNodeName", default="")),
    },
)
