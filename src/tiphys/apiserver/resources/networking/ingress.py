"""Ingress. Upstream: pkg/registry/networking/ingress."""

from datetime import datetime
from typing import Any

from tiphys.api.meta import Obj, at
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells, generation
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.networking import ingress_rules
from tiphys.apiserver.resources.resource import Resource
from tiphys.apiserver.resources.rules import warnings, workload_status

_INFO = built_in("networking.k8s.io", "v1", "ingresses")


def default(ingress: Obj) -> None:
    ingress.setdefault("status", {}).setdefault("loadBalancer", {})


def _hosts(ingress: Obj, _: datetime) -> Any:
    rules = at(ingress, "spec", "rules", default=[])
    hosts = [r["host"] for r in rules if r.get("host")]
    more = len(hosts) >= 3 and len(rules) > 3
    text = ",".join(hosts[:3]) or "*"
    return f"{text} + {len(rules) - 3} more..." if more else text


def _address(ingress: Obj, _: datetime) -> Any:
    found = at(ingress, "status", "loadBalancer", "ingress", default=[])
    return ",".join(sorted({i.get("ip") or i.get("hostname") or "" for i in found} - {""}))


def _ports(ingress: Obj, _: datetime) -> Any:
    return "80, 443" if at(ingress, "spec", "tls") else "80"


INGRESS = Resource(
    _INFO,
    warnings=warnings.ingress,
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
