"""What may change in a PersistentVolume.

Upstream: pkg/apis/core/validation/validation.go (ValidatePersistentVolumeUpdate).
"""

from typing import Any, Final

from tiphys.api.field_errors import FieldError, forbidden, invalid
from tiphys.api.go_form import go_form
from tiphys.api.meta import Obj
from tiphys.apiserver.resources.core import persistent_volume_rules
from tiphys.apiserver.resources.rules.go_diff import go_diff
from tiphys.apiserver.resources.rules.semantic import semantically_equal
from tiphys.apiserver.resources.rules.texts import immutable

_SOURCE: Final = "core.v1.PersistentVolumeSource"
_AFFINITY: Final = "core.v1.VolumeNodeAffinity"
# Labels of nodes that were renamed when they left beta, and what a volume may follow them to.
# Source: core validation topologyLabelAllowed, storage-related GA labels.
_BETA_LABELS: Final = {
    "beta.kubernetes.io/os": "kubernetes.io/os",
    "beta.kubernetes.io/arch": "kubernetes.io/arch",
    "failure-domain.beta.kubernetes.io/zone": "topology.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region": "topology.kubernetes.io/region",
    "beta.kubernetes.io/instance-type": "node.kubernetes.io/instance-type",
}


def validate_update(new: Obj, old: Obj) -> list[FieldError]:
    """Upstream validates the whole volume again here, so its errors come twice."""
    errors = persistent_volume_rules.validate(new)
    spec, before = new["spec"], old["spec"]
    then, now = (_source_of(s) for s in (before, spec))
    csi = now.get("csi")
    if csi and then.get("csi") and "controllerExpandSecretRef" not in then["csi"]:
        now["csi"] = {k: v for k, v in csi.items() if k != "controllerExpandSecretRef"}
    if not semantically_equal(now, then):
        text = "spec.persistentvolumesource is immutable after creation"
        difference = go_diff(then, now, _SOURCE)
        errors.append(forbidden("spec.persistentvolumesource", f"{text}\n{difference}"))
    errors += immutable(spec.get("volumeMode"), before.get("volumeMode"), "volumeMode")
    if before.get("nodeAffinity") is not None:
        errors += _affinity(spec.get("nodeAffinity"), before["nodeAffinity"])
    return errors + _attributes_class(spec, before)


def _source_of(spec: Obj) -> Obj:
    return {f: spec[f] for f in persistent_volume_rules.SOURCE_FIELDS if spec.get(f) is not None}


def _affinity(now: Obj | None, then: Obj) -> list[FieldError]:
    if semantically_equal(now, then) or semantically_equal(now, _renamed(then)):
        return []
    shown = None if now is None else go_form(now, _AFFINITY)
    text = "field is immutable, except for updating from beta label to GA"
    return [invalid("nodeAffinity", shown, text)]


def _renamed(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _BETA_LABELS.get(v, v) if k == "key" else _renamed(v) for k, v in value.items()}
    return [_renamed(v) for v in value] if isinstance(value, list) else value


def _attributes_class(spec: Obj, before: Obj) -> list[FieldError]:
    """A volume that has one keeps having one."""
    now, then = (s.get("volumeAttributesClassName") for s in (spec, before))
    if then is None or now is not None:
        return []
    text = "update from non-nil value to nil is forbidden"
    return [forbidden("spec.volumeAttributesClassName", text)]
