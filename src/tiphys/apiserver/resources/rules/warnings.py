"""What writers are told though it is accepted: deprecated and useless settings.

Upstream: pkg/api/pod/warnings.go, pkg/api/service/warnings.go, pkg/api/persistentvolume.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from tiphys.api import names
from tiphys.api.meta import Obj, annotations_of, at

_LABELS: Final = {
    "beta.kubernetes.io/arch": 'deprecated since v1.14; use "kubernetes.io/arch" instead',
    "beta.kubernetes.io/os": 'deprecated since v1.14; use "kubernetes.io/os" instead',
    "failure-domain.beta.kubernetes.io/region": (
        'deprecated since v1.17; use "topology.kubernetes.io/region" instead'
    ),
    "failure-domain.beta.kubernetes.io/zone": (
        'deprecated since v1.17; use "topology.kubernetes.io/zone" instead'
    ),
    "beta.kubernetes.io/instance-type": (
        'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead'
    ),
}
# field -> (name in the text, what to say)
_VOLUMES: Final = {
    "photonPersistentDisk": ("photonPersistentDisk", "v1.11, non-functional in v1.16+"),
    "gitRepo": ("gitRepo", "v1.11, and disabled by default in v1.33+"),
    "scaleIO": ("scaleIO", "v1.16, non-functional in v1.22+"),
    "flocker": ("flocker", "v1.22, non-functional in v1.25+"),
    "storageos": ("storageOS", "v1.22, non-functional in v1.25+"),
    "quobyte": ("quobyte", "v1.22, non-functional in v1.25+"),
    "glusterfs": ("glusterfs", "v1.25, non-functional in v1.26+"),
    "cephfs": ("cephfs", "v1.28, non-functional in v1.31+"),
    "rbd": ("rbd", "v1.28, non-functional in v1.31+"),
}


# Types that are warned of in pods and not in persistent volumes.
_POD_VOLUMES_ONLY: Final = ("flocker", "quobyte")


def volume(source: Obj, path: str) -> Iterator[str]:
    """Of a pod's volume or a persistent volume."""
    for field, (name, since) in _VOLUMES.items():
        if field in source:
            yield f"{path}.{name}: deprecated in {since}"


_STORAGE_CLASS: Final = "volume.beta.kubernetes.io/storage-class"
_MOUNT_OPTIONS: Final = "volume.beta.kubernetes.io/mount-options"


def _volume_annotations(obj: Obj, *keys: tuple[str, str]) -> Iterator[str]:
    for key, text in keys:
        if key in annotations_of(obj):
            yield f"metadata.annotations[{key}]: {text}"


def persistent_volume(new: Obj, old: Obj | None) -> list[str]:
    return list(_persistent_volume(new))


def _persistent_volume(obj: Obj) -> Iterator[str]:
    spec = obj["spec"]
    yield from _volume_annotations(
        obj,
        (_STORAGE_CLASS, 'deprecated since v1.8; use "storageClassName" attribute instead'),
        (_MOUNT_OPTIONS, 'deprecated since v1.31; use "mountOptions" attribute instead'),
    )
    if spec.get("persistentVolumeReclaimPolicy") == "Recycle":
        yield (
            "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead,"
            " the recommended approach is to use dynamic provisioning."
        )
    yield from volume({f: v for f, v in spec.items() if f not in _POD_VOLUMES_ONLY}, "spec")


def claim(new: Obj, old: Obj | None) -> list[str]:
    """Of a PersistentVolumeClaim."""
    text = 'deprecated since v1.8; use "storageClassName" attribute instead'
    found = list(_volume_annotations(new, (_STORAGE_CLASS, text)))
    for kind in ("requests", "limits"):
        value = str(at(new, "spec", "resources", kind, "storage", default=""))
        if value.endswith("m"):
            where = f"spec.resources.{kind}[storage]"
            found.append(f'{where}: fractional byte value "{value}" is invalid, must be an integer')
    return found


def ingress(new: Obj, old: Obj | None) -> list[str]:
    key = "kubernetes.io/ingress.class"
    if not annotations_of(new).get(key):
        return []
    return [f"annotation \"{key}\" is deprecated, please use 'spec.ingressClassName' instead"]


def storage_class(new: Obj, old: Obj | None) -> list[str]:
    return [
        f"allowedTopologies[{i}].matchLabelExpressions[{j}].key: {_LABELS[expression['key']]}"
        for i, term in enumerate(new.get("allowedTopologies") or ())
        for j, expression in enumerate(term.get("matchLabelExpressions") or ())
        if expression.get("key") in _LABELS
    ]


def pod_template(spec: Obj, path: str) -> list[str]:
    return list(_pod_spec(spec, path))


def of_template(*path: str, is_named_alike: bool = False) -> Callable[[Obj, Obj | None], list[str]]:
    """What a kind with a pod template at `path` warns of; `is_named_alike`: pods get its name.

    Upstream tells of a template when it is new, which an update shows by its generation.
    """
    where = ".".join((*path, "spec"))

    def warn(new: Obj, old: Obj | None) -> list[str]:
        found: list[str] = []
        if old is None and is_named_alike:
            found += pod_name(new["metadata"].get("name", ""), _IN_POD_NAMES)
        if old is None or _generation(new) != _generation(old):
            found += pod_template(at(new, *path, "spec", default={}), where)
        return found

    return warn


def _generation(obj: Obj) -> int:
    return int(obj["metadata"].get("generation", 0))


