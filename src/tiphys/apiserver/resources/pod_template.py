"""Defaults of a pod's spec, wherever one stands: pods, templates, jobs.

Upstream: pkg/apis/core/v1/defaults.go (SetDefaults_PodSpec and what it reaches).
"""

import re
from collections.abc import Iterator
from typing import Final

from tiphys.api.meta import Obj
from tiphys.api.quantity import parse

FILE_MODE_DEFAULT: Final = 0o644
TOKEN_SECONDS_DEFAULT: Final = 3600
_CONTAINER_LISTS: Final = ("initContainers", "containers", "ephemeralContainers")
_MODE_SOURCES: Final = ("secret", "configMap", "downwardAPI", "projected")


def containers_of(spec: Obj) -> Iterator[Obj]:
    """Every container of a pod's spec: init, plain, ephemeral."""
    for field in _CONTAINER_LISTS:
        yield from spec.get(field) or ()


def default_pod_spec(spec: Obj) -> None:
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("terminationGracePeriodSeconds", 30)
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("securityContext", {})
    spec.setdefault("schedulerName", "default-scheduler")
    _mirror_service_account(spec)
    for container in containers_of(spec):
        default_container(container)
    for volume in spec.get("volumes") or ():
        default_volume(volume)
    if "overhead" in spec:
        round_up(spec["overhead"])
    spec.pop("schedulingGroup", None)  # GenericWorkload is off.


def _mirror_service_account(spec: Obj) -> None:
    """The old name of the field says the same as the new one."""
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if account:
        spec["serviceAccountName"] = spec["serviceAccount"] = account


def round_up(resources: Obj) -> None:
    """Nothing finer than a thousandth."""
    for name, amount in resources.items():
        quantity = parse(amount)
        if quantity.nanos % 10**6:
            millis = quantity.milli_value
            resources[name] = str(type(quantity)(millis * 10**6, quantity.format))


def default_container(container: Obj) -> None:
    container.setdefault("terminationMessagePath", "/dev/termination-log")
    container.setdefault("terminationMessagePolicy", "File")
    container.setdefault("imagePullPolicy", pull_policy(container.get("image", "")))
    for port in container.get("ports") or ():
        port.setdefault("protocol", "TCP")
    for variable in container.get("env") or ():
        source = variable.get("valueFrom") or {}
        default_field_ref(source)
        if "fileKeyRef" in source:
            source["fileKeyRef"].setdefault("optional", False)
    for resources in ("limits", "requests"):
        round_up((container.get("resources") or {}).get(resources) or {})
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        if probe in container:
            _default_probe(container[probe])
    _drop_stop_signal(container)
    for hook in (container.get("lifecycle") or {}).values():
        if isinstance(hook, dict):
            _default_http_get(hook)


def _drop_stop_signal(container: Obj) -> None:
    """ContainerStopSignals is off: the field does not exist."""
    lifecycle = container.get("lifecycle") or {}
    if "stopSignal" in lifecycle:
        del lifecycle["stopSignal"]
        if not lifecycle:
            del container["lifecycle"]


_IMAGE_NAME_MAX: Final = 255
_IMAGE: Final = re.compile(
    r"(?:(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
    r"(?:\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*(?::[0-9]+)?/)?"
    r"[a-z0-9]+(?:(?:[._]|__|[-]+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|[-]+)[a-z0-9]+)*)*"
    r"(?::(?P<tag>[\w][\w.-]{0,127}))?(?P<digest>@[A-Za-z][\w+.-]*:[0-9a-fA-F]{32,})?"
)


def pull_policy(image: str) -> str:
    """Always for `latest`, written or meant."""
    match = _IMAGE.fullmatch(image) if len(image) <= _IMAGE_NAME_MAX else None
    if match is None:
        return "IfNotPresent"
    tag = match["tag"] or ("" if match["digest"] else "latest")
    return "Always" if tag == "latest" else "IfNotPresent"


