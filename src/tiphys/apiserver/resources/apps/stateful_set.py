"""StatefulSet. Upstream: pkg/registry/apps/statefulset."""

from datetime import datetime
from typing import Any, Final

from tiphys.api.field_errors import FieldError, forbidden, invalid
from tiphys.api.go_form import go_form
from tiphys.api.meta import Obj, at
from tiphys.api.names import dns_label, name_is_dns_label
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells, generation
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.core.persistent_volume_claim import default as default_claim
from tiphys.apiserver.resources.pod_template import default_template
from tiphys.apiserver.resources.resource import Resource
from tiphys.apiserver.resources.rules import warnings, workload, workload_status
from tiphys.apiserver.resources.rules.amounts import claim_amounts
from tiphys.apiserver.resources.rules.claim_spec import claim_spec
from tiphys.apiserver.resources.rules.texts import named, unsupported

_INFO = built_in("apps", "v1", "statefulsets")


def default(stateful_set: Obj) -> None:
    spec = stateful_set["spec"]
    spec.setdefault("podManagementPolicy", "OrderedReady")
    strategy = spec["updateStrategy"]
    if not strategy.get("type"):
        strategy["type"] = "RollingUpdate"
        strategy.setdefault("rollingUpdate", {})
    if strategy["type"] == "RollingUpdate" and "rollingUpdate" in strategy:
        strategy["rollingUpdate"].setdefault("partition", 0)
    retention = spec.setdefault("persistentVolumeClaimRetentionPolicy", {})
    retention.setdefault("whenDeleted", "Retain")
    retention.setdefault("whenScaled", "Retain")
    spec.setdefault("replicas", 1)
    spec.setdefault("revisionHistoryLimit", 10)
    if "rollingUpdate" in strategy:
        strategy["rollingUpdate"].pop("maxUnavailable", None)  # MaxUnavailableStatefulSet is off.
    default_template(spec.get("template"))
    for claim in spec.get("volumeClaimTemplates") or ():
        claim["apiVersion"], claim["kind"] = "v1", "PersistentVolumeClaim"
        default_claim(claim)
    stateful_set.setdefault("status", {"replicas": 0})


def _ready(stateful_set: Obj, _: datetime) -> Any:
    wanted = at(stateful_set, "spec", "replicas", default=0)
    return f"{at(stateful_set, 'status', 'readyReplicas', default=0)}/{wanted}"


def validate(stateful_set: Obj) -> list[FieldError]:
    spec = stateful_set["spec"]
    claims = [
        error
        for index, claim in enumerate(spec.get("volumeClaimTemplates") or ())
        for error in claim_spec(claim.get("spec") or {}, f"spec.volumeClaimTemplates[{index}].spec")
    ]
    name = named(spec.get("serviceName", ""), "spec.serviceName", dns_label, needed=False)
    return _policies(spec) + claims + _numbers(spec) + name + _pods(spec)


def validate_again(stateful_set: Obj) -> list[FieldError]:
    """Without the claims and the service's name, which cannot change."""
    spec = stateful_set["spec"]
    return _policies(spec) + _numbers(spec) + _pods(spec)


def _policies(spec: Obj) -> list[FieldError]:
    errors: list[FieldError] = []
    policy = spec.get("podManagementPolicy")
    if policy not in {"OrderedReady", "Parallel"}:
        text = "must be 'OrderedReady' or 'Parallel'"
        errors.append(invalid("spec.podManagementPolicy", policy, text))
    errors += _strategy(spec.get("updateStrategy") or {}, "spec.updateStrategy")
    retention = spec.get("persistentVolumeClaimRetentionPolicy") or {}
    for field in ("whenDeleted", "whenScaled"):
        where = f"spec.persistentVolumeClaimRetentionPolicy.{field}"
        value = retention.get(field, "")
        if value not in {"Retain", "Delete"}:
            errors.append(unsupported(where, value, ("Retain", "Delete")))
    return errors


def _numbers(spec: Obj) -> list[FieldError]:
    errors = workload.not_negative_at(spec, "spec", "replicas", "minReadySeconds")
    return errors + workload.not_negative_at(spec.get("ordinals") or {}, "spec.ordinals", "start")


