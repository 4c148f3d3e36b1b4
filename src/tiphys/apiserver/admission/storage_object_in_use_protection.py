"""StorageObjectInUseProtection: volumes, claims and classes get the finalizers that guard them.

Upstream: plugin/pkg/admission/storage/storageobjectinuseprotection/admission.go.
"""

from typing import Final

from tiphys.apiserver.admission.chain import Resources, Write

# By group and resource.
FINALIZERS: Final = {
    ("", "persistentvolumes"): "kubernetes.io/pv-protection",
    ("", "persistentvolumeclaims"): "kubernetes.io/pvc-protection",
    ("storage.k8s.io", "volumeattributesclasses"): "kubernetes.io/vac-protection",
}


class StorageObjectInUseProtection:
    name = "StorageObjectInUseProtection"
    resources: Resources = frozenset(FINALIZERS)

    def mutate(self, write: Write) -> None:
        wanted = FINALIZERS.get((write.info.group, write.info.resource))
        if wanted is None or write.obj is None or write.operation != "CREATE":
            return
        if write.info.subresource:
            return
        finalizers = write.obj["metadata"].setdefault("finalizers", [])
        if wanted not in finalizers:
            finalizers.append(wanted)
