"""Which config maps and secrets a pod refers to. Upstream: pkg/api/v1/pod VisitPodSecretNames."""

from collections.abc import Iterator

from tiphys.api.meta import Obj, at
from tiphys.kubelet.pod_spec import all_containers


def config_maps_of(pod: Obj) -> set[str]:
    return set(_from_containers(pod, "configMapRef", "configMapKeyRef")) | set(
        _from_volumes(pod, "configMap", "name")
    )


def secrets_of(pod: Obj) -> set[str]:
    found = set(_from_containers(pod, "secretRef", "secretKeyRef"))
    found |= set(_from_volumes(pod, "secret", "secretName"))
    return found | set(pull_secrets_of(pod))


def pull_secrets_of(pod: Obj) -> list[str]:
    return [s["name"] for s in at(pod, "spec", "imagePullSecrets", default=[]) if s.get("name")]


def _from_containers(pod: Obj, whole: str, key: str) -> Iterator[str]:
    for _, container in all_containers(pod):
        for source in container.get("envFrom") or []:
            if name := at(source, whole, "name"):
                yield name
        for variable in container.get("env") or []:
            if name := at(variable, "valueFrom", key, "name"):
                yield name


def _from_volumes(pod: Obj, kind: str, field: str) -> Iterator[str]:
    for volume in at(pod, "spec", "volumes", default=[]):
        if name := at(volume, kind, field):
            yield name
        for source in at(volume, "projected", "sources", default=[]):
            if name := at(source, kind, "name"):
                yield name