def _pods(spec: Obj) -> list[FieldError]:
    text = "empty selector is invalid for statefulset"
    errors = workload.selector(spec.get("selector"), "spec.selector", empty_text=text)
    template = spec.get("template")
    if not workload.is_well_formed(spec.get("selector")):
        shown = workload.shown_selector(spec.get("selector"))
        errors.append(invalid("spec.selector", shown, ""))
    else:
        errors += workload.template_matches(spec.get("selector"), template, "spec.template")
        errors += workload.template(_as_pods_are(spec), "spec.template")
        errors += workload.template_meta(template, "spec.template")
    restart = at(template, "spec", "restartPolicy", default="")
    if restart != "Always":
        errors.append(unsupported("spec.template.spec.restartPolicy", restart, ("Always",)))
    if at(template, "spec", "activeDeadlineSeconds") is not None:
        text = "activeDeadlineSeconds in StatefulSet is not Supported"
        errors.append(forbidden("spec.template.spec.activeDeadlineSeconds", text))
    return errors


def _as_pods_are(spec: Obj) -> Obj:
    """The template with the volumes that the claims will make, without the names that the
    controller sets.
    """
    template: Obj = spec.get("template") or {}
    claims = {c["metadata"].get("name", "") for c in spec.get("volumeClaimTemplates") or ()}
    pod_spec = dict(template.get("spec") or {})
    if not claims and not pod_spec.keys() & _NAMES_OF_PODS:
        return template
    for field in _NAMES_OF_PODS:
        pod_spec.pop(field, None)
    if not claims:
        return template | {"spec": pod_spec}
    own = [v for v in pod_spec.get("volumes") or () if v.get("name") not in claims]
    made = [{"name": n, "persistentVolumeClaim": {"claimName": n}} for n in sorted(claims)]
    return template | {"spec": pod_spec | {"volumes": [*made, *own]}}


def _strategy(strategy: Obj, path: str) -> list[FieldError]:
    kind, rolling = strategy.get("type"), strategy.get("rollingUpdate")
    if kind == "OnDelete":
        if rolling is None:
            return []
        text = "only allowed for updateStrategy 'RollingUpdate'"
        shown = go_form(rolling, "apps.v1.RollingUpdateStatefulSetStrategy")
        return [invalid(f"{path}.rollingUpdate", shown, text)]
    if kind != "RollingUpdate":
        shown = go_form(strategy, "apps.v1.StatefulSetUpdateStrategy")
        return [invalid(path, shown, "must be 'RollingUpdate' or 'OnDelete'")]
    return workload.not_negative_at(rolling or {}, f"{path}.rollingUpdate", "partition")


_NAMES_OF_PODS: Final = frozenset({"hostname", "subdomain"})
_MUTABLE: Final = frozenset(
    {
        "replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy", "minReadySeconds",
    }
)  # fmt: skip


def validate_update(new: Obj, old: Obj) -> list[FieldError]:
    kept = {k: v for k, v in new["spec"].items() if k not in _MUTABLE}
    before = {k: v for k, v in old["spec"].items() if k not in _MUTABLE}
    if kept == before:
        return []
    text = (
        "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
        "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and "
        "'minReadySeconds' are forbidden"
    )
    return [forbidden("spec", text)]


_of_template = warnings.of_template("spec", "template")


def stateful_set_warnings(new: Obj, old: Obj | None) -> list[str]:
    found = _of_template(new, old)
    # The paths of claims are upstream's own.
    end = "" if old is None else ".Spec"
    for index, claim in enumerate(new["spec"].get("volumeClaimTemplates") or ()):
        path = f"spec.volumeClaimTemplates[{index}]{end}"
        found += claim_amounts(claim.get("spec") or {}, path)
    if new["spec"].get("revisionHistoryLimit", 0) < 0:
        text = "a negative value retains all historical revisions; a value >= 0 is recommended"
        found.append(f"spec.revisionHistoryLimit: {text}")
    return found


STATEFUL_SET = Resource(
    _INFO,
    warnings=stateful_set_warnings,
    validate_name=name_is_dns_label,
    validate=validate,
    validate_again=validate_again,
    validate_update=validate_update,
    columns=columns_of(
        _INFO,
        cells.name,
        _ready,
        cells.age,
        cells.container_names("spec", "template", "spec"),
        cells.container_images("spec", "template", "spec"),
    ),
    default=default,
    before_create=generation.created({"replicas": 0, "availableReplicas": 0}),
    before_update=generation.updated,
    validate_status_update=workload_status.STATEFUL_SET,
    before_status_update=generation.status_updated,
)
