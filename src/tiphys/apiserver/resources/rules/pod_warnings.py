"""What writers of pods and pod templates are told though it is accepted.

Upstream: pkg/api/pod/warnings.go.
"""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

from tiphys.api import names
from tiphys.api.meta import Obj, annotations_of, at
from tiphys.apiserver.resources.rules import node_labels
from tiphys.apiserver.resources.rules.addresses import address_warnings
from tiphys.apiserver.resources.rules.amounts import claim_amounts, fractional
from tiphys.apiserver.resources.rules.app_armor import profile_of
from tiphys.apiserver.resources.rules.overlapping_paths import overlapping_paths
from tiphys.apiserver.resources.rules.port_warnings import port_warnings
from tiphys.apiserver.resources.rules.texts import repeats
from tiphys.apiserver.warning_bounds import within_bounds

# field -> (name in the text, since when); None: a claim's spec is looked at.
VOLUMES: Final = {
    "photonPersistentDisk": ("photonPersistentDisk", "v1.11, non-functional in v1.16+"),
    "gitRepo": ("gitRepo", "v1.11, and disabled by default in v1.33+"),
    "scaleIO": ("scaleIO", "v1.16, non-functional in v1.22+"),
    "flocker": ("flocker", "v1.22, non-functional in v1.25+"),
    "storageos": ("storageOS", "v1.22, non-functional in v1.25+"),
    "quobyte": ("quobyte", "v1.22, non-functional in v1.25+"),
    "glusterfs": ("glusterfs", "v1.25, non-functional in v1.26+"),
    "ephemeral": None,
    "cephfs": ("cephfs", "v1.28, non-functional in v1.31+"),
    "rbd": ("rbd", "v1.28, non-functional in v1.31+"),
}
_ANNOTATIONS: Final = {
    "scheduler.alpha.kubernetes.io/critical-pod": (
        'non-functional in v1.16+; use the "priorityClassName" field instead'
    ),
    "security.alpha.kubernetes.io/sysctls": (
        'non-functional in v1.11+; use the "sysctls" field instead'
    ),
    "security.alpha.kubernetes.io/unsafe-sysctls": (
        'non-functional in v1.11+; use the "sysctls" field instead'
    ),
}
_SECCOMP_POD: Final = "seccomp.security.alpha.kubernetes.io/pod"
_SECCOMP: Final = "container.seccomp.security.alpha.kubernetes.io/"
_SECCOMP_TEXT: Final = 'non-functional in v1.27+; use the "seccompProfile" field instead'
_APP_ARMOR: Final = "container.apparmor.security.beta.kubernetes.io/"
_APP_ARMOR_TEXT: Final = 'deprecated since v1.30; use the "appArmorProfile" field instead'
_NULL_SELECTOR: Final = "a null labelSelector results in matching no pod"
_IN_HOSTNAME: Final = "this is used in the Pod's hostname, which can result in surprising behavior"
_CONTAINER_LISTS: Final = ("initContainers", "containers", "ephemeralContainers")
_BYTES: Final = ("memory", "ephemeral-storage")


def pod(new: Obj) -> list[str]:
    """Of a new pod."""
    return within_bounds(
        chain(
            _synced_app_armor(new),
            name(new["metadata"].get("name", ""), _IN_HOSTNAME),
            _spec_and_meta(new, "", is_template=False),
        )
    )


def template(found: Obj | None, path: str) -> list[str]:
    """Of a PodTemplateSpec at `path`."""
    return within_bounds(_spec_and_meta(found, f"{path}.", is_template=True)) if found else []


def name(text: str, consequence: str) -> Iterator[str]:
    """A name that is no DNS label makes a bad host name."""
    if text and (why := names.dns_label(text)):
        shown = " ".join(why)
        yield f"metadata.name: {consequence}; a DNS label is recommended: [{shown}]"


