"""Ingress. Upstream: pkg/registry/networking/ingress."""

from datetime import datetime
from typing import Any, Final

from tiphys.api.meta import Obj, annotations_of, at
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells, generation
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.networking import ingress_rules
from tiphys.apiserver.resources.resource import Resource
from tiphys.apiserver.resources.rules import warnings, workload_status

_INFO = built_in("networking.k8s.io", "v1", "ingresses")


def default(ingress: Obj) -> None:
    ingress.setdefault("status", {}).setdefault("loadBalancer", {})


_HOSTS_MAX: Final = 3  # Shown in a Table.


def _hosts(ingress: Obj, _: datetime) -> Any:
    """Rules behind the third host count as more, with a host or without."""
    rules = at(ingress, "spec", "rules", default=[])
    hosts: list[str] = []
    for rule in rules:
        if len(hosts) == _HOSTS_MAX:
            return f"{','.join(hosts)} + {len(rules) - _HOSTS_MAX} more..."
        hosts += [rule["host"]] if rule.get("host") else []
    return ",".join(hosts) or "*"


def _address(ingress: Obj, _: datetime) -> Any:
    found = at(ingress, "status", "loadBalancer", "ingress", default=[])
    return ",".join(sorted({i.get("ip") or i.get("hostname") or "" for i in found} - {""}))


def _ports(ingress: Obj, _: datetime) -> Any:
    return "80, 443" if at(ingress, "spec", "tls") else "80"


_OLD_CLASS: Final = "kubernetes.io/ingress.class"


def ingress_warnings(ingress: Obj, old: Obj | None) -> list[str]:
    """Of a new one."""
    has_class = at(ingress, "spec", "ingressClassName") is not None
    if old is not None or has_class or _OLD_CLASS not in annotations_of(ingress):
        return []
    text = "is deprecated, please use 'spec.ingressClassName' instead"
    return [f'annotation "{_OLD_CLASS}" {text}']


INGRESS = Resource(
    _INFO,
    warnings=ingress_warnings,
    status_warnings=warnings.balancer_status,
    validate=ingress_rules.validate,
    validate_create=ingress_rules.validate_create,
    columns=columns_of(
        _INFO,
        cells.name,
        cells.value("spec", "ingressClassName", default="<none>"),
        _hosts,
        _address,
        _ports,
        cells.age,
    ),
    default=default,
    before_create=generation.created({"loadBalancer": {}}),
    before_update=generation.updated,
    validate_status_update=workload_status.ingress,
    before_status_update=generation.status_updated,
)
