"""What a write of a Scale leaves of the managers of its workload.

Upstream turns the managers into those of a Scale and back. An updater is known by the version too,
which is another one then: it comes back as a second entry of the same name, without a time, that
holds the replicas, and the first loses them. So even a Scale that changes nothing is a write.
Upstream: apimachinery pkg/util/managedfields/scalehandler.go (ToSubresource, ToParent).
"""

from tiphys.api.meta import Obj
from tiphys.apiserver.field_manager.entries import Entry, ManagerKey, Managers, write_all
from tiphys.codec.fields.field_set import FieldSet, difference, intersection


def through_scale(managers: Managers, replicas: FieldSet) -> list[Obj]:
    """The entries to write; `replicas` is the one field that a Scale shows."""
    made: list[tuple[ManagerKey, Entry]] = []
    for key, entry in managers.items():
        held = intersection(entry.fields, replicas) if key.operation == "Update" else None
        if held is None:
            made.append((key, entry))
            continue
        made.append((key, Entry(replicas, entry.api_version, "")))
        left = difference(entry.fields, replicas)
        if left is not None:
            made.append((key, Entry(left, entry.api_version, entry.time)))
    return write_all(made)