def _synced_app_armor(found: Obj) -> Iterator[str]:
    """Of a pod the annotations that its preparation made fields of, or could make nothing of."""
    notes = annotations_of(found)
    spec = found.get("spec") or {}
    if at(spec, "os", "name") == "windows" or not any(k.startswith(_APP_ARMOR) for k in notes):
        return
    of_pod = at(spec, "securityContext", "appArmorProfile")
    for container, _ in _containers(spec, ""):
        key = f"{_APP_ARMOR}{container.get('name', '')}"
        profile = profile_of(notes[key]) if key in notes else of_pod
        if key in notes and (profile is None or profile != of_pod):
            yield f"metadata.annotations[{key}]: {_APP_ARMOR_TEXT}"


def _spec_and_meta(found: Obj, path: str, *, is_template: bool) -> Iterator[str]:
    spec, notes = found.get("spec") or {}, annotations_of(found)
    where, note_path = f"{path}spec", f"{path}metadata.annotations"
    yield from _selected_nodes(spec, where)
    for key, text in _ANNOTATIONS.items() if notes else ():
        if key in notes:
            yield f"{note_path}[{key}]: {text}"
    yield from _volumes(spec.get("volumes") or (), f"{where}.volumes")
    yield from _repeated(spec, where)
    yield from fractional(spec.get("overhead"), f"{where}.overhead", _BYTES)
    if _SECCOMP_POD in notes and at(spec, "securityContext", "seccompProfile") is None:
        yield f"{note_path}[{_SECCOMP_POD}]: {_SECCOMP_TEXT}"
    of_pod = at(spec, "securityContext", "appArmorProfile")
    for container, place in _containers(spec, where):
        if notes:
            yield from _container_notes(container, notes, note_path, of_pod, is_template)
        yield from _container(container, place)
    yield from port_warnings(_containers(spec, where))
    grace = spec.get("terminationGracePeriodSeconds")
    if grace is not None and grace < 0:
        text = "must be >= 0; negative values are invalid and will be treated as 1"
        yield f"{where}.terminationGracePeriodSeconds: {text}"
    if spec.get("affinity"):
        yield from _null_selectors(spec["affinity"], f"{where}.affinity")
    for index, server in enumerate(at(spec, "dnsConfig", "nameservers", default=())):
        yield from address_warnings(server, f"{where}.dnsConfig.nameservers[{index}]")
    for index, alias in enumerate(spec.get("hostAliases") or ()):
        yield from address_warnings(alias.get("ip", ""), f"{where}.hostAliases[{index}].ip")


def _containers(spec: Obj, path: str) -> Iterator[tuple[Obj, str]]:
    """Every container and where it is."""
    for field in _CONTAINER_LISTS:
        for index, container in enumerate(spec.get(field) or ()):
            yield container, f"{path}.{field}[{index}]"


def _selected_nodes(spec: Obj, path: str) -> Iterator[str]:
    for key in sorted(spec.get("nodeSelector") or {}):
        if key in node_labels.DEPRECATED:
            yield f"{path}.nodeSelector[{key}]: {node_labels.DEPRECATED[key]}"
    rules = at(spec, "affinity", "nodeAffinity", default={})
    where = f"{path}.affinity.nodeAffinity"
    field = "requiredDuringSchedulingIgnoredDuringExecution"
    for index, term in enumerate(at(rules, field, "nodeSelectorTerms", default=())):
        yield from node_labels.of_term(term, f"{where}.{field}.nodeSelectorTerms[{index}]")
    field = "preferredDuringSchedulingIgnoredDuringExecution"
    for index, term in enumerate(rules.get(field) or ()):
        place = f"{where}.{field}[{index}].preference"
        yield from node_labels.of_term(term.get("preference") or {}, place, with_values=True)
    for index, constraint in enumerate(spec.get("topologySpreadConstraints") or ()):
        place = f"{path}.topologySpreadConstraints[{index}]"
        yield from node_labels.of_key(constraint.get("topologyKey", ""), f"{place}.topologyKey")
        if constraint.get("labelSelector") is None:
            yield f"{place}.labelSelector: {_NULL_SELECTOR}"


