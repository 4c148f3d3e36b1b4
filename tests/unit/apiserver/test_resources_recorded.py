"""Objects through decoding, defaults, preparation and rules, against recorded answers.

In process: no storage, no admission, no allocation. What hangs on those is left out of the
comparison (a Service's addresses, what admission adds to a Pod).
"""

import importlib.util
import json
import random
from datetime import UTC, datetime
from typing import Any

import pytest

from oracle import Target, target_of
from shared import SHARED, cases, needs_shared
from tiphys.api import names
from tiphys.api.field_errors import invalid_object
from tiphys.api.meta import Obj
from tiphys.apiserver.meta_checks import wants_qualified_finalizers
from tiphys.apiserver.object_meta import fill_on_create, validate_meta
from tiphys.apiserver.printing import Printer
from tiphys.apiserver.resources.registry import RESOURCES
from tiphys.apiserver.resources.rules.texts import kube_finalizers
from tiphys.codec.typed import to_typed

pytestmark = needs_shared

_LOADED: list[Any] = []
_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_BY_ADMISSION = (
    "serviceAccount",
    "serviceAccountName",
    "tolerations",
    "priority",
    "preemptionPolicy",
    "volumes",
)
# kind -> the share of its cases that must answer as upstream.
_SHARES = {
    "clusterrolebindings": 0.9,
    "clusterroles": 0.9,
    "configmaps": 0.9,
    "controllerrevisions": 1.0,
    "cronjobs": 0.98,
    "csistoragecapacities": 0.9,
    "daemonsets": 0.98,
    "deployments": 0.98,
    "endpoints": 0.98,
    "endpointslices": 0.98,
    "events": 0.98,
    "flowschemas": 0.95,
    "horizontalpodautoscalers": 0.98,
    "horizontalpodautoscalers-v1": 0.95,
    "ingressclasses": 0.98,
    "ingresses": 0.98,
    "ipaddresses": 0.95,
    "jobs": 0.95,
    "leases": 0.9,
    "mutatingwebhookconfigurations": 0.9,
    "namespaces": 1.0,
    "networkpolicies": 0.98,
    "poddisruptionbudgets": 0.98,
    "pods": 0.97,
    "podtemplates": 0.98,
    "replicasets": 0.98,
    "replicationcontrollers": 0.94,
    "rolebindings": 0.9,
    "roles": 0.9,
    "secrets": 0.9,
    "serviceaccounts": 0.9,
    "servicecidrs": 0.98,
    "statefulsets": 0.97,
    "validatingwebhookconfigurations": 0.9,
}


def _load_normal() -> Any:
    spec = importlib.util.spec_from_file_location("replay", SHARED / "oracle" / "replay.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.normal


def _normal(body: Any, step: Obj) -> Any:
    if not _LOADED:
        _LOADED.append(_load_normal())
    return _LOADED[0](body, step)


def _create(body: Obj, target: Target) -> Obj:
    info = target.info
    kind = RESOURCES[info.group, info.version, info.plural]
    obj: Obj = {"apiVersion": info.gvk.api_version, "kind": info.kind}
    obj |= to_typed(body, info.schema_type)
    obj.setdefault("metadata", {})
    kind.default(obj)
    if info.kind == "Pod":
        obj["spec"].setdefault("serviceAccountName", "default")  # As admission does.
    fill_on_create(
        obj, target.namespace, namespaced=info.namespaced, now=_NOW, rng=random.Random(1)
    )
    kind.before_create(obj)
    check = kind.validate_name or names.name_is_dns_subdomain
    errors = validate_meta(obj, namespaced=info.namespaced, validate_name=check)
    if wants_qualified_finalizers(info.gvk):
        errors += kube_finalizers(obj)
    errors += kind.validate(obj) + kind.validate_create(obj)
    if errors:
        name = obj["metadata"].get("name", "")
        group = info.group if kind.error_group is None else kind.error_group
        return invalid_object(group, info.kind, name, errors).to_status()
    return obj


def _comparable(body: Any, step: Obj) -> Any:
    found = _normal(json.loads(json.dumps(body)), step)
    found.get("metadata", {}).pop("managedFields", None)
    if found.get("kind") == "Pod":
        for field in _BY_ADMISSION:
            found["spec"].pop(field, None)
        for container in found["spec"].get("containers", []) + found["spec"].get(
            "initContainers", []
        ):
            container.pop("volumeMounts", None)
    return found


@pytest.mark.parametrize("plural", _SHARES)
def test_creating_answers_as_upstream(plural: str) -> None:
    good = total = 0
    for case in (*cases(f"writes/defaulting-{plural}"), *cases(f"writes/validation-{plural}")):
        step = case["steps"][0]
        target = target_of(step["path"])
        answer = step["expect"]
        if target is None or step["method"] != "POST" or not isinstance(step.get("body"), dict):
            continue
        if answer["status"] not in {201, 422} or "body" not in answer:
            continue
        total += 1
        found = _comparable(_create(step["body"], target), step)
        good += found == _comparable(answer["body"], step)
    assert total
    assert good / total >= _SHARES[plural], f"{good} of {total}"


def test_tables_answer_as_upstream() -> None:
    good = total = 0
    for case in cases("writes/table-*"):
        step = case["steps"][0]
        target = target_of(step["path"])
        wanted = step["expect"].get("body")
        if target is None or not isinstance(wanted, dict) or wanted.get("kind") != "Table":
            continue
        if step["method"] != "POST" or target.name or target.info.kind == "Service":
            continue
        total += 1
        info = target.info
        printer = Printer(RESOURCES[info.group, info.version, info.plural], _NOW)
        cells = printer.row(_create(step["body"], target), None, info=info)["cells"]
        row = wanted["rows"][0] | {"cells": cells}
        found = wanted | {"columnDefinitions": printer.definitions(), "rows": [row]}
        good += _normal(found, step) == _normal(wanted, step)
    assert good / total >= 0.95, f"{good} of {total}"
