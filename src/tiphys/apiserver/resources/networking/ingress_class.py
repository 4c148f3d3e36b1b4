"""IngressClass. Upstream: pkg/registry/networking/ingressclass."""

from datetime import datetime
from typing import Any

from tiphys.api.meta import Obj, annotations_of, at
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells, generation
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.networking import address_rules
from tiphys.apiserver.resources.resource import Resource

_INFO = built_in("networking.k8s.io", "v1", "ingressclasses")


def default(ingress_class: Obj) -> None:
    parameters = ingress_class["spec"].get("parameters")
    if parameters is not None and parameters.get("scope") is None:
        parameters["scope"] = "Cluster"


def _name(ingress_class: Obj, _: datetime) -> Any:
    name = ingress_class["metadata"].get("name", "")
    default_class = annotations_of(ingress_class).get("ingressclass.kubernetes.io/is-default-class")
    return f"{name} (default)" if default_class == "true" else name


def _parameters(ingress_class: Obj, _: datetime) -> Any:
    parameters = at(ingress_class, "spec", "parameters")
    if parameters is None:
        return "<none>"
    group = f".{parameters['apiGroup']}" if parameters.get("apiGroup") is not None else ""
    return f"{parameters.get('kind')}{group}/{parameters.get('name')}"


def before_update(new: Obj, old: Obj) -> None:
    generation.bump(new, old)


INGRESS_CLASS = Resource(
    _INFO,
    validate=address_rules.ingress_class,
    update_order=("meta", "change", "whole"),
    validate_update=address_rules.ingress_class_update,
    columns=columns_of(_INFO, _name, cells.value("spec", "controller"), _parameters, cells.age),
    default=default,
    before_create=generation.start,
    before_update=before_update,
)