def _null_selectors(affinity: Obj, path: str) -> Iterator[str]:
    for kind in ("podAffinity", "podAntiAffinity"):
        rules = affinity.get(kind) or {}
        field = "requiredDuringSchedulingIgnoredDuringExecution"
        for index, term in enumerate(rules.get(field) or ()):
            if term.get("labelSelector") is None:
                yield f"{path}.{kind}.{field}[{index}].labelSelector: {_NULL_SELECTOR}"
        field = "preferredDuringSchedulingIgnoredDuringExecution"
        for index, term in enumerate(rules.get(field) or ()):
            if at(term, "podAffinityTerm", "labelSelector") is None:
                where = f"{path}.{kind}.{field}[{index}].podAffinityTerm.labelSelector"
                yield f"{where}: {_NULL_SELECTOR}"


def _volumes(volumes: Iterable[Obj], path: str) -> Iterator[str]:
    for index, volume in enumerate(volumes):
        for field in volume.keys() & VOLUMES.keys():
            yield from _volume(volume[field], VOLUMES[field], f"{path}[{index}]")
    for volume in volumes:
        yield from overlapping_paths(volume)


def _volume(source: Obj, said: tuple[str, str] | None, path: str) -> Iterator[str]:
    if said is not None:
        yield f"{path}.{said[0]}: deprecated in {said[1]}"
        return
    claim = at(source, "volumeClaimTemplate", "spec", default={})
    yield from claim_amounts(claim, f"{path}.ephemeral.volumeClaimTemplate.spec")


def _repeated(spec: Obj, path: str) -> Iterator[str]:
    aliases = [alias.get("ip", "") for alias in spec.get("hostAliases") or ()]
    for index in repeats(aliases):
        yield f'{path}.hostAliases[{index}].ip: duplicate ip "{aliases[index]}"'
    secrets = [secret.get("name", "") for secret in spec.get("imagePullSecrets") or ()]
    where = f"{path}.imagePullSecrets"
    for index in repeats(secrets):
        yield f'{where}[{index}].name: duplicate name "{secrets[index]}"'
    for index, secret in enumerate(secrets):
        if not secret:
            yield f'{where}[{index}].name: invalid empty name ""'


def _container_notes(
    container: Obj, notes: dict[str, str], path: str, of_pod: Obj | None, is_template: bool
) -> Iterator[str]:
    """Of annotations that stand for a field of a container."""
    context, label = container.get("securityContext") or {}, container.get("name", "")
    key = f"{_SECCOMP}{label}"
    if key in notes and context.get("seccompProfile") is None:
        yield f"{path}[{key}]: {_SECCOMP_TEXT}"
    key = f"{_APP_ARMOR}{label}"
    is_alone = is_template and context.get("appArmorProfile") is None
    if is_alone and key in notes and (of_pod is None or of_pod != profile_of(notes[key])):
        yield f"{path}[{key}]: {_APP_ARMOR_TEXT}"


def _container(container: Obj, path: str) -> Iterator[str]:
    resources = container.get("resources") or {}
    for what in _BYTES if resources else ():
        for kind in ("limits", "requests"):
            yield from fractional(resources.get(kind), f"{path}.resources.{kind}", (what,))
    seen: set[str] = set()
    for index, variable in enumerate(container.get("env") or ()):
        key = variable.get("name", "")
        if key in seen and not _extends(variable, key):
            text = f'hides previous definition of "{key}", which may be dropped when using apply'
            yield f"{path}.env[{index}]: {text}"
        seen.add(key)


def _extends(variable: Obj, key: str) -> bool:
    """Whether the value has the one before it in it, and more."""
    value, before = variable.get("value", ""), f"$({key})"
    return "valueFrom" not in variable and before in value and value != before
