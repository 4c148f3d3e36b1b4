"""A zone of given objects, for tests and benchmarks."""

from collections.abc import Iterable

from tiphys.api.meta import Obj, key_of, labels_of, name_of, namespace_of
from tiphys.dns.service_records import SERVICE_NAME_LABEL, service_records
from tiphys.dns.zone import Zone


def a_zone(services: Iterable[Obj], slices: Iterable[Obj] = ()) -> Zone:
    """Of services 10.96.0.0/16, pods 10.244.0.0/16, namespaces default and other."""
    found = Zone("cluster.local", ["10.96.0.0/16"], ["10.244.0.0/16"])
    found.set_namespaces(["default", "other"])
    known = list(slices)
    for service in services:
        own = [
            s
            for s in known
            if labels_of(s).get(SERVICE_NAME_LABEL) == name_of(service)
            and namespace_of(s) == namespace_of(service)
        ]
        found.put(key_of(service), service_records("cluster.local", service, own))
    return found
