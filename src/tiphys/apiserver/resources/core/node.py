"""Node. Upstream: pkg/registry/core/node/strategy.go, pkg/printers (printNode)."""

from datetime import datetime
from typing import Any, Final

from tiphys.api.meta import Obj, at, condition, labels_of
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells, generation
from tiphys.apiserver.resources.columns import Cell, columns_of
from tiphys.apiserver.resources.core.node_rules import validate, validate_update
from tiphys.apiserver.resources.pod_template import round_up
from tiphys.apiserver.resources.resource import Resource
from tiphys.apiserver.resources.rules.addresses import network_warnings

_INFO = built_in("", "v1", "nodes")
_ROLE_PREFIX: Final = "node-role.kubernetes.io/"
_ROLE_LABEL: Final = "kubernetes.io/role"


def default(node: Obj) -> None:
    status = node.setdefault("status", {})
    if "capacity" in status and "allocatable" not in status:
        status["allocatable"] = dict(status["capacity"])
    for resources in ("capacity", "allocatable"):
        round_up(status.get(resources) or {})
    spec = node.setdefault("spec", {})
    one, many = spec.get("podCIDR"), spec.get("podCIDRs") or []
    if one and many[:1] != [one]:  # The older field counts more.
        spec["podCIDRs"] = [one]
    elif many:
        spec["podCIDR"] = many[0]


def _status(node: Obj, _: datetime) -> Any:
    ready = condition(node, "Ready")
    words = ["Unknown"]
    if ready is not None:
        words = ["Ready" if ready.get("status") == "True" else "NotReady"]
    if at(node, "spec", "unschedulable"):
        words.append("SchedulingDisabled")
    return ",".join(words)


def _roles(node: Obj, _: datetime) -> Any:
    labels = labels_of(node)
    roles = {k.removeprefix(_ROLE_PREFIX) for k in labels if k.startswith(_ROLE_PREFIX)}
    roles.add(labels.get(_ROLE_LABEL, ""))
    return ",".join(sorted(roles - {""})) or "<none>"


def _address(kind: str) -> Cell:
    def cell(node: Obj, _: datetime) -> Any:
        addresses = at(node, "status", "addresses", default=[])
        found = (a.get("address", "") for a in addresses if a.get("type") == kind)
        return next(found, "<none>")

    return cell


def _info(field: str) -> Cell:
    return lambda node, _: at(node, "status", "nodeInfo", field, default="") or "<unknown>"


def _kernel(node: Obj, _: datetime) -> Any:
    info = at(node, "status", "nodeInfo", default={})
    version = info.get("kernelVersion") or "<unknown>"
    return f"{version} ({info['architecture']})" if info.get("architecture") else version


def node_warnings(node: Obj, old: Obj | None) -> list[str]:
    del old
    texts: list[str] = []
    if at(node, "spec", "configSource") is not None:
        texts.append("spec.configSource: the feature is removed")
    if at(node, "spec", "externalID"):
        texts.append("spec.externalID: this field is deprecated, and is unused by Kubernetes")
    for index, network in enumerate(at(node, "spec", "podCIDRs", default=())):
        texts += network_warnings(network, f"spec.podCIDRs[{index}]")
    return texts


_NOT_READY: Final[Obj] = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}


def before_create(node: Obj) -> None:
    """No pod goes to a node before it says that it is ready (TaintNodesByCondition)."""
    _drop_removed(node, {})
    taints_of = node.setdefault("spec", {}).get("taints") or []
    if not any({k: t.get(k) for k in ("key", "effect")} == _NOT_READY for t in taints_of):
        node["spec"]["taints"] = [*taints_of, dict(_NOT_READY)]


def _drop_removed(node: Obj, old: Obj) -> None:
    """Kubelets take no configuration from the API any more."""
    for part, field in (("spec", "configSource"), ("status", "config")):
        if at(old, part, field) is None and at(node, part, field) is not None:
            node[part] = {k: v for k, v in node[part].items() if k != field}


def before_update(new: Obj, old: Obj) -> None:
    generation.keep_status(new, old)
    _drop_removed(new, old)


def before_status_update(new: Obj, old: Obj) -> None:
    generation.status_updated(new, old)
    _drop_removed(new, old)


NODE = Resource(
    _INFO,
    before_create=before_create,
    warnings=node_warnings,
    validate=validate,
    validate_update=validate_update,
    validate_status_update=validate_update,
    default=default,
    before_update=before_update,
    before_status_update=before_status_update,
    allow_create_on_update=False,
    columns=columns_of(
        _INFO,
        cells.name,
        _status,
        _roles,
        cells.age,
        cells.value("status", "nodeInfo", "kubeletVersion"),
        _address("InternalIP"),
        _address("ExternalIP"),
        _info("osImage"),
        _kernel,
        _info("containerRuntimeVersion"),
    ),
    selectable_fields={
        "spec.unschedulable": lambda n: str(bool(at(n, "spec", "unschedulable"))).lower(),
    },
)