def _pod_spec(spec: Obj, path: str) -> Iterator[str]:
    for key in sorted(spec.get("nodeSelector") or {}):
        if key in _LABELS:
            yield f"{path}.nodeSelector[{key}]: {_LABELS[key]}"
    yield from _null_selectors(spec, path)
    addresses: set[str] = set()
    for index, alias in enumerate(spec.get("hostAliases") or ()):
        address = alias.get("ip", "")
        if address in addresses:
            yield f'{path}.hostAliases[{index}].ip: duplicate ip "{address}"'
        addresses.add(address)
    for index, found in enumerate(spec.get("volumes") or ()):
        yield from volume(found, f"{path}.volumes[{index}]")
        if not all((found.get("projected") or {}).get("sources") or ()):
            yield f'volume "{found.get("name", "")}" (Projected) has no sources provided'
    seen: set[str] = set()
    for index, secret in enumerate(spec.get("imagePullSecrets") or ()):
        name = secret.get("name", "")
        if not name:
            yield f'{path}.imagePullSecrets[{index}].name: invalid empty name ""'
        elif name in seen:
            yield f'{path}.imagePullSecrets[{index}].name: duplicate name "{name}"'
        seen.add(name)
    ports: dict[tuple[object, ...], str] = {}
    for kind in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(kind) or ()):
            where = f"{path}.{kind}[{index}]"
            yield from _container(container, where)
            yield from _ports(container, where, ports)


def _null_selectors(spec: Obj, path: str) -> Iterator[str]:
    text = "a null labelSelector results in matching no pod"
    for index, constraint in enumerate(spec.get("topologySpreadConstraints") or ()):
        if constraint.get("labelSelector") is None:
            where = f"{path}.topologySpreadConstraints[{index}].labelSelector"
            yield f"{where}: {text}"
    for kind in ("podAffinity", "podAntiAffinity"):
        rules = at(spec, "affinity", kind, default={})
        field = "requiredDuringSchedulingIgnoredDuringExecution"
        for index, term in enumerate(rules.get(field) or ()):
            if term.get("labelSelector") is None:
                yield f"{path}.affinity.{kind}.{field}[{index}].labelSelector: {text}"
        field = "preferredDuringSchedulingIgnoredDuringExecution"
        for index, term in enumerate(rules.get(field) or ()):
            if at(term, "podAffinityTerm", "labelSelector") is None:
                where = f"{path}.affinity.{kind}.{field}[{index}].podAffinityTerm.labelSelector"
                yield f"{where}: {text}"


def _container(container: Obj, path: str) -> Iterator[str]:
    for kind in ("limits", "requests"):
        amounts = at(container, "resources", kind, default={})
        for name in ("memory", "ephemeral-storage"):
            value = str(amounts.get(name, ""))
            if value.endswith("m"):
                yield (
                    f'{path}.resources.{kind}[{name}]: fractional byte value "{value}" is invalid, '
                    "must be an integer"
                )
    seen: set[str] = set()
    for index, variable in enumerate(container.get("env") or ()):
        name = variable.get("name", "")
        if name in seen:
            where = f"{path}.env[{index}]"
            text = f'hides previous definition of "{name}", which may be dropped when using apply'
            yield f"{where}: {text}"
        seen.add(name)


def _ports(container: Obj, path: str, seen: dict[tuple[object, ...], str]) -> Iterator[str]:
    """`seen` are the ports of the pod so far, and where they are."""
    for index, port in enumerate(container.get("ports") or ()):
        where = f"{path}.ports[{index}]"
        key = tuple(port.get(f) for f in ("containerPort", "protocol", "hostPort", "hostIP"))
        if key in seen:
            yield f"{where}: duplicate port definition with {seen[key]}"
        seen.setdefault(key, where)


_POD_ANNOTATIONS: Final = {
    "scheduler.alpha.kubernetes.io/critical-pod": (
        'non-functional in v1.16+; use the "priorityClassName" field instead'
    ),
    "seccomp.security.alpha.kubernetes.io/pod": (
        'non-functional in v1.27+; use the "seccompProfile" field instead'
    ),
}
_IN_POD_NAMES: Final = (
    "this is used in Pod names and hostnames, which can result in surprising behavior"
)
_APP_ARMOR: Final = "container.apparmor.security.beta.kubernetes.io/"


def pod_annotations(pod: Obj) -> Iterator[str]:
    for key in sorted(annotations_of(pod)):
        if key in _POD_ANNOTATIONS:
            yield f"metadata.annotations[{key}]: {_POD_ANNOTATIONS[key]}"
        elif key.startswith(_APP_ARMOR):
            text = 'deprecated since v1.30; use the "appArmorProfile" field instead'
            yield f"metadata.annotations[{key}]: {text}"


def pod_name(name: str, text: str) -> Iterator[str]:
    """A name that is no DNS label makes a bad host name."""
    if name and (why := names.dns_label(name)):
        shown = " ".join(why)
        yield f"metadata.name: {text}; a DNS label is recommended: [{shown}]"


def service(new: Obj, old: Obj | None) -> list[str]:
    spec = new["spec"]
    found: list[str] = []
    if "service.kubernetes.io/topology-aware-hints" in annotations_of(new):
        found.append(
            "metadata.annotations[service.kubernetes.io/topology-aware-hints]: deprecated; "
            "use service.kubernetes.io/topology-mode"
        )
    if spec.get("externalIPs"):
        found.append(
            "spec.externalIPs is deprecated and may no longer be implemented in some clusters"
        )
    if spec.get("type") == "ExternalName" and spec.get("externalIPs"):
        found.append('spec.externalIPs is ignored when spec.type is "ExternalName"')
    if spec.get("type") != "ExternalName" and spec.get("externalName"):
        found.append('spec.externalName is ignored when spec.type is not "ExternalName"')
    if spec.get("trafficDistribution") == "PreferClose":
        found.append('spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"')
    del old
    return found


def joined(*parts: Iterable[str]) -> list[str]:
    return [text for part in parts for text in part]
