"""StorageObjectInUseProtection: volumes and claims are made with the finalizers that guard them.

Upstream: plugin/pkg/admission/storage/storageobjectinuseprotection/admission.go.
"""

from typing import Final

from tiphys.apiserver.admission.chain import Write

FINALIZERS: Final = {
    "persistentvolumes": "kubernetes.io/pv-protection",
    "persistentvolumeclaims": "kubernetes.io/pvc-protection",
}


class StorageObjectInUseProtection:
    name = "StorageObjectInUseProtection"

    def mutate(self, write: Write) -> None:
        wanted = FINALIZERS.get(write.info.resource)
        if wanted is None or write.obj is None or write.operation != "CREATE":
            return
        if write.info.group or write.info.subresource:
            return
        finalizers = write.obj["metadata"].setdefault("finalizers", [])
        if wanted not in finalizers:
            finalizers.append(wanted)

    def validate(self, write: Write) -> None:
        """Nothing to refuse."""
