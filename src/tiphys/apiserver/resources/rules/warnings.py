"""What writers of other kinds than pods are told though it is accepted.

Upstream: pkg/api/{service,persistentvolume,persistentvolumeclaim,job,storage}, WarningsOnCreate and
WarningsOnUpdate of pkg/registry/*/strategy.go. Kinds with one rule have it beside them.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

from tiphys.api.meta import Obj, annotations_of, at
from tiphys.apiserver.resources.rules import node_labels, pod_warnings
from tiphys.apiserver.resources.rules.addresses import address_warnings, network_warnings
from tiphys.apiserver.resources.rules.amounts import claim_amounts

_STORAGE_CLASS: Final = "volume.beta.kubernetes.io/storage-class"
_STORAGE_CLASS_TEXT: Final = 'deprecated since v1.8; use "storageClassName" attribute instead'
_MOUNT_OPTIONS: Final = "volume.beta.kubernetes.io/mount-options"
_IN_POD_NAMES: Final = (
    "this is used in Pod names and hostnames, which can result in surprising behavior"
)
# Types of volumes that are warned of in pods and not in persistent volumes.
_POD_VOLUMES_ONLY: Final = frozenset({"flocker", "quobyte", "gitRepo", "ephemeral"})


def persistent_volume(new: Obj, old: Obj | None) -> list[str]:
    return list(_persistent_volume(new))


def _persistent_volume(obj: Obj) -> Iterator[str]:
    spec, notes = obj["spec"], annotations_of(obj)
    if _STORAGE_CLASS in notes:
        yield f"metadata.annotations[{_STORAGE_CLASS}]: {_STORAGE_CLASS_TEXT}"
    if _MOUNT_OPTIONS in notes:
        text = 'deprecated since v1.31; use "mountOptions" attribute instead'
        yield f"metadata.annotations[{_MOUNT_OPTIONS}]: {text}"
    if spec.get("persistentVolumeReclaimPolicy") == "Recycle":
        yield (
            "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead,"
            " the recommended approach is to use dynamic provisioning."
        )
    where = "spec.nodeAffinity.required.nodeSelectorTerms"
    for index, term in enumerate(
        at(spec, "nodeAffinity", "required", "nodeSelectorTerms", default=())
    ):
        yield from node_labels.of_term(term, f"{where}[{index}]")
    for field, said in pod_warnings.VOLUMES.items():
        if field in spec and field not in _POD_VOLUMES_ONLY and said is not None:
            yield f"spec.{said[0]}: deprecated in {said[1]}"


def claim(new: Obj, old: Obj | None) -> list[str]:
    """Of a PersistentVolumeClaim."""
    found = list(claim_amounts(new["spec"], "spec"))
    if _STORAGE_CLASS in annotations_of(new):
        found.insert(0, f"metadata.annotations[{_STORAGE_CLASS}]: {_STORAGE_CLASS_TEXT}")
    return found


def storage_class(new: Obj, old: Obj | None) -> list[str]:
    known = node_labels.DEPRECATED
    return [
        f"allowedTopologies[{i}].matchLabelExpressions[{j}].key: {known[expression['key']]}"
        for i, term in enumerate(new.get("allowedTopologies") or ())
        for j, expression in enumerate(term.get("matchLabelExpressions") or ())
        if expression.get("key") in known
    ]


def has_new_generation(new: Obj, old: Obj) -> bool:
    """Of a kind with a generation: upstream tells of a template when it is new."""
    now, before = (int(obj["metadata"].get("generation", 0)) for obj in (new, old))
    return now != before


def of_template(
    *path: str,
    is_named_alike: bool = False,
    is_new: Callable[[Obj, Obj], bool] = has_new_generation,
) -> Callable[[Obj, Obj | None], list[str]]:
    """What a kind with a pod template at `path` warns of; `is_named_alike`: pods get its name."""
    where = ".".join(path)

    def warn(new: Obj, old: Obj | None) -> list[str]:
        found: list[str] = []
        if old is None and is_named_alike:
            found += pod_warnings.name(new["metadata"].get("name", ""), _IN_POD_NAMES)
        if old is None or is_new(new, old):
            found += pod_warnings.template(at(new, *path), where)
        return found

    return warn


_TRACKED_COMPLETIONS_MAX: Final = 100_000  # completionsSoftLimit
_TRACKED_PARALLELISM_MAX: Final = 10_000  # parallelismSoftLimitForUnlimitedCompletions


def of_job(*path: str) -> Callable[[Obj, Obj | None], list[str]]:
    """What a kind with a JobSpec at `path` warns of."""
    where = ".".join(path)
    of_pods = of_template(*path, "template")

    def warn(new: Obj, old: Obj | None) -> list[str]:
        found: list[str] = []
        if old is None:
            found += pod_warnings.name(new["metadata"].get("name", ""), _IN_POD_NAMES)
        if (old is None or has_new_generation(new, old)) and _is_hard_to_track(at(new, *path)):
            found.append(
                f"{where}: In Indexed Jobs with a number of completions higher than 10^5 and a "
                "parallelism higher than 10^4, Kubernetes might not be able to track "
                "completedIndexes when a big number of indexes fail"
            )
        return found + of_pods(new, old)

    return warn


def _is_hard_to_track(spec: Any) -> bool:
    completions, parallelism = spec.get("completions") or 0, spec.get("parallelism") or 0
    is_big = completions > _TRACKED_COMPLETIONS_MAX and parallelism > _TRACKED_PARALLELISM_MAX
    return is_big and spec.get("completionMode") == "Indexed"


def service(new: Obj, old: Obj | None) -> list[str]:
    return list(_service(new))


def _service(obj: Obj) -> Iterator[str]:
    spec, kind = obj["spec"], obj["spec"].get("type")
    external_ips = spec.get("externalIPs") or ()
    is_headless = kind == "ClusterIP" and spec.get("clusterIP") == "None"
    hints = "service.kubernetes.io/topology-aware-hints"
    if hints in annotations_of(obj):
        mode = "service.kubernetes.io/topology-mode"
        yield f"annotation {hints} is deprecated, please use {mode} instead"
    for index, address in enumerate(spec.get("clusterIPs") or ()):
        yield from address_warnings(address, f"spec.clusterIPs[{index}]")
    if is_headless:
        yield from _useless_of_headless(spec)
    for index, address in enumerate(external_ips):
        yield from address_warnings(address, f"spec.externalIPs[{index}]")
    if external_ips and not is_headless and kind != "ExternalName":
        yield "spec.externalIPs is deprecated and may no longer be implemented in some clusters"
    yield from address_warnings(spec.get("loadBalancerIP", ""), "spec.loadBalancerIP")
    for index, network in enumerate(spec.get("loadBalancerSourceRanges") or ()):
        yield from network_warnings(network, f"spec.loadBalancerSourceRanges[{index}]")
    if kind == "ExternalName" and external_ips:
        yield 'spec.externalIPs is ignored when spec.type is "ExternalName"'
    if kind != "ExternalName" and spec.get("externalName"):
        yield 'spec.externalName is ignored when spec.type is not "ExternalName"'
    if spec.get("trafficDistribution") == "PreferClose":
        yield 'spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"'


def _useless_of_headless(spec: Obj) -> Iterator[str]:
    if spec.get("loadBalancerIP"):
        yield "spec.loadBalancerIP is ignored for headless services"
    if spec.get("externalIPs"):
        yield "spec.externalIPs is ignored for headless services"
    if spec.get("sessionAffinity") != "None":
        yield "spec.SessionAffinity is ignored for headless services"


def balancer_status(obj: Obj) -> list[str]:
    """Of the status of a Service or an Ingress."""
    return [
        text
        for index, ingress in enumerate(at(obj, "status", "loadBalancer", "ingress", default=()))
        for text in address_warnings(ingress.get("ip", ""), f"status.loadBalancer.ingress[{index}]")
    ]


_STATIC_SUFFIX: Final = ".static.k8s.io"


def static_name(new: Obj, old: Obj | None) -> list[str]:
    """Of policies, their bindings and webhook configurations."""
    if not new["metadata"].get("name", "").endswith(_STATIC_SUFFIX):
        return []
    return [
        f'metadata.name: names ending with "{_STATIC_SUFFIX}" are reserved for static '
        "manifest-based configurations and cannot be managed via the API"
    ]
