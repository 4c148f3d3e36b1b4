"""Pod. Upstream: pkg/registry/core/pod/strategy.go, pkg/printers (printPod)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from tiphys.api.field_errors import FieldError, forbidden
from tiphys.api.meta import Obj, at, condition
from tiphys.api.quantity import Quantity, of
from tiphys.api.quota_usage import container_resources
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells, generation
from tiphys.apiserver.resources.columns import Cell, columns_of
from tiphys.apiserver.resources.core.pod_status_rules import validate_status_update
from tiphys.apiserver.resources.core.pod_status_text import PodSummary
from tiphys.apiserver.resources.core.pod_update_rules import validate_update
from tiphys.apiserver.resources.pod_template import (
    containers_of,
    default_pod_spec,
    drop_init_annotations,
    round_up,
)
from tiphys.apiserver.resources.resource import Resource
from tiphys.apiserver.resources.rules import pod_warnings
from tiphys.apiserver.resources.rules.addresses import address_warnings
from tiphys.apiserver.resources.rules.app_armor import profile_of
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
    drop_init_annotations(pod["metadata"])
    if spec["terminationGracePeriodSeconds"] < 0:
        spec["terminationGracePeriodSeconds"] = 1  # Only of pods: a template keeps what it says.
    pod.setdefault("status", {})


def _default_requests(resources: Obj) -> None:
    limits = resources.get("limits")
    if limits:
        resources["requests"] = dict(limits) | (resources.get("requests") or {})


def _default_pod_level(spec: Obj) -> None:
    """What a pod as a whole may use follows its containers, where it says some of it (KEP-2837)."""
    resources = spec["resources"]
    requests, limits = (dict(resources.get(kind) or {}) for kind in ("requests", "limits"))
    if not requests and not limits:
        return
    for name, amount in container_resources(spec, "limits").items():
        if name.startswith("hugepages-") and name not in requests:
            limits.setdefault(name, str(amount))
    if limits:
        resources["limits"] = limits
        for name, amount in container_resources(spec, "requests").items():
            if name in _POD_LEVEL:
                requests.setdefault(name, str(amount))
        for name, limit in limits.items():
            if name in _POD_LEVEL or name.startswith("hugepages-"):
                requests.setdefault(name, limit)
    if requests:
        resources["requests"] = requests
    round_up(resources.get("limits") or {})
    round_up(resources.get("requests") or {})


def qos_class(spec: Obj) -> str:
    """Guaranteed, Burstable or BestEffort. Source: pkg/apis/core/helper/qos."""
    containers = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    if "resources" in spec:
        containers = [{"resources": spec["resources"]}]
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
    notes = pod["metadata"].get("annotations")
    if not notes or at(pod, "spec", "os", "name") == "windows":
        return
    for container in containers_of(pod["spec"]):
        profile = profile_of(notes.get(f"{_APP_ARMOR}{container.get('name', '')}", ""))
        if profile is None or at(pod, "spec", "securityContext", "appArmorProfile") == profile:
            continue
        container.setdefault("securityContext", {}).setdefault("appArmorProfile", profile)


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
    generation.keep_metadata(new, old, "ownerReferences")
    status, before = new.setdefault("status", {}), old.get("status") or {}
    for field in ("qosClass", "observedGeneration"):
        if not status.get(field) and field in before:
            status[field] = before[field]
    _keep_generations(status, before)
    _settle_addresses(status)
    _drop_ungated(status)


def _keep_generations(status: Obj, before: Obj) -> None:
    """Who knows nothing of the generations that conditions are about leaves them as they were."""
    old: dict[str, list[int]] = {}
    for one in before.get("conditions") or ():
        old.setdefault(one.get("type", ""), []).append(one.get("observedGeneration", 0))
    for one in status.get("conditions") or ():
        numbers = old.get(one.get("type", ""))
        number = numbers.pop(0) if numbers else 0
        if number and not one.get("observedGeneration"):
            one["observedGeneration"] = number


def _drop_ungated(status: Obj) -> None:
    """Upstream: dropDisabledPodStatusFields, for the gates that are off."""
    status.pop("nodeAllocatableResourceClaimStatuses", None)
    for kind in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"):
        for container in status.get(kind) or ():
            for mount in container.get("volumeMounts") or ():
                mount.pop("volumeStatus", None)


def _settle_addresses(status: Obj) -> None:
    """The one address is the first of many. Upstream: Convert_v1_PodStatus_To_core_PodStatus."""
    one, many = status.get("podIP", ""), status.get("podIPs") or []
    if one and [one] != [a.get("ip", "") for a in many[:1]]:
        status["podIPs"] = [{"ip": one}]
    elif many and not one:
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


def warnings(pod: Obj, old: Obj | None) -> list[str]:
    """Pods are updated by machines, which upstream tells nothing."""
    return pod_warnings.pod(pod) if old is None else []


def status_warnings(pod: Obj) -> list[str]:
    return [
        text
        for field in ("podIPs", "hostIPs")
        for index, address in enumerate(at(pod, "status", field, default=()))
        for text in address_warnings(address.get("ip", ""), f"status.{field}[{index}].ip")
    ]


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
    warnings=warnings,
    status_warnings=status_warnings,
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
        "status.podIPs": lambda p: "",  # Upstream takes the name and has no value for it.
        "status.nominatedNodeName": lambda p: str(at(p, "status", "nominatedNodeName", default="")),
    },
)