def _default_probe(probe: Obj) -> None:
    probe.setdefault("timeoutSeconds", 1)
    probe.setdefault("periodSeconds", 10)
    probe.setdefault("successThreshold", 1)
    probe.setdefault("failureThreshold", 3)
    _default_http_get(probe)
    if "grpc" in probe and probe["grpc"].get("service") is None:
        probe["grpc"]["service"] = ""


def _default_http_get(handler: Obj) -> None:
    if "httpGet" in handler:
        handler["httpGet"].setdefault("path", "/")
        handler["httpGet"].setdefault("scheme", "HTTP")


def default_field_ref(source: Obj) -> None:
    if "fieldRef" in source:
        source["fieldRef"].setdefault("apiVersion", "v1")


def default_volume(volume: Obj) -> None:
    if len(volume) == 1:
        volume["emptyDir"] = {}
    for kind in _MODE_SOURCES:
        if kind in volume:
            volume[kind].setdefault("defaultMode", FILE_MODE_DEFAULT)
    for item in (volume.get("downwardAPI") or {}).get("items") or ():
        default_field_ref(item)
    projected = volume.get("projected") or {}
    for source in projected.get("sources") or ():
        _default_projection(source)
    if "hostPath" in volume:
        volume["hostPath"].setdefault("type", "")
    if "ephemeral" in volume:
        template = volume["ephemeral"].get("volumeClaimTemplate")
        if template is not None:
            default_claim_spec(template["spec"])
    if "image" in volume:
        image = volume["image"]
        image.setdefault("pullPolicy", pull_policy(image.get("reference", "")))
    default_old_volume(volume)


def default_claim_spec(spec: Obj) -> None:
    """A PersistentVolumeClaimSpec."""
    spec.setdefault("volumeMode", "Filesystem")
    resources = spec.get("resources") or {}
    round_up(resources.get("limits") or {})
    round_up(resources.get("requests") or {})


def default_old_volume(source: Obj) -> None:
    """Kinds of storage that pods and persistent volumes share."""
    for kind, defaults in _OLD_VOLUMES.items():
        if kind in source:
            for field, value in defaults.items():
                source[kind].setdefault(field, value)


_OLD_VOLUMES: Final[dict[str, Obj]] = {
    "iscsi": {"iscsiInterface": "default"},
    "rbd": {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"},
    "azureDisk": {
        "cachingMode": "ReadWrite",
        "kind": "Shared",
        "fsType": "ext4",
        "readOnly": False,
    },
    "scaleIO": {"storageMode": "ThinProvisioned", "fsType": "xfs"},
}


def _default_projection(source: Obj) -> None:
    token = source.get("serviceAccountToken")
    if token is not None:
        token.setdefault("expirationSeconds", TOKEN_SECONDS_DEFAULT)
    for field in ("podCertificate", "clusterTrustBundle"):
        source.pop(field, None)  # PodCertificateRequest and ClusterTrustBundle are off.
    for item in (source.get("downwardAPI") or {}).get("items") or ():
        default_field_ref(item)


def default_template(template: Obj | None) -> None:
    """A PodTemplateSpec."""
    if template:
        default_pod_spec(template["spec"])
        drop_init_annotations(template.get("metadata") or {})


_INIT_ANNOTATIONS: Final = frozenset(
    f"pod.{stage}.kubernetes.io/init-container{what}"
    for stage in ("alpha", "beta")
    for what in ("s", "-statuses")
)


def drop_init_annotations(metadata: Obj) -> None:
    """Init containers were annotations once. Upstream: dropInitContainerAnnotations."""
    notes = metadata.get("annotations")
    if notes and not _INIT_ANNOTATIONS.isdisjoint(notes):
        kept = {k: v for k, v in notes.items() if k not in _INIT_ANNOTATIONS}
        metadata["annotations"] = kept
        if not kept:
            del metadata["annotations"]
